"""The models that tests/random_models/grammar.py describes, in the keras image's environment."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

Spec = dict[str, Any]
SAMPLES = 24
TYPES = {"tokens": "int32"}  # of an input, by its kind
RECURRENT = {"LSTM": layers.LSTM, "GRU": layers.GRU}


def write_model(spec: Spec, folder: Path) -> None:
    """Write the model and a data set for it, as artifacts without manifests: `input.model`, `dataset`."""
    model = make_model(spec)
    (folder / "input.model").mkdir()
    model.save(folder / "input.model" / "model.keras")
    dataset = folder / "dataset"
    dataset.mkdir()
    random = np.random.default_rng(spec["seed"])
    for number, given in enumerate(spec["inputs"]):
        np.save(dataset / f"input_{number}.npy", make_samples(random, given))
    (dataset / "about.json").write_text(json.dumps({"task": "fidelity"}))


def make_samples(random: np.random.Generator, given: Spec) -> np.ndarray:
    """Normal numbers, of which some steps of a sequence are 0; tokens with padding at their end."""
    shape = (SAMPLES, *given["shape"])
    if given["kind"] == "tokens":
        tokens = random.integers(1, 12, shape).astype(np.int32)
        lengths = random.integers(1, shape[1] + 1, SAMPLES)
        return np.where(np.arange(shape[1]) < lengths[:, None], tokens, 0).astype(np.int32)
    samples = random.normal(size=shape).astype(np.float32)
    if given["kind"] == "sequence":
        samples[random.random(shape[:2]) < 0.2] = 0
    return samples


def make_model(spec: Spec) -> keras.Model:
    keras.utils.set_random_seed(spec["seed"])
    inputs = [
        keras.Input(
            tuple(given["shape"]), dtype="int32" if given["kind"] == "tokens" else "float32", name=f"in_{number}"
        )
        for number, given in enumerate(spec["inputs"])
    ]
    tensors, applied = list(inputs), []
    for step in spec["steps"]:
        source = tensors[step["of"]]
        try:
            layer, tensor = apply_step(step, source, tensors, applied)
        except (ValueError, TypeError, IndexError, ZeroDivisionError):  # Keras refuses it for this tensor
            layer, tensor = None, source
        applied.append((layer, source.shape[-1]))
        tensors.append(tensor)
    model = keras.Model(inputs, make_outputs(inputs, tensors, spec["outputs"]))
    random = np.random.default_rng(spec["seed"])
    for weight in model.weights:  # statistics of normalizations too, which are 0 and 1 else
        if "float" in str(weight.dtype):
            low = 0.5 if "variance" in weight.path else -0.6
            weight.assign(random.uniform(low, low + 1.2, weight.shape))
    return model


def apply_step(step: Spec, source: Any, tensors: list[Any], applied: list[Any]) -> tuple[Any, Any]:
    if "merge" in step:
        return None, merge(step["merge"], source, tensors[step["with"]])
    if "again" in step:
        layer, size = applied[step["again"]]
        if layer is None or isinstance(layer, layers.MultiHeadAttention):
            raise ValueError("there is no such layer")
        if layer.weights and size != source.shape[-1]:  # a recurrent layer would accept it, and fail when it is run
            raise ValueError("the layer has weights for another size")
        return layer, layer(source)
    layer = make_layer(step["layer"], dict(step["arguments"]))
    return layer, layer(source, source) if isinstance(layer, layers.MultiHeadAttention) else layer(source)


def make_layer(name: str, arguments: Spec) -> Any:
    if name == "Bidirectional":
        return layers.Bidirectional(RECURRENT[arguments.pop("cell")](**arguments))
    if name == "TimeDistributed":
        return layers.TimeDistributed(layers.Dense(arguments["units"], activation="tanh"))
    return getattr(layers, name)(**arguments)


def merge(name: str, one: Any, other: Any) -> Any:
    if "int" in str(one.dtype) or "int" in str(other.dtype):
        raise ValueError("tokens aren't merged")
    return layers.Dot(axes=-1)([one, other]) if name == "Dot" else getattr(layers, name)()([one, other])


def make_outputs(inputs: list[Any], tensors: list[Any], count: int) -> list[Any]:
    """Dense layers on the last tensors that aren't inputs; the first one also reads every input, which is so used."""
    computed = {id(tensor): tensor for tensor in tensors if all(tensor is not item for item in inputs)}
    first, *others = map(as_vector, list(computed.values())[-count:] or inputs[:1])
    vectors = [first, *map(as_vector, inputs)]
    return [layers.Dense(3)(layers.Concatenate()(vectors)), *(layers.Dense(2)(other) for other in others)]


def as_vector(tensor: Any) -> Any:
    """The values of a sample, as floats."""
    if "int" in str(tensor.dtype):
        tensor = layers.Embedding(12, 2)(tensor)
    return layers.Flatten()(tensor)
