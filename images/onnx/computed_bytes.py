"""Counts the bytes of the tensors that ONNX Runtime computes for a sample, from their shapes at run time."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from images.onnx.session import FILE, RUNTIME_ERRORS, build_feed, fixed_batch_size
from shared.data.samples import Array, Batch
from shared.measure import sample_bytes
from shared.text import first_line

DEQUANTIZE = "DequantizeLinear"  # ONNX Runtime fuses it with the operator that reads it


def per_sample(variant: Path, dataset: Path) -> int:
    """Return the bytes that the model in `variant` computes for one sample, or 0 if its batch size is fixed."""
    return per_sample_of_file(variant / FILE, dataset)


def per_sample_of_file(model: Path, dataset: Path, names: Collection[str] | None = None) -> int:
    """Return the bytes that the file `model` computes for one sample, or 0 if its batch size is fixed.

    Only the tensors in `names` are counted if they are given. The model's inputs never count. 0 too if ONNX Runtime
    can't compute the shapes.
    """
    loaded = onnx.load(model)
    if fixed_batch_size(loaded.graph):
        return 0
    probe = ShapeProbe(loaded, names)
    try:
        return sample_bytes.per_sample(probe.count_bytes, dataset)
    except RUNTIME_ERRORS as error:
        print(f"ONNX Runtime can't compute the sizes of this model's tensors: {first_line(error)}")
        return 0


class ShapeProbe:
    """The graph with the shape of each tensor as an output, instead of the tensors themselves.

    In priority order ONNX Runtime runs a Shape as early as it can and then frees the tensor, so measuring the sizes
    takes no more memory than running the model.
    """

    def __init__(self, model: onnx.ModelProto, names: Collection[str] | None) -> None:
        sizes = item_sizes(model)
        skipped = {name for node in model.graph.node if node.op_type == DEQUANTIZE for name in node.output}
        computed = [name for node in model.graph.node for name in node.output if name in sizes.keys() - skipped]
        self.tensors = [name for name in computed if names is None or name in names]
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
        self.session = open_unoptimized(model) if self.tensors else None

    def count_bytes(self, batch: Batch) -> int:
        """Return the bytes of all measured tensors for this batch."""
        if self.session is None:
            return 0
        shapes: list[Array] = self.session.run(self.outputs, build_feed(self.session, batch))
        return sum(int(np.prod(shape)) * size for shape, size in zip(shapes, self.sizes, strict=True))


def item_sizes(model: onnx.ModelProto) -> dict[str, int]:
    """Return the bytes of one item, by tensor, where the type is known. Sequences are left out: they have no shape."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    tensors = [item for item in (*inferred.value_info, *inferred.output) if item.type.HasField("tensor_type")]
    types = {item.name: item.type.tensor_type.elem_type for item in tensors}
    numeric_types = {
        name: elem_type
        for name, elem_type in types.items()
        if elem_type not in (TensorProto.UNDEFINED, TensorProto.STRING)
    }
    return {name: helper.tensor_dtype_to_np_dtype(elem_type).itemsize for name, elem_type in numeric_types.items()}


def open_unoptimized(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Open the graph on one thread, without an optimizer, which would fuse operators, and without packing weights."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_prepacking", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
