"""The layers of a model by the names of the ONNX file, and which of them a recipe leaves in float."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch

from images.torch.convert import OnnxGraph
from shared.quantization.layer_names import check

ALIASES = {"Linear": ("Gemm", "MatMul")}


@dataclass(frozen=True)
class Layer:
    """A node of the ONNX file: its `name` there, its `operator`, and what onnx2torch calls its module."""

    name: str
    operator: str
    module: str


def read(variant: Path) -> tuple[Layer, ...]:
    """The layers of the ONNX file in `variant`, in the graph's order."""
    graph = onnx.load(variant / "model.onnx").graph
    modules = OnnxGraph(graph).nodes
    return tuple(
        Layer(node.name or module, node.op_type, module) for node, module in zip(graph.node, modules, strict=True)
    )


def select(layers: Sequence[Layer], names: Sequence[str], operators: Sequence[str]) -> tuple[Layer, ...]:
    """The layers that a recipe excludes. CrossquantError for a name that the model lacks, and for an operator that
    neither it nor ONNX has: a preset may exclude what a model happens not to have.
    """
    check("exclude", "layer", names, [layer.name for layer in layers])
    unheard = [name for name in operators if not onnx.defs.has(name)]
    check("exclude_types", "operator", unheard, [*sorted({layer.operator for layer in layers}), *ALIASES])
    wanted = {item for operator in operators for item in ALIASES.get(operator, (operator,))}
    return tuple(layer for layer in layers if layer.name in names or layer.operator in wanted)


def units(module: torch.fx.GraphModule) -> dict[str, tuple[str, ...]]:
    """By the name of each module, those that are quantized together: a ReLU is part of the layer before it.

    PyTorch fuses the two, and dies where one of them is excluded without the other.
    """
    head: dict[str, str] = {}
    for node in module.graph.nodes:
        if node.op == "call_module":
            head[node.target] = node.target
            before = node.args[0] if node.args else None
            if isinstance(module.get_submodule(node.target), torch.nn.ReLU) and isinstance(before, torch.fx.Node):
                head[node.target] = head.get(str(before.target), node.target)
    return {name: tuple(other for other in head if head[other] == first) for name, first in head.items()}


def whole(excluded: Iterable[Layer], module: torch.fx.GraphModule) -> tuple[str, ...]:
    """The modules of `excluded`, with those that are quantized together with them."""
    together = units(module)
    return tuple(dict.fromkeys(name for layer in excluded for name in together.get(layer.module, ())))
