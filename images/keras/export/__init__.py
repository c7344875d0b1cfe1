"""Keras to ONNX, by tf2onnx."""

import gc
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import onnx
import tensorflow as tf
import tf2onnx
from tf2onnx.convert import from_keras

from images.keras.export import convolutions, recurrent
from images.keras.export.canonical import canonicalize, inner_graphs
from images.keras.export.handlers import HANDLERS
from images.keras.export.reshape import drop_unused, make_reshapes_constant
from images.keras.model import end_names, saved_model
from images.keras.model.runtime import TracedModel, input_specs, open_model, trace_model
from shared import onnx_size
from shared.artifacts.notes import write_notes
from shared.data import examples, signature
from shared.data.examples import Example
from shared.errors import CrossquantError, Unsupported
from shared.quantization import already
from shared.text import first_line

UNROLLED = "recurrent layers are written step by step: tf2onnx makes a loop of them, which no later framework follows"
LOOP = "a recurrent layer stays a loop: its number of steps is unknown or large, and ONNX has no operator for its cell"
UNDONE = "recurrent layers are exported as they are: {} would change the answers ({})"
GATES, UNROLLING = "computing the gates of a GRU as Keras 2 did", "writing them step by step"
FIXED = "the model takes batches of {} alone"


def run(model: Path, dataset: Path, out: Path, *, opset: int) -> None:
    """Write `model.onnx` in canonical form: the same model gives the same bytes every time.

    Also `example.npz`, test samples with the model's own answers; the model's `signature.json`; and `notes.json`, where
    there are notes. Unsupported names the operators that tf2onnx can't convert; CrossquantError where the ONNX file has
    other inputs than the model.
    """
    source = open_model(model)
    check_size(source)
    traced = trace_model(source)
    example = answer_samples(source, traced, dataset)
    graph, notes = convert(source, opset, traced.batch, example)
    names = [item.name for item in graph.graph.input]
    if len(names) != len(source.inputs):
        raise CrossquantError(f"tf2onnx gave the ONNX file the inputs {names}: the model has {len(source.inputs)}")
    check_model(graph)
    onnx.save(graph, out / "model.onnx")
    examples.write(example, out)
    if (model / signature.FILE).exists():
        signature.write(name_as_in_file(signature.load(model), graph.graph), out)  # with the sizes of the data
    already.write(already.read(model), out)
    write_notes(notes, out)


def check_size(source: keras.Model) -> None:
    """Unsupported for a model with more weights than an ONNX file holds: TensorFlow fails on its graph, late."""
    programs = [layer.program for layer in source.layers if isinstance(layer, saved_model.SavedModelLayer)]
    variables = [*source.variables, *(variable for program in programs for variable in program.variables)]
    size = sum(tf.as_dtype(variable.dtype).size * math.prod(variable.shape) for variable in variables)
    if excess := onnx_size.describe_excess(size):
        raise Unsupported(f"no ONNX file can be made of this model: {excess}")


def name_as_in_file(ends: signature.Signature, graph: onnx.GraphProto) -> signature.Signature:
    """The signature with the names that inputs and outputs have in the ONNX file, where no two may be equal."""
    pairs = (zip(ends.inputs, graph.input, strict=True), zip(ends.outputs, graph.output, strict=True))
    inputs, outputs = (tuple(replace(tensor, name=item.name) for tensor, item in each) for each in pairs)
    return replace(ends, inputs=inputs, outputs=outputs)


def answer_samples(source: keras.Model, traced: TracedModel, dataset: Path) -> Example:
    """Samples of the data set with the answers of `source`, which those of its rewritten form are compared with."""
    predict = traced.as_callable()
    example = examples.take_samples(dataset, [str(tensor.dtype) for tensor in source.inputs], traced.batch)
    return example.with_answers([predict(inputs) for inputs, _ in example.batches()])


def convert(
    source: keras.Model, opset: int, batch: int | None = None, example: Example | None = None
) -> tuple[onnx.ModelProto, list[str]]:
    """The ONNX model in canonical form, and notes; its batch size is dynamic unless `batch` is the only one it takes.

    Inputs and outputs have the names that they have in `source`, a model with flat lists of them. Its recurrent layers
    are changed in place, unless this changes the answers to `example`. Unsupported names the operators that tf2onnx
    can't convert.
    """
    notes = [FIXED.format(batch)] if batch else []
    gates = recurrent.use_keras2_gates(source)
    notes += undo_wrong_rewrite(gates, GATES, source, example)
    converted = run_tf2onnx(source, batch, opset)
    if has_loop(converted.graph) and any(recurrent.recurrent_layers(source)):
        unrolled = recurrent.unroll_layers(source)
        notes += undo_wrong_rewrite(unrolled, UNROLLING, source, example)
        converted = run_tf2onnx(source, batch, opset) if unrolled else converted
        notes.append(UNROLLED if unrolled else LOOP)
    check_operators(converted, source)
    recurrent.drop_zero_states(converted.graph)
    drop_unused(converted.graph)
    move_negative_pads(converted.graph)
    make_reshapes_constant(converted)
    isolate_ends(converted.graph)
    return canonicalize(converted, *end_names.distinct_names(source)), notes


def isolate_ends(graph: onnx.GraphProto) -> None:
    """Make each output a tensor of its own, in place: an input given back, or an output given twice, has one name."""
    taken = {item.name for item in graph.input}
    for number, item in enumerate(graph.output):
        if item.name in taken:
            copy = onnx.helper.make_node("Identity", [item.name], [f"{item.name}/output_{number}"])
            graph.node.append(copy)
            item.name = copy.output[0]
        taken.add(item.name)


def undo_wrong_rewrite(
    rewrite: recurrent.Rewrite, name: str, source: keras.Model, example: Example | None
) -> Iterator[str]:
    """Undo the rewrite where `source` answers the samples in another way than before it; yield a note of that."""
    if not rewrite or example is None:
        return
    difference = examples.difference(example, trace_model(source).as_callable())
    if difference:
        rewrite.undo()
        yield UNDONE.format(name, difference)


def run_tf2onnx(source: keras.Model, batch: int | None, opset: int) -> onnx.ModelProto:
    """The file that tf2onnx writes, after its own optimizer. Unsupported where it fails."""
    model = keras.Model(source.inputs, source.outputs)  # tf2onnx can't name the inputs of a Sequential
    model.output_names = [f"output_{number}" for number in range(len(model.outputs))]  # layers may be called input_0
    passes = CollectingPasses(tf2onnx.optimizer._get_optimizers())
    try:
        gc.collect()
        gc.freeze()  # TensorFlow and the model stay: scanning them takes a tenth of a second each time
        with convolutions.without_xla():
            converted: onnx.ModelProto = from_keras(
                model, input_specs(model, batch), opset=opset, custom_op_handlers=HANDLERS, optimizers=passes
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


def has_loop(graph: onnx.GraphProto) -> bool:
    return any(node.op_type in ("Loop", "Scan") for node in graph.node)


def move_negative_pads(graph: onnx.GraphProto) -> None:
    """Write the negative padding that tf2onnx gives a ConvTranspose as output padding, in place: ONNX forbids it."""
    for node in graph.node:
        attributes = {item.name: item for item in node.attribute}
        if node.op_type != "ConvTranspose" or "pads" not in attributes:
            continue
        pads = list(attributes["pads"].ints)
        ends = pads[len(pads) // 2 :]
        if min(ends) >= 0:
            continue
        output_padding = [max(0, -pad) for pad in ends]
        if "output_padding" in attributes:
            output_padding = [sum(pair) for pair in zip(output_padding, attributes["output_padding"].ints, strict=True)]
            node.attribute.remove(attributes["output_padding"])
        attributes["pads"].ints[:] = [*pads[: len(pads) // 2], *(max(0, pad) for pad in ends)]
        node.attribute.append(onnx.helper.make_attribute("output_padding", output_padding))


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
