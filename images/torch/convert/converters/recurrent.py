"""Converters for ONNX's LSTM and GRU: PyTorch's own layers, with the gates in another order."""

import torch
from onnx2torch.node_converters.registry import add_converter
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode
from onnx2torch.utils.common import OnnxMapping, OperationConverterResult

KINDS = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}
GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2)}  # PyTorch's order of the gates, by their position in ONNX
ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}
LENGTHS, PEEPHOLES = 4, 7  # positions of inputs
REFUSED_ATTRIBUTES = ("clip", "input_forget", "layout")


class Recurrent(torch.nn.Module):
    """Maps (steps, n, inputs) to (steps, directions, n, units) and the last state or states, as ONNX has them."""

    def __init__(self, layer: torch.nn.LSTM | torch.nn.GRU, reverse: bool) -> None:
        super().__init__()
        self.layer, self.reverse = layer, reverse

    def forward(
        self, x: torch.Tensor, hidden: torch.Tensor | None = None, cell: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        x = x.flip(0) if self.reverse else x
        start = hidden if cell is None else (hidden, cell)
        steps, last = self.layer(x) if start is None else self.layer(x, start)
        steps = steps.flip(0) if self.reverse else steps
        directions = 2 if self.layer.bidirectional else 1
        outputs = steps.unflatten(2, (directions, self.layer.hidden_size)).transpose(1, 2)
        return (outputs, last[0], last[1]) if isinstance(self.layer, torch.nn.LSTM) else (outputs, last)


def check_supported(node: OnnxNode) -> None:
    """Raise NotImplementedError for variants that PyTorch's layers don't compute."""
    kind, attributes = node.operation_type, node.attributes
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    positions = {position for position, name in enumerate(node.input_values) if name}
    refused = [name for name in REFUSED_ATTRIBUTES if attributes.get(name)]
    if attributes.get("activations", ACTIVATIONS[kind] * directions) != ACTIVATIONS[kind] * directions:
        refused.append(f"activations {', '.join(attributes['activations'])}")
    if positions & {LENGTHS, PEEPHOLES}:
        refused.append("sequence lengths or peepholes")
    if kind == "GRU" and not attributes.get("linear_before_reset"):
        refused.append("its reset before the product")
    if refused:
        raise NotImplementedError(f"{kind} with {' and '.join(refused)} is not implemented")


def make_layer(node: OnnxNode, graph: OnnxGraph) -> torch.nn.LSTM | torch.nn.GRU:
    """Make the PyTorch layer with the node's weights."""
    kind = node.operation_type
    inputs, states, *biases = (graph.initializers[name].to_torch() for name in node.input_values[1:4] if name)
    units, directions = states.shape[2], len(states)
    layer = KINDS[kind](inputs.shape[2], units, bias=bool(biases), bidirectional=directions == 2)
    for direction in range(directions):
        end = "_l0_reverse" if direction else "_l0"
        pairs = [("weight_ih", inputs[direction]), ("weight_hh", states[direction])]
        if biases:
            pairs += zip(("bias_ih", "bias_hh"), biases[0][direction].chunk(2), strict=True)
        for name, values in pairs:
            gates = values.chunk(len(GATES[kind]))
            getattr(layer, name + end).data = torch.cat([gates[position] for position in GATES[kind]])
    return layer


@add_converter("LSTM", 7)
@add_converter("LSTM", 14)
@add_converter("LSTM", 22)
@add_converter("GRU", 7)
@add_converter("GRU", 14)
@add_converter("GRU", 22)
def convert_recurrent(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
    check_supported(node)
    module = Recurrent(make_layer(node, graph), node.attributes.get("direction") == "reverse")
    inputs = [name for name in (*node.input_values[:1], *node.input_values[5:7]) if name]
    return OperationConverterResult(module, OnnxMapping(inputs=tuple(inputs), outputs=node.output_values))
