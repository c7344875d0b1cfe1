"""The options of a recipe for NNCF's quantizer."""

from dataclasses import dataclass
from typing import Any

from images.openvino import telemetry_free
from images.openvino.layers import ignored_scope
from images.openvino.session import ov
from shared.errors import CrossquantError

telemetry_free.forbid_telemetry()
import nncf  # noqa: E402 - after its telemetry is forbidden
from nncf.quantization.range_estimator import RangeEstimatorParameters, RangeEstimatorParametersSet  # noqa: E402

RANGES = {
    "default": RangeEstimatorParameters(),
    "minmax": RangeEstimatorParametersSet.MINMAX,
    "mean_minmax": RangeEstimatorParametersSet.MEAN_MINMAX,
    "median_minmax": RangeEstimatorParametersSet.MEDIAN_MINMAX,
    "mean_quantile": RangeEstimatorParametersSet.MEAN_QUANTILE,
    "histogram": RangeEstimatorParametersSet.HISTOGRAM,
}
OFF = -1.0  # the smoothing factor that switches smoothing off


@dataclass(frozen=True)
class Recipe:
    """The options of the group `static` in stages.toml, under NNCF's names, except `calibrate`, its range estimator."""

    preset: str
    calibrate: str
    model_type: str
    smooth_quant: bool
    fast_bias_correction: bool
    overflow_fix: str

    def __post_init__(self) -> None:
        if self.smooth_quant and self.model_type != "transformer":
            raise CrossquantError("smooth_quant: NNCF smooths transformers only: add model_type: transformer")

    def arguments(self, model: ov.Model, samples: int, names: list[str], types: list[str]) -> dict[str, Any]:
        """Return the arguments that all of NNCF's functions share; the layers `names` and those of `types` stay in
        float.
        """
        return {
            "preset": nncf.QuantizationPreset(self.preset),
            "target_device": nncf.TargetDevice.CPU,
            "subset_size": samples,
            "fast_bias_correction": self.fast_bias_correction,
            "model_type": None if self.model_type == "none" else nncf.ModelType(self.model_type),
            "ignored_scope": ignored_scope(model, names, types),
        }

    @property
    def advanced(self) -> nncf.AdvancedQuantizationParameters:
        smooth = nncf.AdvancedSmoothQuantParameters
        return nncf.AdvancedQuantizationParameters(
            overflow_fix=nncf.OverflowFix(self.overflow_fix),
            activations_range_estimator_params=RANGES[self.calibrate],
            smooth_quant_alphas=smooth() if self.smooth_quant else smooth(OFF, OFF),
        )
