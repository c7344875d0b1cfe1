"""Make computed Reshape targets constant: a quantizer that traces the graph can't follow a shape that is data.

tf2onnx leaves Flatten as Shape, Slice, Concat and Reshape now and then, for the same model. Where the inferred shape of
the result has at most one unknown dimension, that dimension is -1 and the rest is known. Keras 3 computes more targets:
those of attention and of Dense on sequences are products of sizes.

It is done here, by ONNX alone, though images/onnx/graph/shape_constants.py does the like with ONNX Runtime: one model
must be exported as the same bytes in every process, and frameworks also start from this file as it is, unfolded.
Folding sees what is left, and files that were ONNX from the start.
"""

import numpy as np
import onnx
from onnx import numpy_helper

from images.keras.export.canonical import reads
from images.keras.export.shape_values import reshaped

BATCHES = (3, 5)


def constant_reshapes(model: onnx.ModelProto) -> int:
    """Rewrite `model` in place; the number of Reshape nodes that were changed."""
    changed = rewrite(model, known_shapes(model))
    if computed(model):
        changed += rewrite(model, followed(model))
    if changed:
        drop_unused(model.graph)
    return changed


def computed(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The Reshape nodes whose target is not a constant."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [node for node in model.graph.node if node.op_type == "Reshape" and node.input[1] not in constants]


def rewrite(model: onnx.ModelProto, targets: dict[str, list[int]]) -> int:
    changed = 0
    for node in computed(model):
        target = targets.get(node.output[0])
        if target is None or target.count(-1) > 1:
            continue
        name = f"{node.output[0]}_shape"
        model.graph.initializer.append(numpy_helper.from_array(np.array(target, np.int64), name))
        node.input[1] = name
        changed += 1
    return changed


def followed(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Targets that follow from the size of the batch, which inference doesn't see through products and sums of sizes.

    What is the same for two sizes is constant; the one that isn't is -1.
    """
    first, second = (reshaped(model, batch) for batch in BATCHES)
    pairs = {name: zip(sizes, second[name], strict=True) for name, sizes in first.items() if name in second}
    return {name: [one if one == two else -1 for one, two in sizes] for name, sizes in pairs.items()}


def known_shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Shape of each tensor that inference knows the rank of, -1 for a dimension that it doesn't know."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {}
    for item in (*inferred.value_info, *inferred.output):
        tensor = item.type.tensor_type
        if tensor.HasField("shape"):
            dims = tensor.shape.dim
            shapes[item.name] = [d.dim_value if d.HasField("dim_value") else -1 for d in dims]
    return shapes


def drop_unused(graph: onnx.GraphProto) -> None:
    """Remove the nodes and initializers whose results nothing reads any more."""
    while True:
        read = {name for node in graph.node for name in reads(node)}
        read |= {item.name for item in graph.output}
        idle = [node for node in graph.node if not read.intersection(node.output)]
        if not idle:
            break
        for node in idle:
            graph.node.remove(node)
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)
