"""The options of a recipe for PyTorch's quantizer: the observers that choose scales and zero points."""

from dataclasses import dataclass
from typing import Any

import torch
from torch.ao import quantization
from torch.ao.nn.quantized import Conv2d

TYPES = {"qint8": torch.qint8, "quint8": torch.quint8}
REDUCE = {"always": True, "never": False}  # not on and off: YAML reads those as true and false


class PercentileObserver(quantization.HistogramObserver):
    """Clips the same share of values at both ends: (100 - percentile) / 2 percent each."""

    def __init__(self, percentile: float, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.percentile = percentile

    def _non_linear_param_search(self) -> tuple[torch.Tensor, torch.Tensor]:
        shares = torch.cumsum(self.histogram.double(), 0) / self.histogram.double().sum()
        tail = (1 - self.percentile / 100) / 2
        first = int(torch.searchsorted(shares, tail, right=True))
        last = min(int(torch.searchsorted(shares, 1 - tail)), self.bins - 1)
        width = (self.max_val - self.min_val) / self.bins
        return self.min_val + width * first, self.min_val + width * (last + 1)


@dataclass(frozen=True)
class Recipe:
    """The options of the group `static` in stages.toml.

    `backend` is the engine that runs the model. "default" leaves a choice to PyTorch's qconfig of the backend.
    """

    backend: str
    observer: str = "default"
    percentile: float = 99.99
    per_channel: bool = True
    activation: str = "quint8"
    weight: str = "qint8"
    reduce_range: str = "default"

    def qconfig(self) -> quantization.QConfig:
        """Return the observers of activations and weights."""
        return quantization.QConfig(activation=self._activation(), weight=self._weight())

    def mapping(self) -> quantization.QConfigMapping:
        """Return the configuration of all layers; recurrent ones stay in float."""
        mapping = quantization.get_default_qconfig_mapping(self.backend).set_global(self.qconfig())
        for recurrent in (
            torch.nn.LSTM,
            torch.nn.GRU,
        ):  # they have no static kernel, and their output is a tuple, which can't be observed
            mapping.set_object_type(recurrent, None)
        return mapping

    @property
    def like_pt2e(self) -> bool:
        """Does PT2E support the recipe's types?"""
        return (self.activation, self.weight) == ("quint8", "qint8")

    @property
    def reduced(self) -> bool:
        """Do activations have 7 bits? Sums of two products then fit in 16 bits, which CPUs without VNNI need."""
        default = quantization.get_default_qconfig(self.backend).activation().reduce_range
        return REDUCE.get(self.reduce_range, default)

    def _activation(self) -> type:
        settings = {"dtype": TYPES[self.activation], "reduce_range": self.reduced}
        if self.observer == "percentile":
            return PercentileObserver.with_args(percentile=self.percentile, **settings)
        if self.observer == "minmax":
            return quantization.MinMaxObserver.with_args(**settings)
        return quantization.HistogramObserver.with_args(**settings)  # the choice of all four backends

    def _weight(self) -> type:
        kind = quantization.PerChannelMinMaxObserver if self.per_channel else quantization.MinMaxObserver
        scheme = ("per_channel" if self.per_channel else "per_tensor") + (
            "_symmetric" if self.weight == "qint8" else "_affine"
        )
        return kind.with_args(dtype=TYPES[self.weight], qscheme=getattr(torch, scheme))


def check_in_eager_mode(config: quantization.QConfig) -> str:
    """Return the error of PyTorch's eager mode for this recipe on one convolution, "" if there is none."""
    layer: Any = torch.nn.Conv2d(1, 1, 1)  # it gets attributes that only eager mode gives a module
    layer.qconfig = config
    layer.activation_post_process = config.activation()
    layer.activation_post_process(torch.rand(1, 1, 2, 2))
    try:
        Conv2d.from_float(layer)
    except (AssertionError, RuntimeError) as error:
        return f"PyTorch's eager mode says: {error}"
    return ""
