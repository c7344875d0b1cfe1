"""Files of Keras 1, of 2015 to the spring of 2017: settings and weights in the form of Keras 2.

What Keras 2 has by another name is renamed; a setting whose other values it lacks must have the value that it assumes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from images.keras.model.layer_weights import Rewrite
from shared.errors import CrossquantError

Config = dict[str, Any]
WEIGHTS_OF_GATES = {"LSTM": 12, "GRU": 9}  # kernel, recurrent kernel and bias of each gate
GATES = {
    "LSTM": (0, 2, 1, 3),
    "GRU": (0, 1, 2),
}  # Keras 1 has input, cell, forget and output; Keras 2 forget before cell
CLASSES = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
    "Highway": "",
    "MaxoutDense": "",
    "Deconvolution2D": "",
    "ParametricSoftplus": "",
    "SReLU": "",
    "TimeDistributedDense": "",
}  # "": Keras 2 has none
MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate"}
SETTINGS = {
    "output_dim": "units",
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "subsample": "strides",
    "subsample_length": "strides",
    "border_mode": "padding",
    "bias": "use_bias",
    "atrous_rate": "dilation_rate",
    "pool_length": "pool_size",
    "inner_activation": "recurrent_activation",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
}
BY_CLASS = {
    "Embedding": {"output_dim": "output_dim"},
    "Dropout": {"p": "rate"},
    "SpatialDropout1D": {"p": "rate"},
    "SpatialDropout2D": {"p": "rate"},
    "GaussianDropout": {"p": "rate"},
    "GaussianNoise": {"sigma": "stddev"},
    "MaxPooling1D": {"stride": "strides"},
    "AveragePooling1D": {"stride": "strides"},
    "UpSampling1D": {"length": "size"},
}
TRAINING = (
    "init",
    "inner_init",
    "forget_bias_init",
    "beta_init",
    "gamma_init",
    "consume_less",
    "input_dtype",
    "weights",
)
ASSUMED = {"mode": 0, "dropout": 0.0}  # of a normalization, of an embedding
CONVOLUTIONS = ("Convolution1D", "AtrousConvolution1D")


def convert_config(value: Any) -> Any:
    """A copy of a part of a Keras 1 model's configuration in the form of Keras 2.

    CrossquantError for a layer or a setting that Keras 2 lacks.
    """
    if isinstance(value, list):
        return [convert_config(item) for item in value]
    if not isinstance(value, dict):
        return value
    copied = {key: convert_config(item) for key, item in value.items()}
    if isinstance(copied.get("class_name"), str) and isinstance(copied.get("config"), dict):
        convert_layer(copied)
    return copied


def convert_layer(layer: Config) -> None:
    """Rewrite one layer in place."""
    kind, config = layer["class_name"], layer["config"]
    if kind == "InputLayer":
        config["dtype"] = config.pop("input_dtype", "float32")
        return
    if "layers" in config and kind != "Merge":
        return
    if kind == "Merge":
        convert_merge(layer)
        return
    if CLASSES.get(kind) == "":
        raise CrossquantError(f"layer '{config.get('name')}' is a {kind} of Keras 1, which no later version has")
    layer["class_name"] = CLASSES.get(kind, kind)
    if config.pop("dim_ordering", "tf") == "th":
        raise CrossquantError(
            f"layer '{config.get('name')}' has the order of Theano (dim_ordering: th): save the model for TensorFlow"
        )
    if "nb_row" in config:
        config["kernel_size"] = [config.pop("nb_row"), config.pop("nb_col")]
    rename_settings(layer, SETTINGS | BY_CLASS.get(kind, {}))


def rename_settings(layer: Config, names: dict[str, str]) -> None:
    """Rename the settings of one layer in place, and remove those for training alone."""
    config = layer["config"]
    for key in list(config):
        if key in TRAINING or key.endswith(("_regularizer", "_constraint")):
            del config[key]
        elif key in ASSUMED and layer["class_name"] in ("BatchNormalization", "Embedding"):
            check_assumed(layer, key, config.pop(key))
        elif key in names:
            config[names[key]] = config.pop(key)


def check_assumed(layer: Config, key: str, value: Any) -> None:
    """CrossquantError for a setting that has another value than the one that Keras 2 assumes."""
    if value != ASSUMED[key]:
        name = layer["config"].get("name")
        raise CrossquantError(f"layer '{name}' has {key}: {value}, which Keras has done without since version 2")


def convert_merge(layer: Config) -> None:
    """Rewrite a Merge layer in place: Keras 2 has a layer for each of its modes."""
    config = layer["config"]
    mode = config.get("mode")
    if mode not in MERGES or config.get("layers"):
        raise CrossquantError(f"layer '{config.get('name')}' merges by {mode}: save the model with Keras 2")
    layer["class_name"] = MERGES[mode]
    axis = {"axis": config.get("concat_axis", -1)} if mode == "concat" else {}
    layer["config"] = {"name": config.get("name"), **axis}


def find_rewrite(kind: str) -> Rewrite | None:
    """The function that rewrites the weights of a layer of this class; None where they stay."""
    if kind in CONVOLUTIONS:
        return lambda arrays: [flatten_kernel(arrays[0]), *arrays[1:]]
    if kind in GATES:
        return lambda arrays: join_gates(arrays, kind)
    return None


def flatten_kernel(kernel: np.ndarray) -> np.ndarray:
    """The kernel of a convolution along one axis: Keras 1 computed it along two, some versions in Theano's order."""
    ordered = kernel if kernel.shape[1] == 1 else kernel.transpose(2, 3, 1, 0)
    return np.asarray(ordered[:, 0])


def join_gates(arrays: Sequence[np.ndarray], kind: str) -> list[np.ndarray]:
    """Kernel, recurrent kernel and bias of a layer, from those of each of its gates."""
    if len(arrays) != WEIGHTS_OF_GATES[kind]:
        return list(arrays)
    return [np.concatenate([arrays[3 * gate + part] for gate in GATES[kind]], axis=-1) for part in range(3)]
