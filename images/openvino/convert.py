"""The float model as OpenVINO's own files."""

from pathlib import Path

from images.openvino.session import ONNX_FILE, check_compiles, read, save
from shared.errors import CrossquantError, Unsupported


def run(model: Path, out: Path) -> None:
    """Write `model.xml` and `model.bin`, in float32. Unsupported where OpenVINO can't read or run the ONNX file."""
    try:
        converted = read(model / ONNX_FILE)
    except CrossquantError as error:
        raise Unsupported(str(error)) from error
    check_compiles(converted)
    save(converted, out)
