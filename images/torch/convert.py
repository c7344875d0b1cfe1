"""ONNX to PyTorch, by onnx2torch."""

from pathlib import Path

import numpy as np
import onnx
import torch

from images.torch import torchvision_free
from images.torch.script import Tensors, save
from shared.errors import Unsupported

torchvision_free.install()
from onnx2torch import convert  # noqa: E402 - after the placeholder
from onnx2torch.node_converters.matmul import OnnxMatMul  # noqa: E402, F401
from onnx2torch.node_converters.reshape import OnnxReshape  # noqa: E402
from onnx2torch.onnx_graph import OnnxGraph  # noqa: E402, F401

from images.torch.gather import fix_gathers  # noqa: E402
from images.torch.squeeze import fix_squeezes  # noqa: E402

OPEN = 16


def run(model: Path, out: Path) -> None:
    """Write `model.pt`, a TorchScript file that loads with PyTorch alone; its input stays as Keras had it (NHWC)."""
    with torch.no_grad():
        save(to_module(model), example(model), out)


def to_module(variant: Path) -> torch.fx.GraphModule:
    """The ONNX file in `variant` as a traced module that quantizers can follow."""
    graph = onnx.load(variant / "model.onnx")
    try:
        module = convert(graph).eval()
    except NotImplementedError as error:
        raise Unsupported(f"onnx2torch can't convert this model: {error}") from error
    fix_reshapes(module)
    fix_squeezes(module)
    fix_gathers(module)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        parameter.data = parameter.data.contiguous()  # Gemm weights come as transposed views
    return module


def fix_reshapes(module: torch.fx.GraphModule) -> None:
    """Replace Reshape to a constant target by the plain method: onnx2torch's own looks at the target as data."""
    for node in list(module.graph.nodes):
        if node.op != "call_module":
            continue
        if not isinstance(module.get_submodule(node.target), OnnxReshape):
            continue
        data, target = node.args
        if target.op == "get_attr":
            sizes = module.get_buffer(target.target).tolist()
            with module.graph.inserting_before(node):
                node.replace_all_uses_with(reshape(module.graph, data, sizes))
            module.graph.erase_node(node)
    module.graph.eliminate_dead_code()
    module.recompile()


def reshape(graph: torch.fx.Graph, data: torch.fx.Node, sizes: list[int]) -> torch.fx.Node:
    """`data.reshape(sizes)`, where 0 stands for the size that `data` has there (as ONNX defines it)."""
    known = [size or graph.call_method("size", (data, dimension)) for dimension, size in enumerate(sizes)]
    return graph.call_method("reshape", (data, *known))


def example(variant: Path) -> Tensors:
    """Two samples of zeros of the shapes that the ONNX file asks for: tracing needs an input, not its values.

    A size that the file leaves open is 16: a layer may need more than one.
    """
    kinds = [item.type.tensor_type for item in onnx.load(variant / "model.onnx").graph.input]
    return tuple(zeros([2, *(dim.dim_value or OPEN for dim in kind.shape.dim[1:])], kind.elem_type) for kind in kinds)


def zeros(shape: list[int], elem_type: int) -> torch.Tensor:
    return torch.from_numpy(np.zeros(shape, onnx.helper.tensor_dtype_to_np_dtype(elem_type)))
