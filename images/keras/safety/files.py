"""Look at a model file before anything opens it: a file that unpacks without end, or that runs code, is refused."""

import json
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import h5py
import keras

from images.keras.safety import configuration, program
from shared.errors import CrossquantError

MEMBERS = ("config.json", "metadata.json")
MOST_RATIO, LEAST_BOMB = 100, 1 << 26  # float weights hardly shrink; what unpacks to less bytes than this is harmless
PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib")
MOST_SHOWN = 8  # operators in one message
ALLOWED = "--trust allows that, in the container"


def check(path: Path, trust: bool) -> None:
    """CrossquantError for what must not be loaded; with `trust`, code inside of the model is no reason."""
    if path.is_dir():
        check_saved_model(path, trust)
        return
    with path.open("rb") as file:
        refuse_pickle(file.read(2), path.name)
    check_config(archive_config(path) if path.suffix == ".keras" else hdf5_config(path), path, trust)


def check_config(config: Any, path: Path, trust: bool) -> None:
    """CrossquantError for a configuration that names more than what only computes."""
    try:
        found = next(configuration.findings(config), "")
    except RecursionError:
        cant_load(path, "its configuration is nested too deeply: get it again")
    if found and not trust:
        raise CrossquantError(f"{path.name}: {found}: {ALLOWED}; or write it as a layer in custom_objects.py")


def refuse_pickle(start: bytes, name: str) -> None:
    if start in PICKLES or name.endswith(PICKLE_SUFFIXES):
        raise CrossquantError(f"{name} is a pickle, which runs code as it is opened: save the model as .keras instead")


def cant_load(path: Path, reason: str) -> NoReturn:
    raise CrossquantError(f"Keras {keras.__version__} can't load {path.name}: {reason}")


def archive_config(path: Path) -> Any:
    """The configuration in a .keras archive; nothing else is unpacked."""
    if not zipfile.is_zipfile(path):  # Keras calls it "not found"
        cant_load(path, "it is no .keras archive, or is cut short: get it again")
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(archive, path)
            config = json.loads(archive.read(MEMBERS[0]))
            return {**config, "compile_config": None}  # Keras is told not to look at it
    except (ValueError, TypeError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        cant_load(path, f"{error}: get it again")


def check_members(archive: zipfile.ZipFile, path: Path) -> None:
    members = archive.infolist()
    for member in members:
        inside = PurePosixPath(member.filename.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts:
            raise CrossquantError(f"{path.name} would write outside of its folder ({member.filename!r}): don't use it")
    refuse_bomb(sum(member.file_size for member in members), path)
    for name in MEMBERS:
        if name not in archive.namelist():
            cant_load(path, f"it has no {name}: save the model again with model.save('model.keras')")
    for member in members:
        with archive.open(member) as file:
            refuse_pickle(file.read(2), f"{path.name}: {member.filename}")


def refuse_bomb(unpacked: int, path: Path) -> None:
    """`unpacked`: the bytes that the file says it holds; neither format lets it hold more than it says."""
    packed = path.stat().st_size
    if unpacked > max(LEAST_BOMB, MOST_RATIO * packed):
        sizes = f"{unpacked / 1e9:.1f} GB, from {packed / 1e6:.1f} MB"
        raise CrossquantError(f"{path.name} would unpack to {sizes}: that is no model's weights; don't use it")


def hdf5_config(path: Path) -> Any:
    """The configuration in a legacy HDF5 file."""
    try:
        with h5py.File(path) as file:
            refuse_bomb(stored(file, path), path)
            config = file.attrs.get("model_config")
    except (OSError, RuntimeError, KeyError) as error:
        cant_load(path, f"{error}: it is no HDF5 file, or is cut short: get it again")
    if config is None:
        cant_load(path, "it holds weights without a model: save it with model.save(), not save_weights()")
    try:
        return json.loads(config)
    except (ValueError, TypeError, RecursionError) as error:
        cant_load(path, f"its configuration can't be read ({error}): get it again")


def stored(file: h5py.File, path: Path) -> int:
    """Bytes of all arrays. CrossquantError for one that lies in another file."""
    arrays: list[h5py.Dataset] = []
    links: dict[str, object] = {}
    file.visititems_links(links.__setitem__)  # nothing may raise in there: HDF5 would hide it
    file.visititems(lambda _, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
    elsewhere = [name for name, link in links.items() if isinstance(link, h5py.ExternalLink)]
    elsewhere += [array.name.lstrip("/") for array in arrays if array.external or array.is_virtual]
    if elsewhere:
        raise CrossquantError(f"{path.name} reads another file ({elsewhere[0]!r}): don't use it")
    return sum(array.nbytes for array in arrays)


def check_saved_model(folder: Path, trust: bool) -> None:
    """A SavedModel is a program of TensorFlow's operators: some reach out of it."""
    found = program.refused(program.read(folder))
    if found and not trust:
        more = f", and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
        names = ", ".join(map(configuration.shown, found[:MOST_SHOWN]))
        raise CrossquantError(
            f"{folder.name} has operators that aren't known to only compute ({names}{more}): {ALLOWED}"
        )
