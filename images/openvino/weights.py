"""8 bits for the weights alone, by NNCF: a smaller file, computed in float; no calibration."""

from pathlib import Path

from images.openvino import coverage
from images.openvino.layers import scope
from images.openvino.recipe import nncf
from images.openvino.refusals import refusals
from images.openvino.session import ONNX_FILE, check_compiles, ov, read, save
from shared.quantization.guards import check_quantized

COMPUTING = ("Convolution", "ConvolutionBackpropData", "GroupConvolution", "GroupConvolutionBackpropData", "MatMul")
INTEGERS = (ov.Type.i8, ov.Type.u8)
RESTORING = ("Convert", "Multiply", "Reshape", "Subtract", "Transpose")


def run(model: Path, out: Path, *, mode: str, exclude: list[str], exclude_types: list[str]) -> None:
    """Write `model.xml`, `model.bin` and `quantized.json`.

    Unsupported where NNCF refuses or leaves weights in float, or OpenVINO can't run what it made.
    """
    source = read(model / ONNX_FILE)
    left_out = scope(source, exclude, exclude_types)
    with refusals():
        compressed = nncf.compress_weights(source, mode=nncf.CompressWeightsMode(mode), ignored_scope=left_out)
    check_compiles(compressed)
    quantized, total = count(compressed)
    check_quantized("NNCF", quantized, total)
    coverage.record(quantized, total, out)
    save(compressed, out)


def count(model: ov.Model) -> tuple[int, int]:
    """(with weights in 8 bits, all) operators that compute."""
    computing = [op for op in model.get_ops() if op.get_type_name() in COMPUTING]
    return sum(stored(op.input_value(1).get_node()) in INTEGERS for op in computing), len(computing)


def stored(node: ov.Node) -> ov.Type | None:
    """The type of the constant that the weights are restored from; None where they are no constant."""
    while node.get_type_name() in RESTORING:
        node = node.input_value(0).get_node()
    return node.get_element_type() if node.get_type_name() == "Constant" else None
