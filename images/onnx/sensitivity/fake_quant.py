"""The float graph with a switch at each activation that a variant quantizes, and its constants, quantized or not."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from images.onnx.graph.unique_names import unused
from images.onnx.sensitivity.qdq import Affine, Array, Scheme
from images.onnx.session import feed, open_session
from shared.data.samples import Batch
from shared.runner import threads

FLAGS = "flags"
EXACT, SWITCHED = "exact", "switched"  # before a switch, and behind that of an input
SESSIONS = 2  # open at a time: the float and the quantized model are asked in turn


class Switches:
    """A model whose tensors are quantized or not, call by call. `names` are those that can be.

    A quantized activation is rounded and cut as QuantizeLinear and DequantizeLinear do; a Relu that ONNX Runtime drops
    from the quantized file is there, which makes no difference. Constants have no switch: ONNX Runtime convolves twice
    as fast by weights that it knows beforehand, and a session more costs less than that.
    """

    def __init__(self, model: onnx.ModelProto, scheme: Scheme, folder: Path) -> None:
        self.scheme, self.folder = scheme, folder
        self.names = [*scheme.constants, *scheme.activations]
        self.answers_of = [item.name for item in model.graph.output]
        self.layers = [node.output[0] for node in model.graph.node]
        self.mark = unused(model)  # in each name that is made up: it is no other's
        self.model = switchable(model, scheme, self.mark)
        self.sessions: dict[tuple[frozenset[str], bool], onnxruntime.InferenceSession] = {}

    def answers(self, batch: Batch, quantized: Collection[str]) -> Batch:
        """One array an output of the model."""
        return tuple(self._run(self.answers_of, batch, quantized, exposed=False))

    def outputs(self, batch: Batch, quantized: Collection[str]) -> dict[str, Array]:
        """Every node's first output, as those that read it see it."""
        return dict(zip(self.layers, self._run(self.layers, batch, quantized, exposed=True), strict=True))

    def _run(self, wanted: list[str], batch: Batch, quantized: Collection[str], *, exposed: bool) -> list[Array]:
        constants = frozenset(quantized).intersection(self.scheme.constants)
        if (constants, exposed) not in self.sessions:
            for oldest in list(self.sessions)[: 1 - SESSIONS]:
                del self.sessions[oldest]
            self.sessions[constants, exposed] = self._open(constants, exposed=exposed)
        session = self.sessions[constants, exposed]
        flags = np.array([name in quantized for name in self.scheme.activations])
        arrays: list[Array] = session.run(wanted, feed(session, batch, **{self.mark + FLAGS: flags}))
        return arrays

    def _open(self, constants: Collection[str], *, exposed: bool) -> onnxruntime.InferenceSession:
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for tensor in model.graph.initializer:
            if tensor.name in constants:
                tensor.CopyFrom(numpy_helper.from_array(self.scheme.constants[tensor.name], tensor.name))
        further = [name for name in self.layers if exposed and name not in self.answers_of]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in further)
        onnx.save(model, self.folder / "switches.onnx")
        return open_session(self.folder / "switches.onnx", threads.allowed(), observing=True)


def switchable(model: onnx.ModelProto, scheme: Scheme, mark: str) -> onnx.ModelProto:
    """A copy that also takes `mark` + FLAGS, bool (activations,)."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph, names = result.graph, scheme.activations
    given = {item.name for item in graph.input}
    ends = {name: (name, name + mark + SWITCHED) if name in given else (name + mark + EXACT, name) for name in names}
    rename(graph, ends)
    made = {
        ends[name][0]: switch(graph, number, ends[name], how, mark) for number, (name, how) in enumerate(names.items())
    }
    nodes = [node for name in given & names.keys() for node in made[name]]
    for node in graph.node:
        nodes += [node, *(item for name in node.output for item in made.get(name, ()))]
    graph.input.append(helper.make_tensor_value_info(mark + FLAGS, TensorProto.BOOL, [len(names)]))
    replace(graph, nodes)
    return result


def rename(graph: onnx.GraphProto, ends: dict[str, tuple[str, str]]) -> None:
    """Who makes a tensor makes what goes into its switch; who reads it reads what comes out."""
    for node in graph.node:
        node.output[:] = [ends[name][0] if name in ends else name for name in node.output]
        node.input[:] = [ends[name][1] if name in ends else name for name in node.input]


def replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def switch(graph: onnx.GraphProto, number: int, ends: tuple[str, str], how: Affine, mark: str) -> list[onnx.NodeProto]:
    """An If, not a Where: what isn't chosen isn't computed."""
    source, target = ends
    stem = target + mark
    position = constant(graph, f"{stem}number", np.array(number))
    float_branch = [helper.make_node("Identity", [source], [f"{stem}float"])]
    branches = {"then_branch": branch(rounded(graph, stem, source, how)), "else_branch": branch(float_branch)}
    return [
        helper.make_node("Gather", [mark + FLAGS, position], [f"{stem}flag"]),
        helper.make_node("If", [f"{stem}flag"], [target], **branches),
    ]


def branch(nodes: list[onnx.NodeProto]) -> onnx.GraphProto:
    [given] = nodes[-1].output
    return helper.make_graph(nodes, given, [], [helper.make_tensor_value_info(given, TensorProto.FLOAT, None)])


def rounded(graph: onnx.GraphProto, stem: str, source: str, how: Affine) -> list[onnx.NodeProto]:
    """By operators of every opset; QuantizeLinear takes 16 bits only from opset 21."""
    values = {"scale": how.scale, "least": how.least, "greatest": how.greatest}
    made = {key: constant(graph, f"{stem}{key}", np.array(value, np.float32)) for key, value in values.items()}
    steps, whole, cut, back = (f"{stem}{part}" for part in ("steps", "whole", "cut", "back"))
    return [
        helper.make_node("Div", [source, made["scale"]], [steps]),
        helper.make_node("Round", [steps], [whole]),
        helper.make_node("Clip", [whole, made["least"], made["greatest"]], [cut]),
        helper.make_node("Mul", [cut, made["scale"]], [back]),
    ]


def constant(graph: onnx.GraphProto, name: str, values: Array) -> str:
    graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
    return name
