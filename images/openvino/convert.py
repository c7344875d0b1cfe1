"""The float model as OpenVINO's own files."""

from pathlib import Path

from images.openvino.session import check_compiles, save, source_of


def run(model: Path, out: Path) -> None:
    """Write `model.xml` and `model.bin`, in float32. Unsupported where OpenVINO can't read or run the ONNX file."""
    converted = source_of(model)
    check_compiles(converted)
    save(converted, out)
