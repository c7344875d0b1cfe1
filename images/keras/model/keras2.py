"""Legacy HDF5 files: what Keras 2 wrote into a configuration and Keras 3 refuses is written anew.

A key is dropped only where it says what Keras 3 does anyway (`groups: 1`), or matters to training alone.
"""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
from keras.src.legacy.saving.legacy_h5_format import load_model_from_hdf5

from images.keras.model import tf_ops
from images.keras.safety import files
from images.keras.safety import keras_names as names

NEUTRAL = {"groups": 1, "time_major": False, "noise_shape": None}
FOR_TRAINING = ("_initializer", "_regularizer", "_constraint")
BUILT_BY_CALL = ("query_shape", "key_shape", "value_shape")  # of MultiHeadAttention
BY_EVERY_LAYER = {"name", "trainable", "dtype", "activity_regularizer", "batch_input_shape", "input_dim", "input_shape"}
RENAMED = {"SyncBatchNormalization": "BatchNormalization"}
LAYERS = {name: vars(keras.layers)[name] for name in names.LAYERS & vars(keras.layers).keys()}
Config = dict[str, Any]


class Mended(h5py.File):
    """A file that is open for reading, as if it had another configuration: nothing is written, or copied to memory."""

    def __init__(self, path: Path, config: Config) -> None:
        super().__init__(path)
        self.config = json.dumps(config)

    @property
    def attrs(self) -> dict[str, str]:
        return {"model_config": self.config}


def load(path: Path, objects: dict[str, Any], trust: bool) -> keras.Model:
    """The model without optimizer. `path` may be read-only: the configuration is mended beside it."""
    with h5py.File(path) as file:
        version, config = text(file.attrs.get("keras_version", "1")), text(file.attrs["model_config"])
    if not version.startswith(("1", "2")):
        return keras.models.load_model(path, custom_objects=objects, compile=False, safe_mode=not trust)
    today = mended(json.loads(config))
    files.check_config(today, path, trust)  # again: names with "/" are others now
    with Mended(path, today) as file:
        known = {**tf_ops.layers(trust), **objects}
        return load_model_from_hdf5(file, custom_objects=known, compile=False, safe_mode=not trust)


def text(attribute: Any) -> str:
    """An attribute of a file: old versions of h5py wrote bytes."""
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)


def mended(config: Config) -> Config:
    """A copy that Keras 3 reads."""
    changed = json.loads(json.dumps(config))
    for item in objects_in(changed):
        mend(item)
        if "layers" in item["config"] and "input_layers" in item["config"]:
            tf_ops.connect(item["config"])
    renamed: Config = rename(changed)
    return renamed


def objects_in(value: Any) -> Iterator[Config]:
    """Every `{class_name, config}` in a configuration, those inside first."""
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects_in(item)
    if isinstance(value, dict) and isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict):
        yield value


def mend(item: Config) -> None:
    """One object in place: a layer, an initializer."""
    config = item["config"]
    item["class_name"] = RENAMED.get(item["class_name"], item["class_name"])
    if isinstance(config.get("dtype"), dict):  # a mixed precision policy
        config["dtype"] = config["dtype"].get("config", {}).get("name", "float32")
    kind = LAYERS.get(item["class_name"])
    if kind is not None and item["class_name"] != "InputLayer":
        known = accepted(kind)
        for key in [key for key, value in config.items() if key not in known and droppable(key, value)]:
            del config[key]
        name_inner_modules(config)
    elif item["class_name"] in names.INITIALIZERS:
        config.pop("dtype", None)


def accepted(kind: type) -> set[str]:
    """The keys that a layer's constructors take, as far as one hands its other arguments to the next."""
    found = set(BY_EVERY_LAYER)
    for each in kind.__mro__:
        if "__init__" not in vars(each):
            continue
        parameters = inspect.signature(vars(each)["__init__"]).parameters.values()
        found |= {parameter.name for parameter in parameters}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def droppable(key: str, value: Any) -> bool:
    return (key in NEUTRAL and value == NEUTRAL[key]) or key.endswith(FOR_TRAINING) or key in BUILT_BY_CALL


def name_inner_modules(config: Config) -> None:
    """Say where a wrapped layer, a cell or a layer used as activation comes from: Keras 3 doesn't look for it."""
    inner = [config.get(key) for key in ("layer", "backward_layer", "cell", "activation")]
    cells = config.get("cells")
    for item in [*inner, *(cells if isinstance(cells, list) else ())]:
        if isinstance(item, dict) and item.get("class_name") in names.LAYERS:
            item.setdefault("module", "keras.layers")
            item.setdefault("registered_name", None)


def rename(value: Any) -> Any:
    """Names of layers without "/", which Keras 3 refuses. Weights are found by their order, not by names."""
    slashed = {item["config"].get("name") for item in objects_in(value)}
    new = {name: name.replace("/", "_") for name in slashed if isinstance(name, str) and "/" in name}
    return replaced(value, new) if new else value


def replaced(value: Any, new: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: replaced(item, new) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, new) for item in value]
    return new.get(value, value) if isinstance(value, str) else value
