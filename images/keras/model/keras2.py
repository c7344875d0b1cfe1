"""Files of Keras 2, HDF5 and archives: their configuration is rewritten where Keras 3 refuses it.

A key is dropped only where it says what Keras 3 does anyway (`groups: 1`), or where it matters to training alone.
"""

import inspect
import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import keras
from keras.src.legacy.saving import saving_options
from keras.src.legacy.saving.legacy_h5_format import load_model_from_hdf5
from keras.src.legacy.saving.saving_utils import model_from_config
from keras.src.saving.serialization_lib import SafeModeScope

from images.keras.model import cudnn, keras1, keras2_functions, lambdas, layer_weights, precision, tf_nodes, tf_ops
from images.keras.safety import files
from images.keras.safety import keras_names as names
from shared.errors import CrossquantError

DEFAULTS = {"groups": 1, "time_major": False, "noise_shape": None, "softmax_robust_masking": False}
TRAINING = ("trainable", "rng_type")
TRAINING_SUFFIXES = ("_initializer", "_regularizer", "_constraint")
BUILD_SHAPES = ("query_shape", "key_shape", "value_shape")  # of MultiHeadAttention
COMMON_ARGUMENTS = {
    "name",
    "trainable",
    "dtype",
    "activity_regularizer",
    "batch_input_shape",
    "input_dim",
    "input_shape",
}
ARCHIVE_KEYS = ("module", "registered_name", "build_config", "shared_object_id")  # of an object in an archive
WEIGHTS = "model.weights.h5"
MEMORY = "rewritten.h5"  # the name of a file that isn't written
GRU, ATTENTION = ("GRU", "GRUCell"), ("Attention", "AdditiveAttention")
RENAMED = {"SyncBatchNormalization": "BatchNormalization"}
LAYERS = {name: vars(keras.layers)[name] for name in names.LAYERS & vars(keras.layers).keys()}
Config = dict[str, Any]


class WithConfig(h5py.File):
    """A file, open for reading, that shows Keras another configuration: nothing is written, or copied to memory."""

    def __init__(self, path: Path | str, config: Config, **options: Any) -> None:
        super().__init__(path, **options)
        self.config = json.dumps(config)

    @property
    def attrs(self) -> dict[str, str]:
        return {"model_config": self.config}


def load_hdf5(path: Path, objects: dict[str, Any], trust: bool) -> keras.Model:
    """The model of an HDF5 file of any version of Keras, without optimizer. The file isn't changed.

    `objects` are the user's own classes and functions, by name; with `trust`, code inside of the file runs.
    CrossquantError where the configuration names what isn't known to only compute; Keras's own errors are passed on.
    """
    with h5py.File(path) as file:
        version = decode_attribute(file.attrs.get("keras_version", "1"))
        config = decode_attribute(file.attrs["model_config"])
        backend = decode_attribute(file.attrs.get("backend", ""))
    original = json.loads(config)
    if backend == "theano" and any("Conv" in item["class_name"] for item in nested_objects(original)):
        raise CrossquantError(
            f"{path.name} was saved with Theano, which turns the kernels of convolutions round: save it with TensorFlow"
        )
    old = version.startswith(("1", "2"))
    with_functions = lambdas.replace_code(original, objects)
    if version.startswith("1"):
        with_functions = keras1.convert_config(with_functions)
    converted = precision.widen(convert_config(with_functions) if old else with_functions)
    if not old and converted == original:  # not by `load_model`, which goes by the suffix
        return load_model_from_hdf5(str(path), custom_objects=objects, compile=False, safe_mode=not trust)
    files.check_config(converted, path, trust)  # again: names with "/" have changed
    custom_objects = {**tf_ops.keras2_classes(trust), **tf_nodes.keras2_classes(trust), **objects}
    find_rewrite = keras1.find_rewrite if version.startswith("1") else cudnn.find_rewrite
    with open_with_config(path, converted, original, find_rewrite) as file:
        return load_model_from_hdf5(file, custom_objects=custom_objects, compile=False, safe_mode=not trust)


@contextmanager
def open_with_config(
    path: Path, converted: Config, original: Config, find_rewrite: layer_weights.FindRewrite
) -> Iterator[WithConfig]:
    """The file with the `converted` configuration; a copy in memory where weights of the `original` are rewritten."""
    layers = layer_weights.find_layers(original)
    if not any(layer_weights.find_in_wrapper(layer, find_rewrite) for _, layer in layers):
        with WithConfig(path, converted) as file:
            yield file
        return
    with h5py.File(path) as source, WithConfig(MEMORY, converted, mode="w", driver="core", backing_store=False) as file:
        source.copy("model_weights", file)
        layer_weights.convert_weights(file["model_weights"], original, find_rewrite)
        yield file


def is_old_archive(path: Path) -> bool:
    """Was this .keras archive written by Keras 2? 2.12 to 2.15 did, in a form that Keras 3 doesn't read."""
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read("metadata.json"))
    return isinstance(metadata, dict) and str(metadata.get("keras_version", "")).startswith("2")


def load_archive(path: Path, objects: dict[str, Any], trust: bool) -> keras.Model:
    """The model of a .keras archive of Keras 2, without optimizer: its configuration in the form that HDF5 files have.

    Arguments and errors as in `load_hdf5`.
    """
    with zipfile.ZipFile(path) as archive, TemporaryDirectory() as folder:
        config = lambdas.replace_code(simplify_config(json.loads(archive.read("config.json"))), objects)
        converted = precision.widen(convert_config(config))
        files.check_config(converted, path, trust)
        custom_objects = {**tf_ops.keras2_classes(trust), **tf_nodes.keras2_classes(trust), **objects}
        with saving_options.keras_option_scope(use_legacy_config=True), SafeModeScope(not trust):
            model = model_from_config(converted, custom_objects=custom_objects)
        weights = Path(folder) / WEIGHTS
        with archive.open(WEIGHTS) as source, weights.open("wb") as target:
            shutil.copyfileobj(source, target)
        with h5py.File(weights, "r+") as file:
            files.count_stored_bytes(file, path)
            rename_groups(file)
        model.load_weights(weights)
    return model


def simplify_config(value: Any) -> Any:
    """A copy of an archive's configuration in the form that Keras 2 gave it in HDF5 files: without modules."""
    if isinstance(value, list):
        return [simplify_config(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind, inner = value.get("class_name"), value.get("config")
    if kind == "function":
        return value.get("registered_name") or inner
    if kind == "__tuple__":
        return simplify_config(value.get("items"))
    copied = {key: simplify_config(item) for key, item in value.items() if key not in ARCHIVE_KEYS or kind is None}
    if isinstance(kind, str) and isinstance(value.get("registered_name"), str):
        copied["class_name"] = value["registered_name"]
    return copied


def rename_groups(file: h5py.File) -> None:
    """Give the weights of an archive, in place, the places where Keras 3 looks for them.

    Keras 2.12 to 2.14 wrote `_layer_checkpoint_dependencies`, Keras 2 on Windows wrote backslashes.
    """
    arrays: list[str] = []
    file.visititems(lambda name, item: arrays.append(name) if isinstance(item, h5py.Dataset) else None)
    for name in arrays:
        place = name.replace("\\", "/").replace("_layer_checkpoint_dependencies", "layers")
        if place != name:
            file.move(name, place)


def decode_attribute(attribute: Any) -> str:
    """An attribute of a file as text: old versions of h5py wrote bytes."""
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)


def convert_config(config: Config) -> Config:
    """A copy of a Keras 2 model's configuration that Keras 3 reads."""
    converted: Config = name_layer_lists(json.loads(json.dumps(config)))
    for item in nested_objects(converted):
        convert_object(item)
        if item["class_name"] == "Sequential" and isinstance(item["config"].get("layers"), list):
            add_input_layer(item["config"])
        if "layers" in item["config"] and "input_layers" in item["config"]:
            tf_ops.rewrite_connections(item["config"])
    renamed: Config = rename_layers(converted)
    return renamed


def name_layer_lists(value: Any) -> Any:
    """A copy of a configuration in which a Sequential is a dictionary: up to Keras 2.2.2 it was the list of its layers.

    Its name is that which the model around it connects it by; without one, Keras names it.
    """
    if isinstance(value, list):
        return [name_layer_lists(item) for item in value]
    if not isinstance(value, dict):
        return value
    copied = {key: name_layer_lists(item) for key, item in value.items()}
    if copied.get("class_name") == "Sequential" and isinstance(copied.get("config"), list):
        copied["config"] = {"name": copied.get("name"), "layers": copied["config"]}
    return copied


def add_input_layer(sequential: Config) -> None:
    """Write the input of a Sequential, in place, as a layer before the first one: up to Keras 2.3 that one stated it.

    Keras 3 takes the batch of such a shape for one size of a sample.
    """
    items = [item for item in sequential["layers"] if isinstance(item, dict) and isinstance(item.get("config"), dict)]
    shapes = [item["config"].pop("batch_input_shape", None) for item in items if item["class_name"] != "InputLayer"]
    if shapes and shapes[0] and len(shapes) == len(items):
        first = items[0]["config"]
        config = {"batch_input_shape": shapes[0], "name": f"{first.get('name', 'sequential')}_input"}
        layer = {"class_name": "InputLayer", "config": config | {"dtype": first.get("dtype", "float32")}}
        sequential["layers"].insert(0, layer)


def nested_objects(value: Any) -> Iterator[Config]:
    """Every `{class_name, config}` in a configuration, inner ones first."""
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nested_objects(item)
    if isinstance(value, dict) and isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict):
        yield value


def convert_object(item: Config) -> None:
    """Rewrite one `{class_name, config}` in place: a layer or an initializer."""
    config = item["config"]
    item["class_name"] = RENAMED.get(item["class_name"], item["class_name"])
    cudnn.convert_layer(item)
    if isinstance(config.get("dtype"), dict):  # a mixed precision policy
        config["dtype"] = config["dtype"].get("config", {}).get("name", "float32")
    change_settings(item)
    kind = LAYERS.get(item["class_name"])
    if kind is not None and item["class_name"] != "InputLayer":
        arguments = accepted_arguments(kind)
        for key in [key for key, value in config.items() if key not in arguments and is_droppable(key, value)]:
            del config[key]
        add_inner_modules(config)
        keras2_functions.use_keras2_functions(config)
    elif item["class_name"] in names.INITIALIZERS:
        config.pop("dtype", None)


def change_settings(layer: Config) -> None:
    """Rewrite settings, in place, that Keras 3 reads otherwise or by another name."""
    kind, config = layer["class_name"], layer["config"]
    if kind == "ThresholdedReLU":
        layer["class_name"], config["threshold"] = "ReLU", config.pop("theta", 1.0)
    elif kind in GRU:
        config.setdefault("reset_after", False)  # files before Keras 2.1 don't say it; Keras 3's default is True
    elif kind in ATTENTION and config.get("score_mode") == "dot":
        del config["score_mode"]  # the default; Keras 3's reader would take it for its function of that name
    elif kind == "Discretization" and "int" in str(config.get("dtype")):
        del config["dtype"]  # that of the output: Keras 3 would cast the input to it


def accepted_arguments(layer: type) -> set[str]:
    """The arguments of a layer's constructor, and of its base classes' as far as it passes others on to them."""
    names: set[str] = set()
    for base in layer.__mro__:
        if base is keras.layers.Layer:
            return names | COMMON_ARGUMENTS
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        names |= {parameter.name for parameter in parameters}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return names


def is_droppable(key: str, value: Any) -> bool:
    is_default = key in DEFAULTS and value == DEFAULTS[key]
    return is_default or key.endswith(TRAINING_SUFFIXES) or key in (*TRAINING, *BUILD_SHAPES)


def add_inner_modules(config: Config) -> None:
    """Add the module of a wrapped layer, a cell, or a layer used as activation: Keras 3 doesn't look for it."""
    inner = [config.get(key) for key in ("layer", "backward_layer", "cell", "activation")]
    cells = config.get("cells")
    for item in [*inner, *(cells if isinstance(cells, list) else ())]:
        if isinstance(item, dict) and item.get("class_name") in names.LAYERS:
            item.setdefault("module", "keras.layers")
            item.setdefault("registered_name", None)


def rename_layers(config: Any) -> Any:
    """Replace "/" in the names of layers, which Keras 3 refuses. Weights are matched by order, not by name."""
    names = {item["config"].get("name") for item in nested_objects(config)}
    renamed = {name: name.replace("/", "_") for name in names if isinstance(name, str) and "/" in name}
    return replace_texts(config, renamed) if renamed else config


def replace_texts(value: Any, replacements: dict[str, str]) -> Any:
    """A copy of a configuration in which every text that is a key of `replacements` is replaced."""
    if isinstance(value, dict):
        return {key: replace_texts(item, replacements) for key, item in value.items()}
    if isinstance(value, list):
        return [replace_texts(item, replacements) for item in value]
    return replacements.get(value, value) if isinstance(value, str) else value
