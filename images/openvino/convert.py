"""Converts the float model to OpenVINO's own files."""

from pathlib import Path

from images.openvino.session import check_compiles, read_source, save_model


def run(model: Path, out: Path) -> None:
    """Write `model.xml` and `model.bin`, in float32. Unsupported if OpenVINO can't read or run the ONNX file."""
    converted = read_source(model)
    check_compiles(converted)
    save_model(converted, out)
