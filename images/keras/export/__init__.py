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
from images.keras.export.canonical import canonicalize, inner_graphs
from images.keras.export.reshape import drop_unused, make_reshapes_constant
from images.keras.model.runtime import input_specs, open_model, trace_model
from shared.data import signature
from shared.errors import CrossquantError, Unsupported
from shared.text import first_line

NOTES = "notes.json"  # a list of lines that a reader of the results must know
UNROLLED = "recurrent layers are written step by step: tf2onnx makes a loop of them, which no later framework follows"
LOOP = "a recurrent layer stays a loop: its number of steps is unknown or large, and ONNX has no operator for its cell"
FIXED = "the model takes batches of {} alone"


def run(model: Path, out: Path, *, opset: int) -> None:
    """Write `model.onnx` in canonical form: the same model gives the same bytes every time.

    Also `notes.json`, where there are notes, and the model's `signature.json`. Unsupported names the operators that
    tf2onnx can't convert; CrossquantError where the ONNX file has other inputs than the model.
    """
    source = open_model(model)
    graph, notes = convert(source, opset)
    names = [item.name for item in graph.graph.input]
    if len(names) != len(source.inputs):
        raise CrossquantError(f"tf2onnx gave the ONNX file the inputs {names}: the model has {len(source.inputs)}")
    check_model(graph)
    onnx.save(graph, out / "model.onnx")
    if (model / signature.FILE).exists():
        shutil.copyfile(model / signature.FILE, out / signature.FILE)  # with the sizes of the data
    if notes:
        (out / NOTES).write_text(json.dumps(notes))


def convert(source: keras.Model, opset: int) -> tuple[onnx.ModelProto, list[str]]:
    """The ONNX model in canonical form, and notes; its batch size is dynamic if the model's is or can be.

    `source` has flat lists of inputs and outputs, and its recurrent layers are changed in place. Unsupported names the
    operators that tf2onnx can't convert.
    """
    batch = trace_model(source).batch
    notes = [FIXED.format(batch)] if batch else []
    recurrent.use_keras2_gates(source)
    converted = run_tf2onnx(source, batch, opset)
    if has_loop(converted.graph) and any(recurrent.recurrent_layers(source)):
        unrolled = recurrent.unroll_layers(source)
        converted = run_tf2onnx(source, batch, opset) if unrolled else converted
        notes.append(UNROLLED if unrolled else LOOP)
    check_operators(converted, source)
    recurrent.drop_zero_states(converted.graph)
    drop_unused(converted.graph)
    make_reshapes_constant(converted)
    return canonicalize(converted), notes


def run_tf2onnx(source: keras.Model, batch: int | None, opset: int) -> onnx.ModelProto:
    """The file that tf2onnx writes, after its own optimizer. Unsupported where it fails."""
    model = keras.Model(source.inputs, source.outputs)  # tf2onnx can't name the inputs of a Sequential
    handlers: dict[str, tuple[Any, list[str]]] = {"Erfc": (convert_erfc, [])}
    passes = CollectingPasses(tf2onnx.optimizer._get_optimizers())
    try:
        gc.collect()
        gc.freeze()  # TensorFlow and the model stay: scanning them takes a tenth of a second each time
        converted: onnx.ModelProto = from_keras(
            model, input_specs(model, batch), opset=opset, custom_op_handlers=handlers, optimizers=passes
        )[0]
    except (ValueError, TypeError, KeyError, AttributeError, AssertionError, tf.errors.OpError) as error:
        raise Unsupported(
            f"tf2onnx {tf2onnx.__version__} can't convert this model: {first_line(error, 300)}"
        ) from error
    return converted


class CollectingPasses(dict[str, Any]):
    """tf2onnx's own optimizer passes, with garbage collection before each.

    Each pass copies the graph with its weights, and leaves the copy before in reference cycles: without collection,
    ResNet50 takes 5.3 GB here, of which 2.5 are such copies.
    """

    def items(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]  # tf2onnx only iterates over it
        for name, factory in super().items():
            gc.collect()
            yield name, factory


def convert_erfc(context: Any, node: Any, name: str, args: Any) -> None:  # noqa: ARG001 - as tf2onnx calls it
    """Replace Erfc, which ONNX lacks, in place: by 1 - Erf(x), or by 1 + Erf(x) where the input is -x, as in GELU."""
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
    """Unsupported for operators that tf2onnx can't convert: it only logs them, and leaves TensorFlow's in the file."""
    opset = next(item.version for item in model.opset_import if item.domain == "")
    unknown = [node for node in all_nodes(model.graph) if not node.domain and not is_onnx_operator(node.op_type, opset)]
    if unknown:
        operators = sorted({f"{node.op_type} of layer '{find_layer(node.name, source)}'" for node in unknown})
        names = ", ".join(operators)
        raise Unsupported(f"tf2onnx {tf2onnx.__version__} can't convert {names}: ONNX {opset} has no such operator")


def find_layer(node: str, source: keras.Model) -> str:
    """The name of the layer that a node comes from, to which TensorFlow adds numbers; else the node's own name."""
    scopes = [part.rstrip("0123456789").removesuffix("_") for part in node.split("/")] + node.split("/")
    names = [layer.name for layer in source._flatten_layers(include_self=False)]
    return next((name for name in reversed(names) if name in scopes), node)


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of the graph, and those of the graphs inside of Loop, If and Scan."""
    for node in graph.node:
        yield node
        for inner in inner_graphs(node):
            yield from all_nodes(inner)


def is_onnx_operator(operator: str, opset: int) -> bool:
    try:
        onnx.defs.get_schema(operator, opset)
    except onnx.defs.SchemaError:
        return False
    return True


def check_model(model: onnx.ModelProto) -> None:
    """Unsupported where the ONNX checker finds the file invalid."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise Unsupported(f"tf2onnx {tf2onnx.__version__} wrote an invalid ONNX file: {first_line(error)}") from error
