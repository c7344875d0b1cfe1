"""Weights stored as float16, in half the space; all is computed in float32."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from images.onnx.graph.normalize import graphs
from images.onnx.graph.unique_names import tensor_names, unused
from images.onnx.quantize import coverage
from images.onnx.session import FILE, check_loads, read
from shared.errors import Unsupported

STORED = "_float16"  # added to the name of a weight, and a mark where that is another's name
LARGEST = float(np.finfo(np.float16).max)


def run(model: Path, out: Path) -> None:
    """Write `model.onnx`, each float constant behind a Cast, and `quantized.json`.

    ONNX Runtime computes such a Cast once, when it loads the file: what runs is the float32 graph. Unsupported where a
    weight is beyond float16.
    """
    graph_file = read(model / FILE)
    names = halve(graph_file.graph, unused(graph_file))
    onnx.save(graph_file, out / FILE)
    check_loads(out / FILE)
    computing = [node for node in graph_file.graph.node if node.op_type in coverage.COMPUTING]
    coverage.record(sum(node.input[1] in names for node in computing), len(computing), out)


def halve(graph: onnx.GraphProto, mark: str) -> set[str]:
    """Store the float32 constants of `graph` as float16; their names, which the rest of the graph still reads.

    `mark` is in no name of the graph.
    """
    taken = {name for each in graphs(graph) for name in tensor_names(each)}
    floats = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT and large(tensor)]
    casts = []
    for tensor in floats:
        name = tensor.name
        stored = name + STORED if name + STORED not in taken else name + mark + STORED
        casts.append(helper.make_node("Cast", [stored], [name], name=f"Cast_{name}", to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(half(tensor), stored))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return {node.output[0] for node in casts}


def large(tensor: onnx.TensorProto) -> bool:
    """Is it more than a scale or a limit? Those would need more space with a Cast than without."""
    return int(np.prod(tensor.dims)) >= 64


def half(tensor: onnx.TensorProto) -> np.ndarray:
    values = numpy_helper.to_array(tensor)
    greatest = float(np.abs(values).max(initial=0.0))
    if greatest > LARGEST:
        raise Unsupported(f"{tensor.name} has a value of {greatest:.4g}: float16 ends at {LARGEST:g}")
    return values.astype(np.float16)
