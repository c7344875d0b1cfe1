"""The layers of the float graph, and which of their tensors a variant quantizes."""

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from images.onnx.sensitivity.qdq import Scheme

DROPPED = ("Relu", "Clip")  # the quantizer drops them after another operator


@dataclass(frozen=True)
class GraphLayer:
    """A layer. `activation` has the tensor that its output is quantized as, if any: the output, or that of the next
    Relu.
    """

    name: str
    operator: str
    output: str
    constants: tuple[str, ...]
    inputs: tuple[str, ...]
    activation: tuple[str, ...]

    @property
    def tensors(self) -> set[str]:
        """All tensors that are in float if the layer computes in float."""
        return {*self.constants, *self.inputs, *self.activation}


def find_layers(graph: onnx.GraphProto, scheme: Scheme) -> list[GraphLayer]:
    """Return the layers of which anything is quantized, in the graph's order."""
    layers = [make_layer(node, graph.node, scheme) for node in graph.node]
    return [item for item in layers if item.constants or item.activation]


def make_layer(node: onnx.NodeProto, nodes: Sequence[onnx.NodeProto], scheme: Scheme) -> GraphLayer:
    """Describe one node as a layer."""
    return GraphLayer(
        node.name,
        node.op_type,
        node.output[0],
        tuple(name for name in node.input if name in scheme.constants),
        tuple(name for name in node.input if name in scheme.activations),
        find_activation(node.output[0], nodes, scheme),
    )


def find_activation(tensor: str, nodes: Sequence[onnx.NodeProto], scheme: Scheme) -> tuple[str, ...]:
    """Return the tensor that the node's output is quantized as, alone in a tuple, or an empty tuple."""
    if tensor in scheme.activations:
        return (tensor,)
    readers = [node for node in nodes if tensor in node.input]
    if len(readers) == 1 and readers[0].op_type in DROPPED and readers[0].output[0] in scheme.activations:
        return (readers[0].output[0],)
    return ()
