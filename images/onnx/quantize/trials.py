"""The same recipe with other layers left in float, and what each attempt answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnxruntime.quantization.calibrate import TensorsData

from images.onnx.quantize import coverage, write
from images.onnx.quantize.recipe import Recipe
from images.onnx.sensitivity.ablation import Ablation, ranked
from images.onnx.session import FILE, check_loads, load
from shared.data.subset import Subset
from shared.measure.predictions import Model
from shared.quantization.guards import LEAST_SHARE, check_quantized
from shared.runner import threads

RANKED = 100  # calibration samples that layers are ranked by


@dataclass(frozen=True)
class Attempts:
    """`ranges` are computed once for all; `always` are the layers that no attempt quantizes."""

    model: Path
    ranges: TensorsData
    recipe: Recipe
    always: Sequence[str]
    folder: Path

    def write(self, left_out: Sequence[str], target: Path) -> None:
        write(self.model / FILE, self.ranges, self.recipe, [*self.always, *left_out], target)

    def load(self, left_out: Sequence[str]) -> Model:
        """The quantized model with these layers in float, in addition to those that always are."""
        self.write(left_out, self.folder / FILE)
        return load(self.folder, threads.allowed())

    def check(self) -> None:
        """Unsupported where the recipe itself, without any left out, leaves too much in float or can't be run."""
        self.write([], self.folder / FILE)
        check_loads(self.folder / FILE)
        check_quantized("ONNX Runtime", *coverage.count(onnx.load(self.folder / FILE)))

    def order(self, calibration: Path) -> tuple[str, ...]:
        """The layers that may be left out, the most sensitive first."""
        self.write([], self.folder / FILE)
        subset = Subset(calibration, RANKED)
        parts = ranked(Ablation(self.model / FILE, self.folder / FILE, subset, self.folder))
        candidates = [part for part in parts if part.name not in self.always]
        return spared([(part.name, part.operator in coverage.COMPUTING) for part in candidates])


def spared(layers: Sequence[tuple[str, bool]]) -> tuple[str, ...]:
    """As many of the layers (name, does it compute?) as may be in float while the model still counts as quantized."""
    left = int(sum(computes for _, computes in layers) * (1 - LEAST_SHARE))
    names = []
    for name, computes in layers:
        if computes and not left:
            continue
        left -= computes
        names.append(name)
    return tuple(names)
