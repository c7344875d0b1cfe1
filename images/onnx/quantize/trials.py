"""Quantizes the same recipe with different layers left in float, for accuracy-aware quantization."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnxruntime.quantization.calibrate import TensorsData

from images.onnx.quantize import coverage, write_quantized
from images.onnx.quantize.recipe import Recipe
from images.onnx.sensitivity.ablation import Ablation, rank_layers
from images.onnx.session import FILE, check_loads, load
from shared.data.subset import Subset
from shared.measure.predictions import Model
from shared.quantization.guards import LEAST_SHARE, check_quantized
from shared.runner import threads

RANKING_SAMPLES = 100  # calibration samples that the layers are ranked on


@dataclass(frozen=True)
class TrialModels:
    """Quantized models that differ in the layers left in float.

    `ranges` are computed once for all of them; the layers in `always_excluded` stay in float in each.
    """

    model: Path
    ranges: TensorsData
    recipe: Recipe
    always_excluded: Sequence[str]
    folder: Path

    def write_model(self, excluded: Sequence[str], target: Path) -> None:
        """Write the model with these layers, and those in `always_excluded`, in float."""
        write_quantized(self.model / FILE, self.ranges, self.recipe, [*self.always_excluded, *excluded], target)

    def load_model(self, excluded: Sequence[str]) -> Model:
        """Load the quantized model with these layers, and those in `always_excluded`, in float."""
        self.write_model(excluded, self.folder / FILE)
        return load(self.folder, threads.allowed())

    def check_recipe(self) -> None:
        """Raise Unsupported if the recipe itself leaves too much in float, or gives a file that can't be run."""
        self.write_model([], self.folder / FILE)
        check_loads(self.folder / FILE)
        check_quantized("ONNX Runtime", *coverage.count_quantized(onnx.load(self.folder / FILE)))

    def rank_layers(self, calibration: Path) -> tuple[str, ...]:
        """Return the layers that may be left in float, the most sensitive first."""
        self.write_model([], self.folder / FILE)
        subset = Subset(calibration, RANKING_SAMPLES)
        ranked = rank_layers(Ablation(self.model / FILE, self.folder / FILE, subset, self.folder))
        candidates = [layer for layer in ranked if layer.name not in self.always_excluded]
        return excludable_layers([(layer.name, layer.operator in coverage.COMPUTING) for layer in candidates])


def excludable_layers(layers: Sequence[tuple[str, bool]]) -> tuple[str, ...]:
    """Return the names of the layers, given as (name, is it a product?), that may be in float together.

    As many products are allowed as leave enough quantized ones for the model to count as quantized.
    """
    allowed = int(sum(is_product for _, is_product in layers) * (1 - LEAST_SHARE))
    names = []
    for name, is_product in layers:
        if is_product and not allowed:
            continue
        allowed -= is_product
        names.append(name)
    return tuple(names)
