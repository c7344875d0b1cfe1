"""Checks a model file before anything opens it: a file that unpacks without end, or that runs code, is refused."""

import json
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import h5py
import keras

from images.keras.model import lambdas
from images.keras.safety import configuration, program
from shared.errors import CrossquantError

REQUIRED_MEMBERS = ("config.json", "metadata.json")
BOMB_RATIO, BOMB_SIZE = 100, 1 << 26  # float weights hardly shrink; fewer bytes than BOMB_SIZE are harmless
PICKLE_STARTS = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib")
LISTED = 8  # operators in one message, at most
TRUST_HINT = "--trust allows that, in the container"
CODE_HINT = "define it in the file of --code, for a Lambda layer as a function of the layer's name"


def check_file(path: Path, trust: bool, functions: Collection[str] = ()) -> Any:
    """The configuration of a model file; None for the folder of a SavedModel.

    `functions` are the names that the user's own file defines: they take the place of code in Lambda layers.
    CrossquantError for one that must not be loaded. With `trust`, code inside of the model is allowed; a pickle or a
    zip bomb never is.
    """
    if path.is_dir():
        check_saved_model(path, trust)
        return None
    with path.open("rb") as file:
        refuse_pickle(file.read(2), path.name)
    config = read_hdf5_config(path) if is_hdf5(path) else read_archive_config(path)
    check_config(config, path, trust, functions)
    return config


def is_hdf5(path: Path) -> bool:
    """Is this model file to be read as HDF5? Up to TensorFlow 2.11 Keras wrote HDF5 under the name .keras too."""
    return path.suffix != ".keras" or (not zipfile.is_zipfile(path) and bool(h5py.is_hdf5(path)))


def check_config(config: Any, path: Path, trust: bool, functions: Collection[str] = ()) -> None:
    """CrossquantError for a configuration that names what isn't known to only compute, unless the file is trusted.

    Also for trusted code that can't be read. `functions`: as in `check_file`.
    """
    try:
        replaced = lambdas.replace_code(config, functions)
        problem = next(configuration.find_problems(replaced), "")
    except RecursionError:
        fail_to_load(path, "its configuration is nested too deeply: get it again")
    if problem and not trust:
        raise CrossquantError(f"{path.name}: {problem}: {TRUST_HINT}; or {CODE_HINT}")
    lambdas.check_code(replaced, path.name)


def refuse_pickle(start: bytes, name: str) -> None:
    """CrossquantError for a file of this name that begins as a pickle does."""
    if start in PICKLE_STARTS or name.endswith(PICKLE_SUFFIXES):
        raise CrossquantError(f"{name} is a pickle, which runs code as it is opened: save the model as .keras instead")


def fail_to_load(path: Path, reason: str) -> NoReturn:
    """CrossquantError that Keras can't load the file, with the reason."""
    raise CrossquantError(f"Keras {keras.__version__} can't load {path.name}: {reason}")


def read_archive_config(path: Path) -> Any:
    """The configuration in a .keras archive; nothing else is unpacked."""
    if not zipfile.is_zipfile(path):  # Keras calls it "not found"
        fail_to_load(path, "it is no .keras archive, or is cut short: get it again")
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(archive, path)
            config = json.loads(archive.read(REQUIRED_MEMBERS[0]))
            return {**config, "compile_config": None}  # Keras doesn't read it, with compile=False
    except (ValueError, TypeError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        fail_to_load(path, f"{error}: get it again")


def check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """CrossquantError for members that would leave the folder, unpack without end, are missing, or are pickles."""
    members = archive.infolist()
    for member in members:
        inner_path = PurePosixPath(member.filename.replace("\\", "/"))
        if inner_path.is_absolute() or ".." in inner_path.parts:
            raise CrossquantError(f"{path.name} would write outside of its folder ({member.filename!r}): don't use it")
    refuse_zip_bomb(sum(member.file_size for member in members), path)
    for name in REQUIRED_MEMBERS:
        if name not in archive.namelist():
            fail_to_load(path, f"it has no {name}: save the model again with model.save('model.keras')")
    for member in members:
        with archive.open(member) as file:
            refuse_pickle(file.read(2), f"{path.name}: {member.filename}")


def refuse_zip_bomb(unpacked: int, path: Path) -> None:
    """CrossquantError for a file that unpacks to far more than its size.

    `unpacked`: the bytes that the file says it holds; neither format lets it hold more.
    """
    packed = path.stat().st_size
    if unpacked > max(BOMB_SIZE, BOMB_RATIO * packed):
        sizes = f"{unpacked / 1e9:.1f} GB, from {packed / 1e6:.1f} MB"
        raise CrossquantError(f"{path.name} would unpack to {sizes}, far more than weights do: don't use it")


def read_hdf5_config(path: Path) -> Any:
    """The configuration in an HDF5 file. CrossquantError where it has none, or reads another file."""
    try:
        with h5py.File(path) as file:
            refuse_zip_bomb(count_stored_bytes(file, path), path)
            config = file.attrs.get("model_config")
    except (OSError, RuntimeError, KeyError) as error:
        fail_to_load(path, f"{error}: it is no HDF5 file, or is cut short: get it again")
    if config is None:
        fail_to_load(path, "it holds weights without a model: save it with model.save(), not save_weights()")
    try:
        return json.loads(config)
    except (ValueError, TypeError, RecursionError) as error:
        fail_to_load(path, f"its configuration can't be read ({error}): get it again")


def count_stored_bytes(file: h5py.File, path: Path) -> int:
    """The bytes of all arrays. CrossquantError where one is in another file."""
    arrays: list[h5py.Dataset] = []
    links: dict[str, object] = {}
    file.visititems_links(links.__setitem__)  # this callback must not raise: HDF5 would hide it
    file.visititems(lambda _, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
    external = [name for name, link in links.items() if isinstance(link, h5py.ExternalLink)]
    external += [array.name.lstrip("/") for array in arrays if array.external or array.is_virtual]
    if external:
        raise CrossquantError(f"{path.name} reads another file ({external[0]!r}): don't use it")
    return sum(array.nbytes for array in arrays)


def check_saved_model(folder: Path, trust: bool) -> None:
    """CrossquantError for a SavedModel with operators that aren't known to only compute, unless it is trusted."""
    operators = program.find_unsafe_operators(program.read_program(folder))
    if operators and not trust:
        more = f", and {len(operators) - LISTED} more" if len(operators) > LISTED else ""
        names = ", ".join(map(configuration.shown, operators[:LISTED]))
        raise CrossquantError(
            f"{folder.name} has operators that aren't known to only compute ({names}{more}): {TRUST_HINT}"
        )
