"""The layers of the float graph, and which of their tensors a variant quantizes."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from images.onnx.sensitivity.qdq import Scheme

DROPPED = ("Relu", "Clip")  # by the quantizer, into the operator before


@dataclass(frozen=True)
class Part:
    """A layer. `activation` is the tensor, or none, that it is quantized to: its output, or that of the Relu behind."""

    name: str
    operator: str
    output: str
    constants: tuple[str, ...]
    inputs: tuple[str, ...]
    activation: tuple[str, ...]

    @property
    def tensors(self) -> set[str]:
        """All that is in float when the layer computes on floats alone."""
        return {*self.constants, *self.inputs, *self.activation}


def parts(graph: onnx.GraphProto, scheme: Scheme) -> list[Part]:
    """Those of which anything is quantized, in the order of the graph."""
    found = [part(node, graph.node, scheme) for node in graph.node]
    return [item for item in found if item.constants or item.activation]


def part(node: onnx.NodeProto, nodes: Sequence[onnx.NodeProto], scheme: Scheme) -> Part:
    return Part(
        node.name,
        node.op_type,
        node.output[0],
        tuple(name for name in node.input if name in scheme.constants),
        tuple(name for name in node.input if name in scheme.activations),
        activation(node.output[0], nodes, scheme),
    )


def activation(tensor: str, nodes: Sequence[onnx.NodeProto], scheme: Scheme) -> tuple[str, ...]:
    if tensor in scheme.activations:
        return (tensor,)
    readers = [node for node in nodes if tensor in node.input]
    if len(readers) == 1 and readers[0].op_type in DROPPED and readers[0].output[0] in scheme.activations:
        return (readers[0].output[0],)
    return ()
