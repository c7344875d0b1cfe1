"""The layers of a model by their names in the ONNX file, and the selection of those that stay in float."""

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


def read_layers(variant: Path) -> tuple[Layer, ...]:
    """Return the layers of the ONNX file in `variant`, in the graph's order."""
    graph = onnx.load(variant / "model.onnx").graph
    modules = OnnxGraph(graph).nodes
    return tuple(
        Layer(node.name or module, node.op_type, module) for node, module in zip(graph.node, modules, strict=True)
    )


def select_excluded(layers: Sequence[Layer], names: Sequence[str], operators: Sequence[str]) -> tuple[Layer, ...]:
    """Return the layers that a recipe excludes.

    CrossquantError for a name that the model lacks, and for an operator that neither the model nor ONNX has. An
    operator that only this model lacks is allowed, for presets.
    """
    check("exclude", "layer", names, [layer.name for layer in layers])
    unknown = [name for name in operators if not onnx.defs.has(name)]
    check("exclude_types", "operator", unknown, [*sorted({layer.operator for layer in layers}), *ALIASES])
    op_types = {item for operator in operators for item in ALIASES.get(operator, (operator,))}
    return tuple(layer for layer in layers if layer.name in names or layer.operator in op_types)


def fused_modules(module: torch.fx.GraphModule) -> dict[str, tuple[str, ...]]:
    """Map each module's name to the modules that are quantized with it: a ReLU is part of the layer before it.

    PyTorch fuses the two, and crashes if only one of them is excluded.
    """
    head: dict[str, str] = {}
    for node in module.graph.nodes:
        if node.op == "call_module":
            head[node.target] = node.target
            before = node.args[0] if node.args else None
            if isinstance(module.get_submodule(node.target), torch.nn.ReLU) and isinstance(before, torch.fx.Node):
                head[node.target] = head.get(str(before.target), node.target)
    return {name: tuple(other for other in head if head[other] == first) for name, first in head.items()}


def include_fused(excluded: Iterable[Layer], module: torch.fx.GraphModule) -> tuple[str, ...]:
    """Return the modules of `excluded`, and those that are quantized together with them."""
    together = fused_modules(module)
    return tuple(dict.fromkeys(name for layer in excluded for name in together.get(layer.module, ())))
