"""Let onnx2torch be imported without torchvision, which it needs for detection operators alone.

The torchvision of the package index is linked to CUDA and doesn't import beside a CPU build of PyTorch.
"""

import importlib.util
import sys
import types
from typing import NoReturn

from shared.errors import Unsupported


def refuse(*_: object, **__: object) -> NoReturn:
    raise Unsupported("NonMaxSuppression and RoiAlign need torchvision, which this image leaves out")


def install() -> None:
    """Put a placeholder in torchvision's place, where it is not installed."""
    if importlib.util.find_spec("torchvision") is not None:
        return
    package, operators = types.ModuleType("torchvision"), types.ModuleType("torchvision.ops")
    for name in ("nms", "box_convert", "roi_align"):
        setattr(operators, name, refuse)
    package.ops = operators  # type: ignore[attr-defined]
    sys.modules["torchvision"], sys.modules["torchvision.ops"] = package, operators
