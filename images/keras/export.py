"""Keras to ONNX, by tf2onnx."""

from pathlib import Path

import keras
import onnx
import tensorflow as tf
import tf2onnx
from tf2onnx.convert import from_keras

from images.keras.canonical import canonical
from images.keras.model import FILE
from images.keras.reshape import constant_reshapes
from shared.errors import CrossquantError


def run(model: Path, out: Path, *, opset: int) -> None:
    """Write `model.onnx`, as tf2onnx leaves it but canonical: the same model gives the same bytes every time."""
    source = keras.models.load_model(model / FILE, compile=False)
    graph = convert(source, opset)
    names = [item.name for item in graph.graph.input]
    if len(names) != len(source.inputs):
        raise CrossquantError(f"tf2onnx gave the ONNX file the inputs {names}: the model has fewer")
    check(graph)
    onnx.save(graph, out / "model.onnx")


def convert(source: keras.Model, opset: int) -> onnx.ModelProto:
    """The ONNX model, its batch dynamic. A Sequential is wrapped: tf2onnx can't name its inputs."""
    model = keras.Model(source.inputs, source.outputs)
    signature = [
        tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name=f"input_{number}")
        for number, tensor in enumerate(model.inputs)
    ]
    converted, _ = from_keras(model, input_signature=signature, opset=opset)
    constant_reshapes(converted)
    return canonical(converted)


def check(model: onnx.ModelProto) -> None:
    """tf2onnx only logs an operator that it can't carry, and goes on: the checker finds it."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        first = str(error).strip().splitlines()[0]
        raise CrossquantError(f"tf2onnx {tf2onnx.__version__} wrote an invalid ONNX file: {first}") from error
