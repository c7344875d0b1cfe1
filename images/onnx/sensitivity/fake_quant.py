"""The float graph with fake quantization that can be switched, activation by activation and constant by constant."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from images.onnx.graph.unique_names import unused_mark
from images.onnx.sensitivity.qdq import Affine, Array, Scheme
from images.onnx.session import build_feed, open_session
from shared.data.samples import Batch
from shared.runner import threads

FLAGS = "flags"  # the input that says which activations are quantized
FLOAT_SUFFIX, QUANTIZED_SUFFIX = (
    "exact",
    "switched",
)  # suffixes of a tensor before its fake quantization, and of an input after it
MAX_SESSIONS = 2  # open at a time: the float and the quantized model run in turn


class FakeQuantModel:
    """A model whose tensors are quantized or not, call by call. `tensors` are those that can be.

    A quantized activation is rounded and clipped as by QuantizeLinear and DequantizeLinear. A Relu that ONNX Runtime
    drops from the quantized file is kept here, which makes no difference. Constants have no switch: ONNX Runtime
    convolves twice as fast with constant weights, and opening another session costs less than that.
    """

    def __init__(self, model: onnx.ModelProto, scheme: Scheme, folder: Path) -> None:
        self.scheme, self.folder = scheme, folder
        self.tensors = [*scheme.constants, *scheme.activations]
        self.output_names = [item.name for item in model.graph.output]
        self.layer_outputs = [node.output[0] for node in model.graph.node]
        self.mark = unused_mark(model)  # in every name that is added, so that it is unique
        self.model = insert_fake_quant(model, scheme, self.mark)
        self.sessions: dict[tuple[frozenset[str], bool], onnxruntime.InferenceSession] = {}

    def run(self, batch: Batch, quantized: Collection[str]) -> Batch:
        """Return the model's outputs, one array each, with these tensors quantized."""
        return tuple(self._run(self.output_names, batch, quantized, exposed=False))

    def run_layers(self, batch: Batch, quantized: Collection[str]) -> dict[str, Array]:
        """Return every node's first output, by name, as the nodes that read it get it, with these tensors quantized."""
        return dict(zip(self.layer_outputs, self._run(self.layer_outputs, batch, quantized, exposed=True), strict=True))

    def _run(self, output_names: list[str], batch: Batch, quantized: Collection[str], *, exposed: bool) -> list[Array]:
        constants = frozenset(quantized).intersection(self.scheme.constants)
        if (constants, exposed) not in self.sessions:
            for oldest in list(self.sessions)[: 1 - MAX_SESSIONS]:
                del self.sessions[oldest]
            self.sessions[constants, exposed] = self._open(constants, exposed=exposed)
        session = self.sessions[constants, exposed]
        flags = np.array([name in quantized for name in self.scheme.activations])
        arrays: list[Array] = session.run(output_names, build_feed(session, batch, **{self.mark + FLAGS: flags}))
        return arrays

    def _open(self, constants: Collection[str], *, exposed: bool) -> onnxruntime.InferenceSession:
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for tensor in model.graph.initializer:
            if tensor.name in constants:
                tensor.CopyFrom(numpy_helper.from_array(self.scheme.constants[tensor.name], tensor.name))
        exposed_outputs = [name for name in self.layer_outputs if exposed and name not in self.output_names]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in exposed_outputs)
        onnx.save(model, self.folder / "fake_quant.onnx")
        return open_session(self.folder / "fake_quant.onnx", threads.allowed(), low_memory=True)


def insert_fake_quant(model: onnx.ModelProto, scheme: Scheme, mark: str) -> onnx.ModelProto:
    """Copy the model with fake quantization of the scheme's activations.

    It has one more input, `mark` + FLAGS, bool (activations,): which of them are quantized.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph, names = result.graph, scheme.activations
    inputs = {item.name for item in graph.input}
    ends = {
        name: (name, name + mark + QUANTIZED_SUFFIX) if name in inputs else (name + mark + FLOAT_SUFFIX, name)
        for name in names
    }
    rewire_tensors(graph, ends)
    added = {
        ends[name][0]: fake_quant_nodes(graph, number, ends[name], affine, mark)
        for number, (name, affine) in enumerate(names.items())
    }
    nodes = [node for name in inputs & names.keys() for node in added[name]]
    for node in graph.node:
        nodes += [node, *(item for name in node.output for item in added.get(name, ()))]
    graph.input.append(helper.make_tensor_value_info(mark + FLAGS, TensorProto.BOOL, [len(names)]))
    replace_nodes(graph, nodes)
    return result


def rewire_tensors(graph: onnx.GraphProto, ends: dict[str, tuple[str, str]]) -> None:
    """Connect each tensor's producer to the input of its fake quantization, and its readers to the output."""
    for node in graph.node:
        node.output[:] = [ends[name][0] if name in ends else name for name in node.output]
        node.input[:] = [ends[name][1] if name in ends else name for name in node.input]


def replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Replace all nodes of the graph."""
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def fake_quant_nodes(
    graph: onnx.GraphProto, number: int, ends: tuple[str, str], affine: Affine, mark: str
) -> list[onnx.NodeProto]:
    """Return the nodes that fake-quantize one activation if its flag is set: an If, since a Where computes both
    branches.
    """
    source, target = ends
    stem = target + mark
    position = add_constant(graph, f"{stem}number", np.array(number))
    float_branch = [helper.make_node("Identity", [source], [f"{stem}float"])]
    branches = {
        "then_branch": make_branch(quantize_dequantize_nodes(graph, stem, source, affine)),
        "else_branch": make_branch(float_branch),
    }
    return [
        helper.make_node("Gather", [mark + FLAGS, position], [f"{stem}flag"]),
        helper.make_node("If", [f"{stem}flag"], [target], **branches),
    ]


def make_branch(nodes: list[onnx.NodeProto]) -> onnx.GraphProto:
    """Make the subgraph of an If from these nodes."""
    [output] = nodes[-1].output
    return helper.make_graph(nodes, output, [], [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)])


def quantize_dequantize_nodes(graph: onnx.GraphProto, stem: str, source: str, affine: Affine) -> list[onnx.NodeProto]:
    """Quantize and dequantize by operators of every opset; QuantizeLinear supports 16 bits only from opset 21."""
    values = {"scale": affine.scale, "least": affine.least, "greatest": affine.greatest}
    constants = {key: add_constant(graph, f"{stem}{key}", np.array(value, np.float32)) for key, value in values.items()}
    scaled, rounded, clipped, dequantized = (f"{stem}{step}" for step in ("steps", "whole", "cut", "back"))
    return [
        helper.make_node("Div", [source, constants["scale"]], [scaled]),
        helper.make_node("Round", [scaled], [rounded]),
        helper.make_node("Clip", [rounded, constants["least"], constants["greatest"]], [clipped]),
        helper.make_node("Mul", [clipped, constants["scale"]], [dequantized]),
    ]


def add_constant(graph: onnx.GraphProto, name: str, values: Array) -> str:
    """Add a constant to the graph and return its name."""
    graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return name
