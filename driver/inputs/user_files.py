"""The user's own model and data, copied to the volume with a manifest: every file of them is part of the hash."""

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

from driver.experiment.model import Model, Source
from driver.inputs import onnx_files
from driver.inputs.file_content import find_wrong_kind
from shared import onnx_size
from shared.artifacts import store
from shared.contract import File
from shared.errors import CrossquantError
from shared.text import printable

FILES = "files"  # the folder of the copy in a data set's artifact
CODE = "custom_objects.py"  # what the user's file is called beside the model
SAVED_MODEL = "saved_model.pb"
LONGEST_NAME = 100  # characters of a file's name in a message
MOST_LINKED = 1000  # links to folders in a folder
EMPTY = ".empty"  # stands in a folder without files: it may be that of a class
ONNX = ".onnx"
MODELS = (".keras", ".h5", ".hdf5", ONNX)


def find(source: Source) -> Path:
    """The file or folder that a source on this host means. CrossquantError where there is none."""
    path = store.volumes() / "inputs" / source.input if source.input else store.ROOT / Path(source.path).expanduser()
    if not path.exists():
        raise CrossquantError(f"{source} is not there")
    return path


def model_files(path: Path, model: Model) -> dict[str, Path]:
    """What is copied for a model, by its name in the artifact. CrossquantError for an unknown kind of model."""
    if path.is_dir():
        if not (path / SAVED_MODEL).exists():
            raise CrossquantError(f"{path} is a folder without {SAVED_MODEL}: give a SavedModel, or a model file")
        files = {f"{path.name}/{name}": path / name for name in list_below(path)}
    elif path.suffix.lower() in MODELS:
        refuse_wrong_kind(path, "a model")
        files = {path.name: path} | (weight_files(path) if path.suffix.lower() == ONNX else {})
    else:
        raise CrossquantError(f"{path.name} is no model that is known: give {', '.join(MODELS)} or a SavedModel folder")
    if model.code:
        code = store.ROOT / Path(model.code).expanduser()
        if not code.is_file():
            raise CrossquantError(f"model.code: {code} is not there")
        files[CODE] = code
    return files


def weight_files(path: Path) -> dict[str, Path]:
    """The files that an ONNX file keeps weights in, by their names relative to it.

    CrossquantError for one that isn't there or lies outside of the file's folder, and where they are too large together
    for any later step: that is known before anything is copied.
    """
    files, folder = {}, path.parent
    for location in onnx_files.list_locations(path):
        own = f"{path.name} keeps weights in '{printable(location, LONGEST_NAME)}'"
        file = folder / location
        if not is_below(location, folder):
            raise CrossquantError(f"{own}, outside of its folder: save the model with all of its files in one folder")
        if not file.is_file():
            raise CrossquantError(f"{own}, which is not beside it: put that file there")
        files[file.relative_to(folder).as_posix()] = file
    size = sum(file.stat().st_size for file in (path, *files.values()))
    if excess := onnx_size.describe_excess(size):
        raise CrossquantError(f"{path.name} is too large: {excess}")
    return files


def is_below(name: str, folder: Path) -> bool:
    """Is `name` in the folder, as it is written and with all links followed?"""
    if not name or "\0" in name or ".." in Path(name).parts or Path(name).is_absolute():
        return False
    return real_path(folder / name).is_relative_to(real_path(folder))


def data_files(path: Path) -> dict[str, Path]:
    """What is copied of the data, by its name in the artifact. CrossquantError where there is nothing."""
    if path.is_file():
        refuse_wrong_kind(path, "data")
        return {f"{FILES}/{path.name}": path}
    names = list_below(path)
    if not names:
        raise CrossquantError(f"{path} is empty: put the data there")
    empty = [f"{name}/{EMPTY}" for name in list_empty_folders(path)]
    return {f"{FILES}/{name}": path / name for name in names} | {f"{FILES}/{name}": Path(os.devnull) for name in empty}


def list_empty_folders(folder: Path) -> list[str]:
    """Relative names of the folders in `folder` that hold neither files nor folders, hidden ones left out."""
    empty = []
    for place, folders, names in os.walk(folder):
        folders[:] = shown_folders(folders)
        if not folders and all(name.startswith(".") for name in names) and Path(place) != folder:
            empty.append(Path(place).relative_to(folder).as_posix())
    return empty


def shown_folders(names: list[str]) -> list[str]:
    """The names without those of caches and hidden folders, sorted."""
    return sorted(name for name in names if not name.startswith(".") and name != "__pycache__")


def refuse_wrong_kind(path: Path, wanted: str) -> None:
    """CrossquantError where a browser or `git` left something else in the place of the file."""
    if wrong := find_wrong_kind(path):
        raise CrossquantError(f"{path} is {wrong}, not {wanted}: get the file itself")


def list_below(folder: Path) -> list[str]:
    """Relative names of all files in `folder`; caches and hidden files left out.

    Links are followed within the folder. CrossquantError for one that leads out of it: who made the folder may not be
    who copies it, and could have any file of this host put where a stage reads it. Also for what is no file.
    """
    relative, linked = [], 0
    resolve = cache(real_path)  # else each link resolves all links on the way to it once more
    for place, folders, names in os.walk(folder, followlinks=True):
        linked += Path(place).is_symlink() and place != str(folder)
        if linked > MOST_LINKED:  # links to one another make few folders many
            raise CrossquantError(f"{folder} has more than {MOST_LINKED:,} links to folders: copy these in their place")
        folders[:] = shown_folders(folders)
        shown = [name for name in sorted(names) if name[0] != "."]
        for path in (Path(place) / name for name in (*folders, *shown)):
            refuse_link(path, folder, resolve)
        for path in (Path(place) / name for name in shown):
            if not path.is_file():  # a pipe would be waited for without end
                raise CrossquantError(f"{path} is no file: take it away, or put a file there")
            relative.append(path.relative_to(folder).as_posix())
    return relative


def real_path(path: Path) -> Path:
    """`path` without links. It doesn't have to be there."""
    return Path(os.path.realpath(path))


def refuse_link(path: Path, folder: Path, resolve: Callable[[Path], Path]) -> None:
    """CrossquantError where `path`, below `folder`, is a link out of it, to nothing, or to a folder that holds it."""
    if not path.is_symlink():
        return
    target, within = resolve(path), resolve(folder)
    around = [each for each in path.parents if each.is_relative_to(folder)]  # as it is reached, through other links
    if not target.is_relative_to(within):
        raise CrossquantError(f"{path} is a link to {target}, outside of {folder}: copy that there in its place")
    if not target.exists() or any(resolve(each).is_relative_to(target) for each in around):
        where = "to nothing" if not target.exists() else "to a folder that it is in"
        raise CrossquantError(f"{path} is a link {where}: take it away")


def hash_files(files: dict[str, Path]) -> dict[str, File]:
    return {name: File(store.file_sha256(path), path.stat().st_size) for name, path in sorted(files.items())}


def copy(files: dict[str, Path], folder: Path) -> None:
    """Copy files so that everyone can read them: the containers run as another user."""
    for name, path in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o644)
