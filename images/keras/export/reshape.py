"""Makes computed Reshape targets constant: a quantizer that traces the graph can't follow a shape that is data.

tf2onnx sometimes leaves Flatten as Shape, Slice, Concat and Reshape, and sometimes not, for the same model. Where the
inferred shape of the result has at most one unknown dimension, that dimension is -1 and the rest is known. Keras 3
computes more targets: those of attention and of Dense on sequences are products of sizes.

images/onnx/graph/shape_constants.py does a similar thing with ONNX Runtime, for what remains and for files that were
ONNX from the start. It is done here too, with ONNX alone: one model must be exported as the same bytes in every
process, and frameworks also start from this file directly.
"""

import numpy as np
import onnx
from onnx import numpy_helper

from images.keras.export.canonical import names_read
from images.keras.export.shape_values import reshape_targets

BATCHES = (3, 5)  # sizes whose results are compared


def make_reshapes_constant(model: onnx.ModelProto) -> int:
    """Make computed targets constant, in place, as far as they are known; the number of Reshape nodes changed."""
    changed = set_targets(model, infer_shapes(model))
    if computed_reshapes(model):
        changed += set_targets(model, compare_batches(model))
    if changed:
        drop_unused(model.graph)
    return changed


def computed_reshapes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The Reshape nodes whose target is not a constant."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [node for node in model.graph.node if node.op_type == "Reshape" and node.input[1] not in constants]


def set_targets(model: onnx.ModelProto, targets: dict[str, list[int]]) -> int:
    """Set the target of each computed Reshape, in place, where `targets` has it by the name of its output.

    A target with several unknown dimensions (-1) is skipped. The number of Reshape nodes changed.
    """
    changed = 0
    for node in computed_reshapes(model):
        target = targets.get(node.output[0])
        if target is None or target.count(-1) > 1:
            continue
        name = f"{node.output[0]}_shape"
        model.graph.initializer.append(numpy_helper.from_array(np.array(target, np.int64), name))
        node.input[1] = name
        changed += 1
    return changed


def compare_batches(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Targets computed for two batch sizes: dimensions that are equal are constant, others are -1.

    They follow from the batch size by products and sums of sizes, which shape inference can't follow.
    """
    first, second = (reshape_targets(model, batch) for batch in BATCHES)
    pairs = {name: zip(sizes, second[name], strict=True) for name, sizes in first.items() if name in second}
    return {name: [size if size == other else -1 for size, other in sizes] for name, sizes in pairs.items()}


def infer_shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """The shape of each tensor whose rank inference knows, -1 for a dimension that it doesn't know."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {}
    for item in (*inferred.value_info, *inferred.output):
        tensor = item.type.tensor_type
        if tensor.HasField("shape"):
            dims = tensor.shape.dim
            shapes[item.name] = [d.dim_value if d.HasField("dim_value") else -1 for d in dims]
    return shapes


def drop_unused(graph: onnx.GraphProto) -> None:
    """Remove, in place, the nodes and initializers whose results nothing reads."""
    while True:
        read = {name for node in graph.node for name in names_read(node)}
        read |= {item.name for item in graph.output}
        unused = [node for node in graph.node if not read.intersection(node.output)]
        if not unused:
            break
        for node in unused:
            graph.node.remove(node)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)
