"""Checks a model's configuration, before Keras makes objects of it, for names of what does more than compute.

Keras finds a class or a function by the names `module` and `class_name`. Its safe mode too accepts most of what Keras
exports, such as `keras.visualization.plot_image_gallery` and `keras.applications.ResNet50`. Here every name that Keras
can find by itself must be in the lists of `keras_names.py`; a name that it can't find is the user's own.
"""

from collections.abc import Iterator
from typing import Any

import keras
import keras.src.layers as all_layers
from keras.src.api_export import get_symbol_from_name
from keras.src.saving.serialization_lib import BUILTIN_MODULES

from images.keras.model import tf_nodes, tf_ops
from images.keras.safety import keras_names as names
from images.keras.safety.tf_functions import FUNCTIONS
from images.keras.safety.tf_operators import COMPUTE
from shared.text import printable

FUNCTION, LAMBDA = "function", "__lambda__"
TYPE = "__typespec__"
UNKNOWN = "which isn't known to only compute"
LAYERS = names.LAYERS | names.APPLICATION_LAYERS
BUILTINS = names.ACTIVATIONS | names.LOSSES | names.METRICS
WITHOUT_MODULE = (  # what a name without `module` may be, as in HDF5
    *(LAYERS, names.MODELS, names.INITIALIZERS, names.REGULARIZERS, names.CONSTRAINTS, names.OPTIMIZERS, BUILTINS),
    *(names.POLICIES, names.QUANTIZERS, frozenset(("Lambda",))),
)
BY_MODULE = (  # by the beginning of a module's name; the first match counts
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
TOP_LEVEL = names.MODELS | {
    "DTypePolicy",
    "FloatDTypePolicy",
    "Initializer",
    "Quantizer",
    "Regularizer",
}  # `keras` itself
PACKAGES = ("keras", "keras_hub", "keras_cv", "keras_nlp")  # Keras imports modules of these only
LONGEST = 100  # characters of a name from the file in a message


def find_problems(config: Any, layer: str = "the model") -> Iterator[str]:
    """One line for each object, however deep, that may not be loaded unless the file is trusted.

    `layer` names the layer around `config` in these lines.
    """
    if isinstance(config, dict):
        inner = config.get("config")
        name = inner.get("name") if isinstance(inner, dict) else None
        layer = f"layer '{shown(name)}'" if isinstance(name, str) else layer
        if "class_name" in config and (problem := check_object(config, inner)):
            yield f"{layer} {problem}"
            return
    for item in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        yield from find_problems(item, layer)


def check_object(item: dict[str, Any], inner: Any) -> str:
    """The problem of one `{class_name, config}` itself; "" if it only computes. `inner` is its `config`."""
    kind = item["class_name"]
    if not isinstance(kind, str):
        return f"names no class but {shown(kind)}"
    if kind == LAMBDA or (kind == "Lambda" and is_code(inner)):
        return "runs code that is in the file"
    if kind in tf_ops.CLASS_NAMES or item.get("registered_name") == tf_ops.REGISTERED_NAME:
        function = inner.get("function") if isinstance(inner, dict) else None
        return "" if isinstance(function, str) and function in FUNCTIONS else f"calls tf.{shown(function)}, {UNKNOWN}"
    if kind in tf_nodes.CLASS_NAMES or item.get("registered_name") == tf_nodes.REGISTERED_NAME:
        operator = tf_nodes.read_operator(inner.get("node_def") if isinstance(inner, dict) else None)
        return "" if operator in COMPUTE else f"calls {shown(operator)}, {UNKNOWN}"
    if kind in names.LOOKUPS and isinstance(inner, dict) and isinstance(inner.get("vocabulary"), str):
        return f"reads the file {shown(inner['vocabulary'])}"
    module, name = item.get("module"), item.get("spec_name") if kind == TYPE else inner if kind == FUNCTION else kind
    if is_allowed(module, name, is_function=kind == FUNCTION):
        return ""
    return f"calls {shown(f'{module}.{name}' if module else name)}, {UNKNOWN}"


def is_code(lambda_config: Any) -> bool:
    """Does a Lambda layer hold code? It may also name a function of the user's own file: that is allowed."""
    function = lambda_config.get("function") if isinstance(lambda_config, dict) else None
    is_name = isinstance(function, str) or (isinstance(function, dict) and function.get("class_name") == FUNCTION)
    return not is_name


def is_allowed(module: Any, name: Any, *, is_function: bool) -> bool:
    """May Keras look this name up? Yes for what only computes, and for what Keras can't find by itself."""
    if not isinstance(name, str) or not isinstance(module, str | None):
        return False
    if not module:
        return any(name in allowed for allowed in WITHOUT_MODULE) or not (
            name in vars(all_layers) or name in vars(keras.layers)
        )
    if module == "builtins":
        return name in BUILTINS or not (is_function and is_exported(name))
    if module.split(".")[0] not in PACKAGES:
        return True
    public_module = module.replace("keras.src", "keras", 1)
    if public_module == "keras":
        return name in TOP_LEVEL
    return next((name in allowed for start, allowed in BY_MODULE if f"{public_module}.".startswith(f"{start}.")), False)


def is_exported(name: str) -> bool:
    """Could Keras find a function by this name alone?"""
    symbols = (get_symbol_from_name(f"keras.{module}.{name}") for module in BUILTIN_MODULES)
    return any(symbol is not None for symbol in symbols)


def shown(value: Any) -> str:
    """A name from the file as one short line of printable characters."""
    return printable(str(value), LONGEST)
