"""HDF5 files as Keras 2.8 wrote them: configuration, optimizer state and all, made from a Keras 3 model."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras

EXTRA: dict[str, dict[str, Any]] = {  # what get_config() of Keras 2 had beside what Keras 3's has
    "DepthwiseConv2D": {"groups": 1},
    "Conv2DTranspose": {"groups": 1},
    "SeparableConv2D": {
        "groups": 1,
        "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
        "kernel_regularizer": None,
        "kernel_constraint": None,
    },
    "LSTM": {"time_major": False, "implementation": 2},
    "GRU": {"time_major": False, "implementation": 2},
    "SimpleRNN": {"time_major": False},
    "SpatialDropout2D": {"noise_shape": None},
    "MultiHeadAttention": {"query_shape": [None, 4, 6], "key_shape": [None, 4, 6], "value_shape": [None, 4, 6]},
    "BatchNormalization": {"axis": [-1]},
}


def save(model: keras.Model, path: Path, name: str = "Functional") -> Path:
    """`model` as a file of Keras 2.8, with the state of an optimizer; `name` is the class that it says it is."""
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = older(json.loads(file.attrs["model_config"]))
        config["class_name"] = name
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.8.0"
        file.attrs["training_config"] = json.dumps({"loss": "their_own_loss", "optimizer_config": OPTIMIZER})
        state = file.require_group("optimizer_weights")
        state.attrs["weight_names"] = [b"Adam/iter:0"]
        state.create_dataset("Adam/iter:0", data=7)
    return path


OPTIMIZER = {"class_name": "Adam", "config": {"name": "Adam", "learning_rate": 0.001, "decay": 0.0}}


def edit(path: Path, change: Any) -> Path:
    """Pass the configuration in the file through `change`."""
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(change(json.loads(file.attrs["model_config"])))
    return path


def older(value: Any) -> Any:
    """A part of a configuration in the form of Keras 2."""
    if isinstance(value, list):
        return [older(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "DTypePolicy":
        return value["config"]["name"]
    converted = {
        key: older(item) for key, item in value.items() if key not in ("module", "registered_name", "build_config")
    }
    if "class_name" in converted and isinstance(converted.get("config"), dict):
        converted["config"] = settings(converted["class_name"], converted["config"])
    if "inbound_nodes" in converted:
        converted["inbound_nodes"] = [connection(node) for node in value["inbound_nodes"]]
    return converted


def settings(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    config = {**config, **EXTRA.get(kind, {})}
    for key in ("optional", "quantization_config", "autocast"):
        config.pop(key, None)
    if kind == "InputLayer":
        config["batch_input_shape"] = config.pop("batch_shape")
    if kind in ("GlorotUniform", "RandomUniform", "VarianceScaling"):
        for key in ("input_axes", "output_axes"):
            config.pop(key, None)
        config["dtype"] = "float32"
    return config


def connection(node: dict[str, Any]) -> list[Any]:
    """[[layer, node, tensor, arguments by name], …], a tensor among the arguments as [layer, node, tensor]."""
    tensors, *more = (history(item) for item in node["args"])
    tensors = tensors if isinstance(tensors[0], list) else [tensors]
    by_name = {key: history(item) for key, item in node["kwargs"].items()}
    if more:  # the values of attention, which Keras 2 passed by name
        by_name["value"] = more[0]
    return [[*tensor, by_name] for tensor in tensors]


def history(value: Any) -> Any:
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        return value["config"]["keras_history"]
    return [history(item) for item in value] if isinstance(value, list) else value


def save_archive(model: keras.Model, path: Path, version: str) -> Path:
    """`model` as a .keras archive of Keras 2: of 2.13 for "2.13.1", as Windows wrote it for "2.15.0"."""
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        config = with_modules(older(json.loads(archive.read("config.json"))))
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights, "r+") as file:
        if version == "2.13.1":
            file.move("layers", "_layer_checkpoint_dependencies")
        else:
            names: list[str] = []
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            for name in names:
                layer, _, variable = name.partition("/vars/")
                file.move(name, layer.replace("/", "\\") + f"/vars/{variable}")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version, "date_saved": "2024-01-19@02:09:15"}))
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())
    return path


def with_modules(value: Any) -> Any:
    """A part of a configuration with the modules that Keras 2 wrote into an archive."""
    if isinstance(value, list):
        return [with_modules(item) for item in value]
    if not isinstance(value, dict):
        return value
    converted = {key: with_modules(item) for key, item in value.items()}
    if "class_name" in converted:
        kind = converted["class_name"]
        modules = {"Functional": "keras.src.engine.functional", "Sequential": "keras"}
        found = "keras.layers" if hasattr(keras.layers, kind) else "keras.initializers"
        converted["module"] = modules.get(kind, found)
        converted["registered_name"] = kind if kind == "Functional" else None
        converted["build_config"] = {"input_shape": [None, 4]}
    return converted
