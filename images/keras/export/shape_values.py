"""The values that a graph computes from the shapes of its tensors alone, for a given batch size."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from images.keras.export.canonical import inner_graphs

Values = dict[str, NDArray[Any]]
SMALL = 64  # elements: a shape has a few
SHAPE_OPERATORS = {
    *("Shape", "Size", "Gather", "Cast", "Concat", "Slice", "Squeeze", "Unsqueeze", "Split", "Reshape", "Identity"),
    *("ReduceProd", "ReduceMax", "ReduceMin", "ReduceSum", "Max", "Min", "Mul", "Add", "Sub", "Div", "Neg", "Mod"),
    *("Constant", "ConstantOfShape", "Equal", "Less", "Greater", "Not", "And", "Or", "Where", "Range", "Floor", "Ceil"),
}


def reshape_targets(model: onnx.ModelProto, batch: int) -> dict[str, tuple[int, ...]]:
    """The shape of each Reshape's output, by its name, as far as it follows from a batch of `batch` samples."""
    light = without_weights(model)
    for item in light.graph.input:
        dims = item.type.tensor_type.shape.dim
        if dims and not dims[0].HasField("dim_value"):
            dims[0].dim_value = batch
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in light.graph.initializer}
    while compute_values(light, values):
        pass
    shapes = static_shapes(light)
    outputs = [node.output[0] for node in light.graph.node if node.op_type == "Reshape"]
    return {name: shapes[name] for name in outputs if name in shapes}


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose large constants are inputs: inference runs many times, and copies the whole model."""
    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = light.graph
    graph.name = "shapes"
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        if int(np.prod(tensor.dims)) <= SMALL:
            graph.initializer.append(tensor)
        else:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    return light


def compute_values(model: onnx.ModelProto, values: Values) -> bool:
    """Add to `values` what can be computed now, and set targets of Reshape nodes, in place.

    True if a target was set, so that inference can go further.
    """
    shapes = static_shapes(model)
    target_set = False
    for node in model.graph.node:
        if node.op_type in SHAPE_OPERATORS and node.output[0] not in values and not any(inner_graphs(node)):
            evaluate_node(node, values, shapes, model)
        if node.op_type == "Reshape" and node.input[1] in values and node.input[1] not in constant_names(model):
            target = values[node.input[1]].astype(np.int64)
            name = f"{node.output[0]}_target"
            model.graph.initializer.append(numpy_helper.from_array(target, name))
            values[name] = target
            node.input[1] = name
            target_set = True
    return target_set


def evaluate_node(
    node: onnx.NodeProto, values: Values, shapes: dict[str, tuple[int, ...]], model: onnx.ModelProto
) -> None:
    """Add the node's outputs to `values`, where its inputs are known and small."""
    if node.op_type == "Shape" and node.input[0] in shapes:
        feed: Values = {node.input[0]: np.broadcast_to(np.float32(0), shapes[node.input[0]])}
    elif all(name in values for name in node.input if name):
        feed = {name: values[name] for name in node.input if name}
    else:
        return
    if sum(array.size for array in feed.values()) > SMALL and node.op_type != "Shape":
        return
    opsets = {item.domain: item.version for item in model.opset_import}
    outputs = ReferenceEvaluator(node, opsets=opsets).run(None, feed)
    if all(np.size(array) <= SMALL for array in outputs):
        values.update({name: np.asarray(array) for name, array in zip(node.output, outputs, strict=False) if name})


def static_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors whose every dimension inference knows."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {}
    for item in (*inferred.value_info, *inferred.output, *inferred.input):
        tensor = item.type.tensor_type
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            shapes[item.name] = tuple(dim.dim_value for dim in tensor.shape.dim)
    return shapes


def constant_names(model: onnx.ModelProto) -> set[str]:
    return {tensor.name for tensor in model.graph.initializer}
