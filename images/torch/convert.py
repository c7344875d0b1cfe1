"""ONNX to PyTorch, by onnx2torch."""

import traceback
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch

from images.torch import fallback, forms, torchvision_free
from images.torch.fallback import Source
from images.torch.script import Tensors, save
from shared.errors import Unsupported

torchvision_free.install()
from onnx2torch import convert  # noqa: E402 - after the placeholder
from onnx2torch.node_converters.gemm import OnnxGemm  # noqa: E402, F401
from onnx2torch.node_converters.matmul import OnnxMatMul  # noqa: E402, F401
from onnx2torch.onnx_graph import OnnxGraph  # noqa: E402, F401

from images.torch import converters  # noqa: E402, F401 - it adds to onnx2torch's
from images.torch.plain_calls import fix_gathers, fix_reshapes, fix_squeezes  # noqa: E402

OPEN = 16
REFUSALS = (NotImplementedError, RuntimeError, AttributeError, IndexError, KeyError, TypeError, ValueError)


def run(model: Path, out: Path) -> None:
    """Write `model.pt`, a TorchScript file that loads with PyTorch alone, and `conversion.json`, which says what of the
    graph had to be rewritten; the model's inputs stay as Keras had them (NHWC).
    """
    with torch.no_grad(), fallback.sources(model) as graphs:
        source = converted(graphs, out)
    about = {"by": "onnx2torch", "rewritten": list(source.changes)}
    fixed = batch_of(model)
    forms.write(out, about | ({"batch": fixed} if fixed else {}), forms.CONVERSION_JSON)


def converted(graphs: Iterator[Source], out: Path) -> Source:
    """The first graph whose module could be written. Unsupported names the operator that none gets past."""
    refused = []
    for source in graphs:
        try:
            save(to_module(source.folder), example(source.folder), out, fixed=bool(batch_of(source.folder)))
        except Unsupported as error:
            refused.append(error)
        else:
            return source
    raise refused[-1]


def to_module(variant: Path) -> torch.fx.GraphModule:
    """The ONNX file in `variant` as a traced module that quantizers can follow."""
    graph = onnx.load(variant / "model.onnx")
    try:
        module = convert(graph).eval()
    except REFUSALS as error:
        raise Unsupported(f"onnx2torch can't convert this model{operator_of(error)}: {error}") from error
    fix_reshapes(module)
    fix_squeezes(module)
    fix_gathers(module)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        parameter.data = parameter.data.contiguous()  # Gemm weights come as transposed views
    return module


def operator_of(error: BaseException) -> str:
    """Which of the graph's operators onnx2torch failed at, where its own words don't say."""
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    nodes = [found["onnx_node"] for found in frames if "onnx_node" in found]
    known = not nodes or nodes[-1].operation_type in str(error)
    return "" if known else f" at {nodes[-1].operation_type} '{nodes[-1].name}'"


def example(variant: Path) -> Tensors:
    """Samples of zeros of the shapes that the ONNX file asks for: tracing needs an input, not its values.

    They are two, so that nothing holds for one alone, or as many as the model takes where it takes no other number.

    A size that the file leaves open is 16: a layer may need more than one.
    """
    kinds = [item.type.tensor_type for item in onnx.load(variant / "model.onnx").graph.input]
    size = batch_of(variant) or 2
    return tuple(
        zeros([size, *(dim.dim_value or OPEN for dim in kind.shape.dim[1:])], kind.elem_type) for kind in kinds
    )


def batch_of(variant: Path) -> int:
    """The only number of samples that the ONNX file takes; 0 where it takes any."""
    shapes = [item.type.tensor_type.shape.dim for item in onnx.load(variant / "model.onnx").graph.input]
    return next((dims[0].dim_value for dims in shapes if dims and dims[0].dim_value), 0)


def zeros(shape: list[int], elem_type: int) -> torch.Tensor:
    return torch.from_numpy(np.zeros(shape, onnx.helper.tensor_dtype_to_np_dtype(elem_type)))
