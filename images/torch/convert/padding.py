"""Replaces `auto_pad` by explicit padding: onnx2torch refuses SAME_UPPER and SAME_LOWER, which depend on
input sizes.
"""

import onnx
from onnx import helper

from images.torch.convert.sizes import tensor_sizes

PADDED_OPERATORS = ("Conv", "MaxPool", "AveragePool", "LpPool")
SAME_MODES = ("SAME_UPPER", "SAME_LOWER")


def make_padding_explicit(graph: onnx.GraphProto) -> list[str]:
    """Rewrite `graph` in place where the padding is known; return the names of the changed nodes.

    It is where the sizes are, and along an axis with a stride of 1, whose padding doesn't depend on the size.
    """
    sizes = tensor_sizes(graph)
    changed = []
    for node in graph.node:
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        mode = attributes.get("auto_pad", b"NOTSET").decode()
        if node.op_type not in PADDED_OPERATORS or mode not in SAME_MODES:
            continue
        kernel = attributes.get("kernel_shape") or sizes.get(node.input[1], [])[2:]
        strides = attributes.get("strides", [1] * len(kernel))
        size = sizes.get(node.input[0], [])[2:] or [0] * len(kernel)
        if not kernel or not all(length or stride == 1 for length, stride in zip(size, strides, strict=True)):
            continue
        for name in ("auto_pad", "pads"):
            for item in [item for item in node.attribute if item.name == name]:
                node.attribute.remove(item)
        node.attribute.append(helper.make_attribute("pads", compute_pads(size, list(kernel), attributes, mode)))
        changed.append(node.name)
    return changed


def compute_pads(size: list[int], kernel: list[int], attributes: dict[str, list[int]], mode: str) -> list[int]:
    """Return the padding before each axis, then that after it; the odd one is after with SAME_UPPER."""
    strides = attributes.get("strides", [1] * len(kernel))
    dilations = attributes.get("dilations", [1] * len(kernel))
    totals = [
        max((-(-length // stride) - 1) * stride + (width - 1) * dilation + 1 - length, 0)
        for length, width, stride, dilation in zip(size, kernel, strides, dilations, strict=True)
    ]
    less = [total // 2 for total in totals]
    more = [total - half for total, half in zip(totals, less, strict=True)]
    return less + more if mode == "SAME_UPPER" else more + less
