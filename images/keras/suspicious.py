"""Look at a model file before anything opens it: a file that unpacks without end, or that runs code, is refused."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import h5py
import keras

from shared.errors import CrossquantError

MEMBERS = ("config.json", "metadata.json")
MOST_RATIO, LEAST_BOMB = 100, 1 << 26  # float weights hardly shrink; what unpacks to less bytes than this is harmless
PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib")
CODE = ("Lambda", "__lambda__")
EFFECTS = ("ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "PyFuncStateless", "EagerPyFunc")


def check(path: Path, trust: bool) -> None:
    """CrossquantError for what must not be loaded; with `trust`, code inside of the model is no reason."""
    if path.is_dir():
        check_saved_model(path, trust)
        return
    with path.open("rb") as file:
        refuse_pickle(file.read(2), path.name)
    config = archive_config(path) if path.suffix == ".keras" else hdf5_config(path)
    layer = next(code_in(config), "")
    if layer and not trust:
        raise CrossquantError(
            f"{path.name} has Lambda code ({layer}), which runs code from the file: "
            "--trust allows that, in the container; or write it as a layer in custom_objects.py"
        )


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
            return json.loads(archive.read(MEMBERS[0]))
    except (ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
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
    return json.loads(config)


def stored(file: h5py.File, path: Path) -> int:
    """Bytes of all arrays. CrossquantError for one that lies in another file."""
    arrays: list[h5py.Dataset] = []
    links: dict[str, object] = {}
    file.visititems_links(links.__setitem__)  # nothing may raise in there: HDF5 would hide it
    file.visititems(lambda _, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
    elsewhere = [name for name, link in links.items() if isinstance(link, h5py.ExternalLink)]
    elsewhere += [array.name.lstrip("/") for array in arrays if array.external]
    if elsewhere:
        raise CrossquantError(f"{path.name} reads another file ({elsewhere[0]!r}): don't use it")
    return sum(array.nbytes for array in arrays)


def code_in(config: Any, layer: str = "") -> Iterator[str]:
    """Where there is Python code in a configuration, however deep: the layer's name, or what is known."""
    if isinstance(config, dict):
        inner = config.get("config")
        name = inner.get("name") if isinstance(inner, dict) else None
        layer = f"layer '{name}'" if isinstance(name, str) else layer
        if config.get("class_name") == CODE[1] or (config.get("class_name") == CODE[0] and is_code(inner)):
            yield layer or "not in a layer"
            return
    for item in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        yield from code_in(item, layer)


def is_code(lambda_config: Any) -> bool:
    """A Lambda layer may also name a function that the user's own file has: that is no code in the model."""
    function = lambda_config.get("function") if isinstance(lambda_config, dict) else None
    named = isinstance(function, str) or (isinstance(function, dict) and function.get("class_name") == "function")
    return not named


def check_saved_model(folder: Path, trust: bool) -> None:
    """A SavedModel is a program of TensorFlow's operators: some reach out of it."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel  # noqa: PLC0415 - not needed for the other formats

    holder = SavedModel()
    try:
        holder.ParseFromString((folder / "saved_model.pb").read_bytes())
    except Exception as error:
        raise CrossquantError(f"{folder.name} is no SavedModel, or is cut short ({error}): get it again") from error
    graphs = [meta.graph_def for meta in holder.meta_graphs]
    nodes = [node for graph in graphs for node in graph.node]
    nodes += [node for graph in graphs for function in graph.library.function for node in function.node_def]
    found = sorted({node.op for node in nodes if node.op in EFFECTS})
    if found and not trust:
        raise CrossquantError(
            f"{folder.name} reads or writes files, or calls Python ({', '.join(found)}): "
            "--trust allows that, in the container"
        )
