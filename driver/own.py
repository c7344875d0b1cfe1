"""The user's own model and data, copied to the volume and sealed: every file of them is part of the hash."""

import os
import shutil
from pathlib import Path

from driver.experiment import Model, Source
from driver.file_content import find_wrong_kind
from shared import store
from shared.contract import File
from shared.errors import CrossquantError

FILES = "files"  # the folder of the copy in a data set's artifact
CODE = "custom_objects.py"  # what the user's file is called beside the model
SAVED_MODEL = "saved_model.pb"
MODELS = (".keras", ".h5", ".hdf5", ".onnx")


def find(source: Source) -> Path:
    """The file or folder that a source on this host means. CrossquantError where there is none."""
    path = store.volumes() / "inputs" / source.input if source.input else store.ROOT / Path(source.path).expanduser()
    if not path.exists():
        raise CrossquantError(f"{source} is not there")
    return path


def model_files(path: Path, model: Model) -> dict[str, Path]:
    """What is copied for a model, by its name in the artifact. CrossquantError where it is none that is known."""
    if path.is_dir():
        if not (path / SAVED_MODEL).exists():
            raise CrossquantError(f"{path} is a folder without {SAVED_MODEL}: give a SavedModel, or a model file")
        files = {f"{path.name}/{name}": path / name for name in below(path)}
    elif path.suffix.lower() in MODELS:
        refuse_wrong_kind(path, "a model")
        files = {path.name: path}
    else:
        raise CrossquantError(f"{path.name} is no model that is known: give {', '.join(MODELS)} or a SavedModel folder")
    if model.code:
        code = store.ROOT / Path(model.code).expanduser()
        if not code.is_file():
            raise CrossquantError(f"model.code: {code} is not there")
        files[CODE] = code
    return files


def data_files(path: Path) -> dict[str, Path]:
    """What is copied of the data, by its name in the artifact. CrossquantError where there is nothing."""
    names = below(path) if path.is_dir() else [path.name]
    if not names:
        raise CrossquantError(f"{path} is empty: put the data there")
    if path.is_file():
        refuse_wrong_kind(path, "data")
    return {f"{FILES}/{name}": path / name if path.is_dir() else path for name in names}


def refuse_wrong_kind(path: Path, wanted: str) -> None:
    """CrossquantError where a browser or `git` left something else in the place of the file."""
    if wrong := find_wrong_kind(path):
        raise CrossquantError(f"{path} is {wrong}, not {wanted}: get the file itself")


def below(folder: Path) -> list[str]:
    """Relative names of all files in `folder`, links followed; caches and hidden files left out."""
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        found += [(Path(place) / name).relative_to(folder).as_posix() for name in sorted(names) if name[0] != "."]
    return found


def hashed(files: dict[str, Path]) -> dict[str, File]:
    return {name: File(store.file_sha256(path), path.stat().st_size) for name, path in sorted(files.items())}


def copy(files: dict[str, Path], folder: Path) -> None:
    """Readable by everyone: the containers run as another user."""
    for name, path in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o644)
