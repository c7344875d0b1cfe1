"""Operators of TensorFlow that tf2onnx converts wrongly, or not at all."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tf2onnx
from tf2onnx.onnx_opset.nn import Resize

Context = Any  # tf2onnx's Graph
Node = Any
Pixels = np.ndarray[Any, np.dtype[np.int64]]
AXES = (1, 2)  # height and width of an image, (batch, height, width, channels)


def convert_erfc(context: Context, node: Node, name: str, args: Any) -> None:  # noqa: ARG001 - as tf2onnx calls it
    """Replace Erfc, which ONNX lacks, in place: by 1 - Erf(x), or by 1 + Erf(x) where the input is -x, as in GELU."""
    negated = node.inputs[0].type == "Neg"
    erf = context.make_node("Erf", node.inputs[0].input[:1] if negated else node.input[:1]).output[0]
    one = context.make_const(tf2onnx.utils.make_name("one"), np.float32(1)).output[0]
    shapes, types = node.output_shapes, node.output_dtypes
    context.remove_node(name)
    operator, inputs = ("Add", [erf, one]) if negated else ("Sub", [one, erf])
    context.make_node(operator, inputs, outputs=node.output, name=name, shapes=shapes, dtypes=types)


def convert_resize(context: Context, node: Node, name: str, args: Any) -> None:  # noqa: ARG001 - as tf2onnx calls it
    """Convert a resize to a known size so that the result has that size, and takes the pixels that TensorFlow takes.

    tf2onnx writes `scales`. ONNX takes the size as the input's size times the scale, rounded down: 36 times 17/36 in
    float32 is 16.9999993. And it finds the nearest pixel by a division where TensorFlow multiplies, which differs where
    a pixel is as near as another: such a resize becomes Gather operators.
    """
    sizes = [context.get_shape(node.input[0])[axis] for axis in AXES] if context.get_shape(node.input[0]) else [-1]
    if -1 in sizes or not node.inputs[1].is_const():
        Resize.version_11(context, node)
        return
    targets = [int(size) for size in node.inputs[1].get_tensor_value()]
    uneven = any(target % size for size, target in zip(sizes, targets, strict=True))
    if node.type == "ResizeNearestNeighbor" and uneven and not node.get_attr_value("align_corners", 0):
        gather_pixels(context, node, sizes, targets)
        return
    output = node.output[0]
    Resize.version_11(context, node)
    resize = context.get_node_by_output(output).inputs[0]  # below the transposition back
    scales = [1.0, 1.0, *map(scale_to_reach, sizes, targets)]
    constant = context.make_const(tf2onnx.utils.make_name("scales"), np.array(scales, np.float32))
    context.replace_input(resize, resize.input[2], constant.output[0], 2)


def scale_to_reach(size: int, target: int) -> np.float32:
    """The float32 nearest to `target` / `size` that scales `size` to `target`, rounded down, in any precision."""
    scale = np.float32(target / size)
    while size * float(scale) < target:
        scale = np.nextafter(scale, np.float32(np.inf))
    return scale


def gather_pixels(context: Context, node: Node, sizes: list[int], targets: list[int]) -> None:
    """Replace a resize to the nearest pixels, in place, by one Gather per axis."""
    shapes, types = node.output_shapes, node.output_dtypes
    source = node.input[0]
    half = bool(node.get_attr_value("half_pixel_centers", 0))
    pixels = [nearest_pixels(*pair, half) for pair in zip(sizes, targets, strict=True)]
    context.remove_node(node.name)
    rows = context.make_const(tf2onnx.utils.make_name("rows"), pixels[0]).output[0]
    columns = context.make_const(tf2onnx.utils.make_name("columns"), pixels[1]).output[0]
    lines = context.make_node("Gather", [source, rows], attr={"axis": AXES[0]}, dtypes=types).output[0]
    attributes = {"axis": AXES[1]}
    context.make_node("Gather", [lines, columns], attributes, outputs=node.output, shapes=shapes, dtypes=types)


def nearest_pixels(size: int, target: int, half: bool) -> Pixels:
    """The pixel of `size` that TensorFlow takes for each of `target`, (target,); it computes them in float32.

    `half`: positions are those of the centers of pixels.
    """
    scale = np.float32(size) / np.float32(target)
    positions = (np.arange(target, dtype=np.float32) + np.float32(0.5 if half else 0)) * scale
    pixels: Pixels = np.minimum(np.floor(positions), size - 1).astype(np.int64)
    return pixels


HANDLERS: dict[str, tuple[Callable[..., None], list[str]]] = {
    "Erfc": (convert_erfc, []),
    **dict.fromkeys(("ResizeBilinear", "ResizeBicubic", "ResizeNearestNeighbor"), (convert_resize, [])),
}
