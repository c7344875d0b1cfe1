"""The float model with each tensor's quantization to be switched on alone: fake quantization by the observed ranges."""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.ao.quantization import ObserverBase

from images.torch.quantize import fx
from images.torch.quantize.exclusion import Layer, units
from images.torch.quantize.trials import Attempts

Round = Callable[[torch.Tensor], torch.Tensor]


def rounding(observer: ObserverBase) -> tuple[Round, tuple[float, float]]:
    """Quantization and back, by what `observer` has seen, and the least and greatest value that it lets pass."""
    scale, zero = observer.calculate_qparams()
    low, high = observer.quant_min, observer.quant_max
    if len(scale) > 1:
        zero = zero.int()
        return lambda tensor: torch.fake_quantize_per_channel_affine(tensor, scale, zero, 0, low, high), (0.0, 0.0)
    one, offset = float(scale), int(zero)
    limits = (low - offset) * one, (high - offset) * one
    return lambda tensor: torch.fake_quantize_per_tensor_affine(tensor, one, offset, low, high), limits


class Switch(torch.nn.Module):
    """In an observer's place; `seen` is what it gave last."""

    def __init__(self, observer: ObserverBase) -> None:
        super().__init__()
        self.round, self.limits = rounding(observer)
        self.on, self.seen = False, torch.empty(0)

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        self.seen = self.round(tensor) if self.on else tensor
        return self.seen


@dataclass(frozen=True)
class Part:
    """A layer, with the switch of its output, and its module and two weights if it has any."""

    name: str
    operator: str
    switch: Switch
    holder: Any = None  # a module with a weight
    exact: torch.Tensor | None = None
    rounded: torch.Tensor | None = None


class Switches:
    """`parts` are the layers that are quantized, in the graph's order. Without anything switched on it is float."""

    def __init__(self, attempts: Attempts) -> None:
        self.module = copy.deepcopy(attempts.prepared)
        self.switches = replace(self.module)
        self.parts = self._parts(attempts)

    def set(self, activations: Iterable[Part], weights: Iterable[Part]) -> None:
        """Quantize these layers' outputs and those layers' weights, and nothing else."""
        on = {id(part.switch) for part in activations}
        for switch in self.switches.values():
            switch.on = id(switch) in on
        chosen = {part.name for part in weights}
        for part in self.parts:
            if part.holder is not None:
                part.holder.weight.data = part.rounded if part.name in chosen else part.exact

    def all(self) -> None:
        """Quantize everything, the model's input too."""
        self.set(self.parts, self.parts)
        for switch in self.switches.values():
            switch.on = True

    def _parts(self, attempts: Attempts) -> tuple[Part, ...]:
        """The layers whose output has a range of its own; others pass on what they are given."""
        found: dict[str, Part] = {}
        taken = {
            id(switch) for node in self.module.graph.nodes if node.op == "placeholder" for switch in self._after(node)
        }
        for layer, node in self._computed(attempts):
            switches = [switch for switch in self._after(node) if id(switch) not in taken]
            if switches:
                taken.add(id(switches[0]))
                found[layer.name] = Part(layer.name, layer.operator, switches[0], *self._weights(layer.module))
        return tuple(found.values())

    def _computed(self, attempts: Attempts) -> Iterator[tuple[Layer, torch.fx.Node]]:
        """Each node of the graph with the layer that it is computed in: a ReLU's is the one before it."""
        scopes = attempts.prepared.meta["_observed_graph_module_attrs"].node_name_to_scope
        together, known = units(attempts.float), {layer.module: layer for layer in attempts.layers}
        left_out = attempts.modules(())
        for node in self.module.graph.nodes:
            module = str(scopes.get(node.name, ("",))[0]).split(".")[0]
            if module in together and module not in left_out:
                yield known[together[module][0]], node

    def _after(self, node: torch.fx.Node) -> list[Switch]:
        return [self.switches[user.target] for user in node.users if user.target in self.switches]

    def _weights(self, name: str) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor] | tuple[()]:
        """The module that computes the layer, its weight, and that weight quantized and back."""
        inside = [item for path, item in self.module.named_modules() if path.split(".")[0] == name]
        configs = [item.qconfig for item in inside if getattr(item, "qconfig", None) is not None]
        computing = [item for item in inside if isinstance(item, fx.WEIGHTED)]
        if not configs or not computing:
            return ()
        observer = configs[0].weight()
        observer(computing[0].weight)
        exact = computing[0].weight.data.clone()
        return computing[0], exact, rounding(observer)[0](exact)


def replace(module: torch.fx.GraphModule) -> dict[str, Switch]:
    """Put switches into the observers' places, by their names; an observer that has several names is one switch."""
    observers = {name: item for name, item in module.named_children() if isinstance(item, ObserverBase)}
    names = {name: item for name, item in module._modules.items() if isinstance(item, ObserverBase)}
    made = {id(item): Switch(item) for item in observers.values()}
    for name, item in names.items():
        setattr(module, name, made[id(item)])
    return {name: made[id(item)] for name, item in names.items()}
