"""Unrolls a Loop with a known number of steps: tf2onnx writes a GRU as one.

PyTorch's tracers can't follow the loop of a graph, and onnx2torch has no converter for it.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from images.torch.convert.folding import fold_constants, read_constants

MAX_STEPS = 256  # steps: each is a copy of the body


def unroll_model(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Return a copy without those loops, and their names; `model` itself if one of them might end before
    its last step.
    """
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    loops = []
    for node in [node for node in copy.graph.node if node.op_type == "Loop"]:
        steps = count_trips(node, copy.graph)
        if steps is not None and 0 < steps <= MAX_STEPS:
            loops.append(Loop(node, copy.graph, steps))
            loops[-1].unroll()
    if not loops:
        return model, []
    fold_constants(copy)
    constants = read_constants(copy.graph)
    runs_all_steps = all(name in constants and constants[name].all() for loop in loops for name in loop.conditions[:-1])
    return (copy, [loop.prefix for loop in loops]) if runs_all_steps else (model, [])


def count_trips(node: onnx.NodeProto, graph: onnx.GraphProto) -> int | None:
    """Return the maximal number of the loop's steps; None if it is no constant, or the body has a subgraph."""
    constants = read_constants(graph)
    body = next(item.g for item in node.attribute if item.name == "body")
    nested = any(item.type == item.GRAPH for inner in body.node for item in inner.attribute)
    starts = not node.input[1] or (node.input[1] in constants and bool(constants[node.input[1]].all()))
    if nested or not starts or node.input[0] not in constants:
        return None
    return int(constants[node.input[0]].item())


@dataclass
class Loop:
    """A loop that is unrolled; `conditions` are the tensors that tell after each step whether another one follows."""

    node: onnx.NodeProto
    graph: onnx.GraphProto
    steps: int
    conditions: list[str] = field(default_factory=list)

    @property
    def prefix(self) -> str:
        return self.node.name or self.node.output[0]

    @property
    def body(self) -> onnx.GraphProto:
        return next(item.g for item in self.node.attribute if item.name == "body")

    def unroll(self) -> None:
        nodes = self._nodes()
        before = [onnx.NodeProto.FromString(node.SerializeToString()) for node in self.graph.node]
        place = list(self.graph.node).index(self.node)
        self.node = before[place]
        del self.graph.node[:]
        self.graph.node.extend([*before[:place], *nodes, *before[place + 1 :]])

    def _nodes(self) -> list[onnx.NodeProto]:
        body, states = self.body, list(self.node.input[2:])
        constants = {tensor.name: self._constant(tensor) for tensor in body.initializer}
        scans: list[list[str]] = [[] for _ in body.output[1 + len(states) :]]
        nodes = []
        for step in range(self.steps):
            number = self._add(np.array(step, np.int64), f"{self.prefix}/{step}")
            names = constants | dict(
                zip((item.name for item in body.input), (number, self.node.input[1], *states), strict=True)
            )
            nodes += copy_body(body, names, number)
            condition, *results = (names.get(item.name, item.name) for item in body.output)
            self.conditions.append(condition)
            for scan, result in zip(scans, results[len(states) :], strict=True):
                scan.append(result)
            states = results[: len(states)]
        return nodes + self._endings(states, scans)

    def _endings(self, states: list[str], scans: list[list[str]]) -> list[onnx.NodeProto]:
        """Return nodes for the loop's outputs: the last states, and the results of all steps along a new axis."""
        axis = self._add(np.array([0], np.int64), f"{self.prefix}/axis")
        nodes = []
        for state, name in zip(states, self.node.output, strict=False):
            if name:
                nodes.append(helper.make_node("Identity", [state], [name], name=f"{self.prefix}/{name}"))
        for scan, name in zip(scans, self.node.output[len(states) :], strict=False):
            if not name:
                continue
            expanded = [f"{name}/{step}" for step in range(len(scan))]
            for result, unsqueezed in zip(scan, expanded, strict=True):
                nodes.append(helper.make_node("Unsqueeze", [result, axis], [unsqueezed], name=unsqueezed))
            nodes.append(helper.make_node("Concat", expanded, [name], name=f"{self.prefix}/{name}", axis=0))
        return nodes

    def _constant(self, tensor: onnx.TensorProto) -> str:
        return self._add(numpy_helper.to_array(tensor), f"{self.prefix}/{tensor.name}")

    def _add(self, value: np.ndarray, name: str) -> str:
        self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name


def copy_body(body: onnx.GraphProto, names: dict[str, str], prefix: str) -> list[onnx.NodeProto]:
    """Copy the body's nodes, renaming tensors by `names`; the names of their outputs are added to it."""
    nodes = []
    for node in body.node:
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        copy.name = f"{prefix}/{node.name or node.output[0]}"
        copy.input[:] = [names.get(name, name) for name in node.input]
        names.update({name: f"{prefix}/{name}" for name in node.output if name})
        copy.output[:] = [names.get(name, name) for name in node.output]
        nodes.append(copy)
    return nodes
