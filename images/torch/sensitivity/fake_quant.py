"""The float model with fake quantization, by the observed ranges, that can be switched tensor by tensor."""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.ao.quantization import ObserverBase

from images.torch.quantize import fx
from images.torch.quantize.exclusion import Layer, fused_modules
from images.torch.quantize.trials import TrialModels

Round = Callable[[torch.Tensor], torch.Tensor]


def make_fake_quant(observer: ObserverBase) -> tuple[Round, tuple[float, float]]:
    """Return the observer's fake quantization, and the least and the greatest value that it doesn't clip."""
    scale, zero = observer.calculate_qparams()
    low, high = observer.quant_min, observer.quant_max
    if len(scale) > 1:
        zero = zero.int()
        return lambda tensor: torch.fake_quantize_per_channel_affine(tensor, scale, zero, 0, low, high), (0.0, 0.0)
    one, offset = float(scale), int(zero)
    limits = (low - offset) * one, (high - offset) * one
    return lambda tensor: torch.fake_quantize_per_tensor_affine(tensor, one, offset, low, high), limits


class FakeQuant(torch.nn.Module):
    """Fake quantization in an observer's place, if `on`; `output` is its last output."""

    def __init__(self, observer: ObserverBase) -> None:
        super().__init__()
        self.round, self.limits = make_fake_quant(observer)
        self.on, self.output = False, torch.empty(0)

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        self.output = self.round(tensor) if self.on else tensor
        return self.output


@dataclass(frozen=True)
class QuantizedLayer:
    """A layer with the fake quantization of its output and, if it has a weight, its module and the weight in both
    forms.
    """

    name: str
    operator: str
    fake_quant: FakeQuant
    module: Any = None  # a module with a weight
    exact: torch.Tensor | None = None
    rounded: torch.Tensor | None = None


class FakeQuantModel:
    """`layers` are the quantized layers, in the graph's order. Without anything switched on the model is float."""

    def __init__(self, trial_models: TrialModels) -> None:
        self.module = copy.deepcopy(trial_models.prepared)
        self.quantizers = replace_observers(self.module)
        self.layers = self._find_layers(trial_models)

    def select(self, activations: Iterable[QuantizedLayer], weights: Iterable[QuantizedLayer]) -> None:
        """Quantize these layers' outputs and those layers' weights, and nothing else."""
        on = {id(part.fake_quant) for part in activations}
        for quantizer in self.quantizers.values():
            quantizer.on = id(quantizer) in on
        chosen = {part.name for part in weights}
        for part in self.layers:
            if part.module is not None:
                part.module.weight.data = part.rounded if part.name in chosen else part.exact

    def select_all(self) -> None:
        """Quantize everything, the model's input too."""
        self.select(self.layers, self.layers)
        for quantizer in self.quantizers.values():
            quantizer.on = True

    def _find_layers(self, trial_models: TrialModels) -> tuple[QuantizedLayer, ...]:
        """Return the layers whose output has a range of its own; others only pass their input on."""
        layers: dict[str, QuantizedLayer] = {}
        used = {
            id(quantizer)
            for node in self.module.graph.nodes
            if node.op == "placeholder"
            for quantizer in self._quantizers_after(node)
        }
        for layer, node in self._nodes_by_layer(trial_models):
            quantizers = [quantizer for quantizer in self._quantizers_after(node) if id(quantizer) not in used]
            if quantizers:
                used.add(id(quantizers[0]))
                layers[layer.name] = QuantizedLayer(
                    layer.name, layer.operator, quantizers[0], *self._weights(layer.module)
                )
        return tuple(layers.values())

    def _nodes_by_layer(self, trial_models: TrialModels) -> Iterator[tuple[Layer, torch.fx.Node]]:
        """Yield each node with its layer: a ReLU belongs to the layer before it."""
        scopes = trial_models.prepared.meta["_observed_graph_module_attrs"].node_name_to_scope
        together, by_module = fused_modules(trial_models.float), {layer.module: layer for layer in trial_models.layers}
        left_out = trial_models.excluded_modules(())
        for node in self.module.graph.nodes:
            module = str(scopes.get(node.name, ("",))[0]).split(".")[0]
            if module in together and module not in left_out:
                yield by_module[together[module][0]], node

    def _quantizers_after(self, node: torch.fx.Node) -> list[FakeQuant]:
        return [self.quantizers[user.target] for user in node.users if user.target in self.quantizers]

    def _weights(self, name: str) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor] | tuple[()]:
        """Return the module that computes the layer, its weight, and that weight quantized and dequantized."""
        inside = [item for path, item in self.module.named_modules() if path.split(".")[0] == name]
        configs = [item.qconfig for item in inside if getattr(item, "qconfig", None) is not None]
        computing = [item for item in inside if isinstance(item, fx.WEIGHTED)]
        if not configs or not computing:
            return ()
        observer = configs[0].weight()
        observer(computing[0].weight)
        exact = computing[0].weight.data.clone()
        return computing[0], exact, make_fake_quant(observer)[0](exact)


def replace_observers(module: torch.fx.GraphModule) -> dict[str, FakeQuant]:
    """Replace the observers, by name; an observer with several names becomes one fake quantization."""
    observers = {name: item for name, item in module.named_children() if isinstance(item, ObserverBase)}
    names = {name: item for name, item in module._modules.items() if isinstance(item, ObserverBase)}
    fake_quants = {id(item): FakeQuant(item) for item in observers.values()}
    for name, item in names.items():
        setattr(module, name, fake_quants[id(item)])
    return {name: fake_quants[id(item)] for name, item in names.items()}
