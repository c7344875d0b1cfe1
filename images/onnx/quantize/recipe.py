"""The options of a recipe for ONNX Runtime's static quantizer."""

from dataclasses import dataclass
from typing import Any

from onnxruntime.quantization import QuantFormat, QuantType
from onnxruntime.quantization.quantize import check_static_quant_arguments
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from shared.errors import Unsupported

TYPES = {
    "int8": QuantType.QInt8,
    "uint8": QuantType.QUInt8,
    "int16": QuantType.QInt16,
    "uint16": QuantType.QUInt16,
}
QUANTIZABLE = sorted({*QLinearOpsRegistry, *QDQRegistry})  # op types, the default of `quantize_static`


@dataclass(frozen=True)
class Recipe:
    """The options of the group `static` in stages.toml.

    Without `symmetric_weight` the weight's type decides, as in ONNX Runtime: int8 is symmetric, uint8 isn't.
    """

    activation: str
    weight: str
    per_channel: bool = False
    symmetric_activation: bool = False
    symmetric_weight: bool = False
    reduce_range: bool = False
    calibrate: str = "minmax"
    percentile: float = 99.99
    outliers: float = 0.0

    def check_types(self) -> None:
        """Raise Unsupported, with ONNX Runtime's message, for types that can't be combined."""
        try:
            check_static_quant_arguments(QuantFormat.QDQ, TYPES[self.activation], TYPES[self.weight])
        except ValueError as error:
            raise Unsupported(str(error)) from error

    @property
    def extra_options(self) -> dict[str, Any]:
        """The quantizer's `extra_options`."""
        options: dict[str, Any] = {"ActivationSymmetric": self.symmetric_activation}
        return {**options, "WeightSymmetric": True} if self.symmetric_weight else options
