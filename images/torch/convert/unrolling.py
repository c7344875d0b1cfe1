"""A Loop with a known number of steps as those steps, one behind the other: tf2onnx leaves a GRU as one.

PyTorch's tracers follow no loop of a graph, and onnx2torch has no converter for one.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from images.torch.convert.folding import constants, fold

MOST = 256  # steps: each is a copy of the body


def unrolled(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """A copy without those loops, and their names; `model` itself where one of them might end before its last step."""
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    loops = []
    for node in [node for node in copy.graph.node if node.op_type == "Loop"]:
        steps = trips(node, copy.graph)
        if steps is not None and 0 < steps <= MOST:
            loops.append(Loop(node, copy.graph, steps))
            loops[-1].unroll()
    if not loops:
        return model, []
    fold(copy)
    known = constants(copy.graph)
    goes_on = all(name in known and known[name].all() for loop in loops for name in loop.conditions[:-1])
    return (copy, [loop.prefix for loop in loops]) if goes_on else (model, [])


def trips(node: onnx.NodeProto, graph: onnx.GraphProto) -> int | None:
    """How often the loop runs at most, where that is a constant; None too for what holds a graph inside of its body."""
    known = constants(graph)
    body = next(item.g for item in node.attribute if item.name == "body")
    nested = any(item.type == item.GRAPH for inner in body.node for item in inner.attribute)
    starts = not node.input[1] or (node.input[1] in known and bool(known[node.input[1]].all()))
    if nested or not starts or node.input[0] not in known:
        return None
    return int(known[node.input[0]].item())


@dataclass
class Loop:
    """`conditions` are the tensors that say after each step whether there is another."""

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
        own = {tensor.name: self._constant(tensor) for tensor in body.initializer}
        scans: list[list[str]] = [[] for _ in body.output[1 + len(states) :]]
        nodes = []
        for step in range(self.steps):
            number = self._add(np.array(step, np.int64), f"{self.prefix}/{step}")
            names = own | dict(
                zip((item.name for item in body.input), (number, self.node.input[1], *states), strict=True)
            )
            nodes += copies(body, names, number)
            condition, *results = (names.get(item.name, item.name) for item in body.output)
            self.conditions.append(condition)
            for scan, result in zip(scans, results[len(states) :], strict=True):
                scan.append(result)
            states = results[: len(states)]
        return nodes + self._endings(states, scans)

    def _endings(self, states: list[str], scans: list[list[str]]) -> list[onnx.NodeProto]:
        """What the loop's outputs are: the last states, and the results of all steps on an axis of their own."""
        axis = self._add(np.array([0], np.int64), f"{self.prefix}/axis")
        nodes = []
        for state, name in zip(states, self.node.output, strict=False):
            if name:
                nodes.append(helper.make_node("Identity", [state], [name], name=f"{self.prefix}/{name}"))
        for scan, name in zip(scans, self.node.output[len(states) :], strict=False):
            if not name:
                continue
            longer = [f"{name}/{step}" for step in range(len(scan))]
            for result, made in zip(scan, longer, strict=True):
                nodes.append(helper.make_node("Unsqueeze", [result, axis], [made], name=made))
            nodes.append(helper.make_node("Concat", longer, [name], name=f"{self.prefix}/{name}", axis=0))
        return nodes

    def _constant(self, tensor: onnx.TensorProto) -> str:
        return self._add(numpy_helper.to_array(tensor), f"{self.prefix}/{tensor.name}")

    def _add(self, value: np.ndarray, name: str) -> str:
        self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name


def copies(body: onnx.GraphProto, names: dict[str, str], prefix: str) -> list[onnx.NodeProto]:
    """The body's nodes with `names` in the place of its own; what they make is added to those."""
    found = []
    for node in body.node:
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        copy.name = f"{prefix}/{node.name or node.output[0]}"
        copy.input[:] = [names.get(name, name) for name in node.input]
        names.update({name: f"{prefix}/{name}" for name in node.output if name})
        copy.output[:] = [names.get(name, name) for name in node.output]
        found.append(copy)
    return found
