"""A model's configuration, before Keras makes objects of it: what in it is more than layers that only compute?

Keras finds a class or a function by the names `module` and `class_name`. In its safe mode too it takes most of what it
exports, `keras.visualization.plot_image_gallery` and `keras.applications.ResNet50` among it. Here every name that Keras
can find by itself must be in the lists of `keras_names.py`; a name that it can't find is the user's own.
"""

from collections.abc import Iterator
from typing import Any

import keras
import keras.src.layers as every_layer
from keras.src.api_export import get_symbol_from_name
from keras.src.saving.serialization_lib import BUILTIN_MODULES

from images.keras.model import tf_ops
from images.keras.safety import keras_names as names
from images.keras.safety.tf_functions import FUNCTIONS

FUNCTION, LAMBDA = "function", "__lambda__"
TYPE = "__typespec__"
UNKNOWN = "which isn't known to only compute"
LAYERS = names.LAYERS | names.APPLICATION_LAYERS
BUILTINS = names.ACTIVATIONS | names.LOSSES | names.METRICS
PLAIN = (  # what has no `module`, as in HDF5
    *(LAYERS, names.MODELS, names.INITIALIZERS, names.REGULARIZERS, names.CONSTRAINTS, names.OPTIMIZERS, BUILTINS),
    *(names.POLICIES, names.QUANTIZERS, frozenset(("Lambda",))),
)
BY_MODULE = (  # by the beginning of a module's name; the first that fits counts
    ("keras.layers", LAYERS | {"Lambda"}),
    ("keras._legacy.layers", LAYERS),
    ("keras.models", names.MODELS),
    ("keras.engine", names.MODELS),  # of Keras 2
    ("keras.initializers", names.INITIALIZERS),
    ("keras.regularizers", names.REGULARIZERS),
    ("keras.constraints", names.CONSTRAINTS),
    ("keras.activations", names.ACTIVATIONS | names.OPERATIONS),
    ("keras.losses", names.LOSSES),
    ("keras.metrics", names.METRICS),
    ("keras.optimizers", names.OPTIMIZERS),
    ("keras.dtype_policies", names.POLICIES),
    ("keras.quantizers", names.QUANTIZERS),
    ("keras.ops", names.OPERATIONS | names.FUNCTIONS),
    ("keras.random", frozenset(("SeedGenerator",))),
    ("keras.legacy.layers", LAYERS),
    ("keras.applications", names.APPLICATION_LAYERS),
)
TOP = names.MODELS | {"DTypePolicy", "FloatDTypePolicy", "Initializer", "Quantizer", "Regularizer"}  # `keras` itself
PACKAGES = ("keras", "keras_hub", "keras_cv", "keras_nlp")  # Keras imports modules of these, and of no others


def findings(config: Any, layer: str = "the model") -> Iterator[str]:
    """One line for each thing that may not be loaded unless the file is trusted, however deep it lies."""
    if isinstance(config, dict):
        inner = config.get("config")
        name = inner.get("name") if isinstance(inner, dict) else None
        layer = f"layer '{shown(name)}'" if isinstance(name, str) else layer
        if "class_name" in config and (found := finding(config, inner)):
            yield f"{layer} {found}"
            return
    for item in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        yield from findings(item, layer)


def finding(item: dict[str, Any], inner: Any) -> str:
    """What is wrong with one `{class_name, config}` itself; "" if nothing is."""
    kind = item["class_name"]
    if not isinstance(kind, str):
        return f"names no class but {shown(kind)}"
    if kind == LAMBDA or (kind == "Lambda" and is_code(inner)):
        return "runs code that is in the file"
    if kind in tf_ops.NAMES or item.get("registered_name") == tf_ops.REGISTERED:
        called = inner.get("function") if isinstance(inner, dict) else None
        return "" if isinstance(called, str) and called in FUNCTIONS else f"calls tf.{shown(called)}, {UNKNOWN}"
    if kind in names.LOOKUPS and isinstance(inner, dict) and isinstance(inner.get("vocabulary"), str):
        return f"reads the file {shown(inner['vocabulary'])}"
    module, name = item.get("module"), item.get("spec_name") if kind == TYPE else inner if kind == FUNCTION else kind
    if allowed(module, name, is_function=kind == FUNCTION):
        return ""
    called = shown(f"{module}.{name}" if module else name)
    return f"calls {called}, {UNKNOWN}"


def is_code(lambda_config: Any) -> bool:
    """A Lambda layer may also name a function that the user's own file has: that is no code in the model."""
    function = lambda_config.get("function") if isinstance(lambda_config, dict) else None
    named = isinstance(function, str) or (isinstance(function, dict) and function.get("class_name") == FUNCTION)
    return not named


def allowed(module: Any, name: Any, *, is_function: bool) -> bool:
    """May this name be given to Keras? Yes for what only computes, and for what Keras can't find by itself."""
    if not isinstance(name, str) or not isinstance(module, str | None):
        return False
    if not module:
        return any(name in known for known in PLAIN) or not (name in vars(every_layer) or name in vars(keras.layers))
    if module == "builtins":
        return name in BUILTINS or not (is_function and is_exported(name))
    if module.split(".")[0] not in PACKAGES:
        return True
    place = module.replace("keras.src", "keras", 1)
    if place == "keras":
        return name in TOP
    return next((name in known for start, known in BY_MODULE if f"{place}.".startswith(f"{start}.")), False)


def is_exported(name: str) -> bool:
    """Could Keras find a function by this name alone?"""
    found = (get_symbol_from_name(f"keras.{module}.{name}") for module in BUILTIN_MODULES)
    return any(item is not None for item in found)


def shown(value: Any) -> str:
    """A part of the file as one line of printable characters."""
    return "".join(letter if letter.isprintable() else " " for letter in str(value))[:100]
