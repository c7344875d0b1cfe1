"""Keras to ONNX, by tf2onnx."""

import gc
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from tf2onnx.convert import from_keras

from images.keras.export import recurrent
from images.keras.export.canonical import canonical, graphs
from images.keras.export.reshape import constant_reshapes, drop_unused
from images.keras.model.runtime import open_model, specs, trace
from shared.data import signature
from shared.errors import CrossquantError, Unsupported

NOTES = "notes.json"  # a list of lines: what a reader must know of the file
UNROLLED = "recurrent layers are written step by step: tf2onnx makes a loop of them, which no later framework follows"
LOOP = "a recurrent layer stays a loop: its number of steps is unknown or large, and its cell is none that ONNX has"
FIXED = "the model takes batches of {} alone"


def run(model: Path, out: Path, *, opset: int) -> None:
    """Write `model.onnx`, as tf2onnx leaves it but canonical: the same model gives the same bytes every time.

    Beside it `notes.json`, if there is anything to say. Unsupported names the operators that tf2onnx can't carry.
    """
    source = open_model(model)
    graph, notes = convert(source, opset)
    names = [item.name for item in graph.graph.input]
    if len(names) != len(source.inputs):
        raise CrossquantError(f"tf2onnx gave the ONNX file the inputs {names}: the model has {len(source.inputs)}")
    check(graph)
    onnx.save(graph, out / "model.onnx")
    if (model / signature.FILE).exists():
        shutil.copyfile(model / signature.FILE, out / signature.FILE)  # with the sizes that the data have
    if notes:
        (out / NOTES).write_text(json.dumps(notes))


def convert(source: keras.Model, opset: int) -> tuple[onnx.ModelProto, list[str]]:
    """The ONNX model, its batch dynamic if the model's is or can be, and what is to be said of it."""
    batch = trace(source).batch
    notes = [FIXED.format(batch)] if batch else []
    recurrent.as_keras_2(source)
    converted = by_tf2onnx(source, batch, opset)
    if has_loop(converted.graph) and any(recurrent.recurrent_layers(source)):
        unrolled = recurrent.unroll(source)
        converted = by_tf2onnx(source, batch, opset) if unrolled else converted
        notes.append(UNROLLED if unrolled else LOOP)
    check_operators(converted, source)
    recurrent.drop_zero_states(converted.graph)
    drop_unused(converted.graph)
    constant_reshapes(converted)
    return canonical(converted), notes


def by_tf2onnx(source: keras.Model, batch: int | None, opset: int) -> onnx.ModelProto:
    """`source` has flat lists of inputs and outputs: tf2onnx can't name the inputs of a Sequential."""
    model = keras.Model(source.inputs, source.outputs)
    handlers: dict[str, tuple[Any, list[str]]] = {"Erfc": (erfc, [])}
    passes = Passes(tf2onnx.optimizer._get_optimizers())
    try:
        gc.collect()
        gc.freeze()  # TensorFlow and the model are no garbage, and take a tenth of a second to look through
        converted: onnx.ModelProto = from_keras(
            model, specs(model, batch), opset=opset, custom_op_handlers=handlers, optimizers=passes
        )[0]
    except (ValueError, TypeError, KeyError, AttributeError, AssertionError, tf.errors.OpError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise Unsupported(f"tf2onnx {tf2onnx.__version__} can't convert this model: {first}") from error
    return converted


class Passes(dict[str, Any]):
    """tf2onnx's own optimizer passes. Each works on a copy of the graph, weights and all, and leaves the one before in
    reference cycles: unless they are collected, ResNet50 takes 5.3 GB here, of which 2.5 are such copies.
    """

    def items(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]  # tf2onnx only iterates over it
        for name, factory in super().items():
            gc.collect()
            yield name, factory


def erfc(context: Any, node: Any, name: str, args: Any) -> None:  # noqa: ARG001 - as tf2onnx calls it
    """ONNX has no Erfc: 1 - Erf(x), or 1 + Erf(x) of what was negated before, as in GELU. In place."""
    negated = node.inputs[0].type == "Neg"
    erf = context.make_node("Erf", node.inputs[0].input[:1] if negated else node.input[:1]).output[0]
    one = context.make_const(tf2onnx.utils.make_name("one"), np.float32(1)).output[0]
    shapes, types = node.output_shapes, node.output_dtypes
    context.remove_node(name)
    operator, inputs = ("Add", [erf, one]) if negated else ("Sub", [one, erf])
    context.make_node(operator, inputs, outputs=node.output, name=name, shapes=shapes, dtypes=types)


def has_loop(graph: onnx.GraphProto) -> bool:
    return any(node.op_type in ("Loop", "Scan") for node in graph.node)


def check_operators(model: onnx.ModelProto, source: keras.Model) -> None:
    """tf2onnx only logs an operator that it can't carry, and goes on, with TensorFlow's own name in the file."""
    opset = next(item.version for item in model.opset_import if item.domain == "")
    unknown = [node for node in every_node(model.graph) if not node.domain and not is_known(node.op_type, opset)]
    if unknown:
        found = ", ".join(sorted({f"{node.op_type} of layer '{layer_of(node.name, source)}'" for node in unknown}))
        raise Unsupported(f"tf2onnx {tf2onnx.__version__} can't carry {found}: ONNX {opset} has no such operator")


def layer_of(node: str, source: keras.Model) -> str:
    """The layer that a node comes from: TensorFlow adds numbers to its name."""
    scopes = [part.rstrip("0123456789").removesuffix("_") for part in node.split("/")] + node.split("/")
    names = [layer.name for layer in source._flatten_layers(include_self=False)]
    return next((name for name in reversed(names) if name in scopes), node)


def every_node(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for inner in graphs(node):
            yield from every_node(inner)


def is_known(operator: str, opset: int) -> bool:
    try:
        onnx.defs.get_schema(operator, opset)
    except onnx.defs.SchemaError:
        return False
    return True


def check(model: onnx.ModelProto) -> None:
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        first = str(error).strip().splitlines()[0]
        raise Unsupported(f"tf2onnx {tf2onnx.__version__} wrote an invalid ONNX file: {first}") from error
