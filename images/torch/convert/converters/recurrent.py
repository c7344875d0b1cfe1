"""LSTM and GRU of ONNX by PyTorch's own layers: the same sums, with the gates in another order."""

import torch
from onnx2torch.node_converters.registry import add_converter
from onnx2torch.onnx_graph import OnnxGraph
from onnx2torch.onnx_node import OnnxNode
from onnx2torch.utils.common import OnnxMapping, OperationConverterResult

KINDS = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU}
GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2)}  # PyTorch's order, by the places that they have in ONNX
ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}
LENGTHS, PEEPHOLES = 4, 7  # places of inputs
REFUSED = ("clip", "input_forget", "layout")


class Recurrent(torch.nn.Module):
    """(steps, n, inputs) to (steps, directions, n, units), then the last state or states, as ONNX has them."""

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
        found = steps.unflatten(2, (directions, self.layer.hidden_size)).transpose(1, 2)
        return (found, last[0], last[1]) if isinstance(self.layer, torch.nn.LSTM) else (found, last)


def check(node: OnnxNode) -> None:
    """NotImplementedError for what PyTorch's layers don't compute."""
    kind, known = node.operation_type, node.attributes
    directions = 2 if known.get("direction") == "bidirectional" else 1
    given = {place for place, name in enumerate(node.input_values) if name}
    refused = [name for name in REFUSED if known.get(name)]
    if known.get("activations", ACTIVATIONS[kind] * directions) != ACTIVATIONS[kind] * directions:
        refused.append(f"activations {', '.join(known['activations'])}")
    if given & {LENGTHS, PEEPHOLES}:
        refused.append("sequence lengths or peepholes")
    if kind == "GRU" and not known.get("linear_before_reset"):
        refused.append("its reset before the product")
    if refused:
        raise NotImplementedError(f"{kind} with {' and '.join(refused)} is not implemented")


def layer_of(node: OnnxNode, graph: OnnxGraph) -> torch.nn.LSTM | torch.nn.GRU:
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
            getattr(layer, name + end).data = torch.cat([gates[place] for place in GATES[kind]])
    return layer


@add_converter("LSTM", 7)
@add_converter("LSTM", 14)
@add_converter("LSTM", 22)
@add_converter("GRU", 7)
@add_converter("GRU", 14)
@add_converter("GRU", 22)
def recurrent(node: OnnxNode, graph: OnnxGraph) -> OperationConverterResult:
    check(node)
    module = Recurrent(layer_of(node, graph), node.attributes.get("direction") == "reverse")
    given = [name for name in (*node.input_values[:1], *node.input_values[5:7]) if name]
    return OperationConverterResult(module, OnnxMapping(inputs=tuple(given), outputs=node.output_values))
