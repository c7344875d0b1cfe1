"""8-bit weights by NNCF: a smaller file, computed in float, without calibration."""

from pathlib import Path

from images.openvino import coverage
from images.openvino.layers import ignored_scope
from images.openvino.recipe import nncf
from images.openvino.refusals import refusals
from images.openvino.session import ONNX_FILE, check_compiles, ov, read_model, save_model
from shared.quantization import already
from shared.quantization.guards import check_quantized

COMPUTING = ("Convolution", "ConvolutionBackpropData", "GroupConvolution", "GroupConvolutionBackpropData", "MatMul")
INTEGERS = (ov.Type.i8, ov.Type.u8)
RESTORING = ("Convert", "Multiply", "Reshape", "Subtract", "Transpose")


def run(model: Path, out: Path, *, mode: str, exclude: list[str], exclude_types: list[str]) -> None:
    """Write `model.xml`, `model.bin` and `quantized.json`.

    Unsupported if NNCF refuses the model or leaves most weights in float, or if OpenVINO can't run the result.
    """
    already.refuse(model)
    source = read_model(model / ONNX_FILE)
    ignored = ignored_scope(source, exclude, exclude_types)
    with refusals():
        compressed = nncf.compress_weights(source, mode=nncf.CompressWeightsMode(mode), ignored_scope=ignored)
    check_compiles(compressed)
    quantized, total = count_compressed(compressed)
    check_quantized("NNCF", quantized, total)
    coverage.write_counts(quantized, total, out)
    save_model(compressed, out)


def count_compressed(model: ov.Model) -> tuple[int, int]:
    """Return the numbers of (8-bit weights, all) convolutions and matrix products."""
    computing = [op for op in model.get_ops() if op.get_type_name() in COMPUTING]
    return sum(stored_type(op.input_value(1).get_node()) in INTEGERS for op in computing), len(computing)


def stored_type(node: ov.Node) -> ov.Type | None:
    """Return the type of the constant that the weights are restored from, None if they are computed."""
    while node.get_type_name() in RESTORING:
        node = node.input_value(0).get_node()
    return node.get_element_type() if node.get_type_name() == "Constant" else None
