"""Lets onnx2torch be imported without torchvision, which it needs for detection operators only.

The package index's torchvision is linked to CUDA, and can't be imported with a CPU build of PyTorch.
"""

import importlib.util
import sys
import types
from typing import NoReturn

from shared.errors import Unsupported


def refuse_call(*_: object, **__: object) -> NoReturn:
    raise Unsupported("NonMaxSuppression and RoiAlign need torchvision, which this image leaves out")


def install() -> None:
    """Put a stub in torchvision's place if it isn't installed."""
    if importlib.util.find_spec("torchvision") is not None:
        return
    package, operators = types.ModuleType("torchvision"), types.ModuleType("torchvision.ops")
    for name in ("nms", "box_convert", "roi_align"):
        setattr(operators, name, refuse_call)
    package.ops = operators  # type: ignore[attr-defined]
    sys.modules["torchvision"], sys.modules["torchvision.ops"] = package, operators
