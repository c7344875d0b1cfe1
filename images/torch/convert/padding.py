"""`auto_pad` by numbers: onnx2torch refuses SAME_UPPER and SAME_LOWER, which depend on the size of what comes in."""

import onnx
from onnx import helper

KINDS = ("Conv", "MaxPool", "AveragePool", "LpPool")
SAME = ("SAME_UPPER", "SAME_LOWER")


def explicit_padding(graph: onnx.GraphProto) -> list[str]:
    """Rewrite `graph` in place where the sizes are known; the names of the nodes that were changed."""
    sizes = known_sizes(graph)
    changed = []
    for node in graph.node:
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        way = attributes.get("auto_pad", b"NOTSET").decode()
        if node.op_type not in KINDS or way not in SAME:
            continue
        size = sizes.get(node.input[0], [])[2:]
        kernel = attributes.get("kernel_shape") or sizes.get(node.input[1], [])[2:]
        if not size or not all(size):
            continue
        for name in ("auto_pad", "pads"):
            for item in [item for item in node.attribute if item.name == name]:
                node.attribute.remove(item)
        node.attribute.append(helper.make_attribute("pads", pads(size, list(kernel), attributes, way)))
        changed.append(node.name)
    return changed


def pads(size: list[int], kernel: list[int], attributes: dict[str, list[int]], way: str) -> list[int]:
    """What is put before each axis, then what is put behind it: the odd one behind with SAME_UPPER."""
    strides = attributes.get("strides", [1] * len(kernel))
    dilations = attributes.get("dilations", [1] * len(kernel))
    totals = [
        max((-(-length // stride) - 1) * stride + (width - 1) * dilation + 1 - length, 0)
        for length, width, stride, dilation in zip(size, kernel, strides, dilations, strict=True)
    ]
    less = [total // 2 for total in totals]
    more = [total - half for total, half in zip(totals, less, strict=True)]
    return less + more if way == "SAME_UPPER" else more + less


def known_sizes(graph: onnx.GraphProto) -> dict[str, list[int]]:
    """Of each tensor whose rank inference knows; 0 for a size that it doesn't know."""
    found = {
        item.name: [dim.dim_value for dim in item.type.tensor_type.shape.dim]
        for item in (*graph.input, *graph.value_info, *graph.output)
    }
    return found | {tensor.name: list(tensor.dims) for tensor in graph.initializer}
