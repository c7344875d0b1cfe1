"""A model that is calibrated once, and quantized again and again with other layers left in float."""

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.ao.quantization.quantize_fx import convert_fx

from images.torch import fx, layers, quantize
from images.torch.convert import to_module
from images.torch.layers import Layer
from images.torch.recipe import Recipe


class Attempts:
    """`always` are the names of the layers that the recipe excludes anyway."""

    def __init__(self, model: Path, recipe: Recipe, always: Sequence[str], calibration: Path) -> None:
        quantize.set_engine(recipe.backend)
        self.recipe, self.always = recipe, tuple(always)
        self.layers: tuple[Layer, ...] = layers.read(model)
        self.float = to_module(model)
        self.prepared = fx.prepare(copy.deepcopy(self.float), self.mapping(()), calibration)

    def mapping(self, excluded: Sequence[str]) -> torch.ao.quantization.QConfigMapping:
        return fx.exclude(self.recipe.mapping(), self.modules(excluded))

    def modules(self, excluded: Sequence[str]) -> tuple[str, ...]:
        left_out = layers.select(self.layers, (*self.always, *excluded), ())
        return layers.whole(left_out, self.float)

    def quantized(self, excluded: Sequence[str]) -> torch.fx.GraphModule:
        """The 8-bit module with these layers in float, in addition to those that always are."""
        return convert_fx(copy.deepcopy(self.prepared), qconfig_mapping=self.mapping(excluded))

    def total(self, excluded: Sequence[str]) -> int:
        """How many layers are to be quantized."""
        return fx.count(self.float, fx.COMPUTING, self.modules(excluded))
