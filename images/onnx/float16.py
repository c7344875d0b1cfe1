"""Weights stored as float16, in half the space; everything is computed in float32."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from images.onnx.graph.normalize import iterate_graphs
from images.onnx.graph.unique_names import tensor_names, unused_mark
from images.onnx.quantize import coverage
from images.onnx.session import FILE, check_loads, read_model
from shared.errors import Unsupported
from shared.quantization import already

STORED_SUFFIX = "_float16"  # added to the name of a weight, after a mark if the name is taken
LARGEST = float(np.finfo(np.float16).max)


def run(model: Path, out: Path) -> None:
    """Write `model.onnx`, with a Cast after each float constant, and `quantized.json`.

    ONNX Runtime evaluates such a Cast once, when it loads the file, and then runs the float32 graph. Unsupported if a
    weight is beyond float16's range.
    """
    already.refuse(model)
    loaded = read_model(model / FILE)
    halved = store_as_float16(loaded.graph, unused_mark(loaded))
    onnx.save(loaded, out / FILE)
    check_loads(out / FILE)
    computing = [node for node in loaded.graph.node if node.op_type in coverage.COMPUTING]
    coverage.write_counts(sum(node.input[1] in halved for node in computing), len(computing), out)


def store_as_float16(graph: onnx.GraphProto, mark: str) -> set[str]:
    """Store the float32 constants of `graph` as float16, in place.

    Returns their original names, which are now the outputs of the Casts. `mark` must not occur in any name of the
    graph.
    """
    taken = {name for inner in iterate_graphs(graph) for name in tensor_names(inner)}
    floats = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT and is_large(tensor)]
    casts = []
    for tensor in floats:
        name = tensor.name
        stored = name + STORED_SUFFIX if name + STORED_SUFFIX not in taken else name + mark + STORED_SUFFIX
        casts.append(helper.make_node("Cast", [stored], [name], name=f"Cast_{name}", to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(to_float16(tensor), stored))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return {node.output[0] for node in casts}


def is_large(tensor: onnx.TensorProto) -> bool:
    """Is the constant large enough that float16 saves more than its Cast costs? A scale or a limit is not."""
    return int(np.prod(tensor.dims)) >= 64


def to_float16(tensor: onnx.TensorProto) -> np.ndarray:
    """Return the tensor's values as float16. Unsupported if one is beyond its range."""
    values = numpy_helper.to_array(tensor)
    greatest = float(np.abs(values).max(initial=0.0))
    if greatest > LARGEST:
        raise Unsupported(f"{tensor.name} has a value of {greatest:.4g}, beyond float16's largest, {LARGEST:g}")
    return values.astype(np.float16)
