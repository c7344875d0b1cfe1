"""How many bytes of tensors ONNX Runtime computes for a sample: from the shapes that they have when it runs them."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from images.onnx.session import FILE, REFUSALS, batch_of, feed
from shared.data.samples import Array, Batch
from shared.measure import sample_bytes

RESTORING = "DequantizeLinear"  # ONNX Runtime joins it to the operator that reads it


def per_sample(variant: Path, dataset: Path) -> int:
    """Of all tensors of the model in `variant`; 0 for one of a fixed batch, which takes what it takes."""
    return of(variant / FILE, dataset)


def of(model: Path, dataset: Path, names: Collection[str] | None = None) -> int:
    """The same of a file, and of the tensors in `names` alone. The inputs are not among them."""
    graph = onnx.load(model)
    if batch_of(graph.graph):
        return 0
    shapes = Shapes(graph, names)
    try:
        return sample_bytes.per_sample(shapes.total, dataset)
    except REFUSALS as error:
        print(f"ONNX Runtime can't tell the sizes of this model's tensors: {str(error).strip().splitlines()[0]}")
        return 0


class Shapes:
    """The graph with the shape of each tensor as its output, and not the tensor.

    ONNX Runtime runs a Shape as early as it can where it orders by priority, and frees the tensor behind it: sizes are
    known in as much memory as the model itself takes.
    """

    def __init__(self, model: onnx.ModelProto, names: Collection[str] | None) -> None:
        sizes = item_sizes(model)
        skipped = {name for node in model.graph.node if node.op_type == RESTORING for name in node.output}
        made = [name for node in model.graph.node for name in node.output if name in sizes.keys() - skipped]
        self.tensors = [name for name in made if names is None or name in names]
        self.sizes = [sizes[name] for name in self.tensors]
        taken = {name for node in model.graph.node for name in node.output}
        prefix = "shape"
        while any(name.startswith(prefix) for name in taken):
            prefix += "_"
        self.outputs = [f"{prefix}{number}" for number in range(len(self.tensors))]
        del model.graph.output[:]
        for tensor, output in zip(self.tensors, self.outputs, strict=True):
            model.graph.node.append(helper.make_node("Shape", [tensor], [output]))
            model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.INT64, [None]))
        self.session = opened(model) if self.tensors else None

    def total(self, batch: Batch) -> int:
        if self.session is None:
            return 0
        shapes: list[Array] = self.session.run(self.outputs, feed(self.session, batch))
        return sum(int(np.prod(shape)) * size for shape, size in zip(shapes, self.sizes, strict=True))


def item_sizes(model: onnx.ModelProto) -> dict[str, int]:
    """Bytes of an item, of each tensor whose type is known; a sequence has no shape to ask for."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    known = [item for item in (*inferred.value_info, *inferred.output) if item.type.HasField("tensor_type")]
    kinds = {item.name: item.type.tensor_type.elem_type for item in known}
    plain = {name: kind for name, kind in kinds.items() if kind not in (TensorProto.UNDEFINED, TensorProto.STRING)}
    return {name: helper.tensor_dtype_to_np_dtype(kind).itemsize for name, kind in plain.items()}


def opened(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """As it stands, on one thread: an optimizer would join operators, and weights would be packed for nothing."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_prepacking", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
