"""How large an ONNX file may be: each step from it on reads one file, which protobuf limits to 2 GiB."""

LARGEST = 2_000_000_000  # bytes; shapes and names that later steps add need the rest


def describe_excess(size: int) -> str:
    """Say why no ONNX file can hold a model of `size` bytes, and what to give instead; "" where one can."""
    if size <= LARGEST:
        return ""
    return (
        f"it has {size / 1e9:.2f} GB, and an ONNX file holds {LARGEST / 1e9:.0f} GB, with which ONNX Runtime, PyTorch "
        "and OpenVINO start here: give a smaller model of its kind"
    )
