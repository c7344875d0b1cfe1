"""ONNX to PyTorch, by onnx2torch."""

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from images.torch.convert import fallback, safe_names, torchvision_stub
from images.torch.convert.fallback import Source
from images.torch.runtime import formats
from images.torch.runtime.formats import several
from images.torch.runtime.script import Tensors, save
from shared.data import examples
from shared.data.samples import Batch
from shared.errors import CrossquantError, Unsupported
from shared.measure.predictions import Model
from shared.refusals import words

torchvision_stub.install()
from onnx2torch import convert  # noqa: E402 - after the placeholder
from onnx2torch.node_converters.gemm import OnnxGemm  # noqa: E402, F401
from onnx2torch.node_converters.matmul import OnnxMatMul  # noqa: E402, F401
from onnx2torch.onnx_graph import OnnxGraph  # noqa: E402

from images.torch.convert.converters import missing  # noqa: E402, F401 - it adds to onnx2torch's
from images.torch.convert.fx_rewrites import fix_gathers, fix_reshapes, fix_squeezes  # noqa: E402


def module_name(node: onnx.NodeProto) -> str:
    """What onnx2torch calls the node's module: it leaves the dots of a domain, which PyTorch takes in no name.

    No other name of the file comes to PyTorch.
    """
    return safe_names.plain(f"{node.domain}/{node.name or node.op_type}".replace(".", "/").lstrip("/"))


OnnxGraph.generate_node_name = staticmethod(module_name)
OPEN = 16  # for a size that a file leaves open of which no stage says what it is


def run(model: Path, out: Path) -> None:
    """Write `model.pt`, a TorchScript file that loads with PyTorch alone, and `conversion.json`, which says what of the
    graph had to be rewritten; the model's inputs stay as Keras had them (NHWC).
    """
    with torch.no_grad(), fallback.sources(model) as graphs:
        source = converted(graphs, out)
    about = {"by": "onnx2torch", "rewritten": list(source.changes)}
    fixed = batch_of(model)
    formats.write(out, about | ({"batch": fixed} if fixed else {}), formats.CONVERSION_JSON)


def converted(graphs: Iterator[Source], out: Path) -> Source:
    """The first graph whose module could be written. Unsupported names the operator that none gets past."""
    refused = []
    for source in graphs:
        try:
            save(to_module(source.folder), batches(source.folder), out)
        except Unsupported as error:
            print(f"{source.path('converted')}: {error}")
            refused.append(error)
        else:
            return source
    raise refused[-1]


def to_module(variant: Path) -> torch.fx.GraphModule:
    """The ONNX file in `variant` as a traced module that quantizers can follow.

    Unsupported where onnx2torch can't convert it, and where the module answers one of two batches of different sizes
    otherwise than ONNX Runtime does.
    """
    graph = onnx.load(variant / "model.onnx")
    outputs_alone(graph.graph)
    try:
        module = convert(graph).eval()
    except CrossquantError:
        raise
    except Exception as error:  # our own converters, too, stop at what they don't expect: the operator says where
        raise Unsupported(f"onnx2torch can't convert this model{operator_of(error)}: {words(error)}") from error
    fix_reshapes(module)
    fix_squeezes(module)
    fix_gathers(module)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        parameter.data = parameter.data.contiguous()  # Gemm weights come as transposed views
    check_answers(module, variant)
    return module


def check_answers(module: torch.fx.GraphModule, variant: Path) -> None:
    """Against those that the stage `fold` left beside the file, if it did."""
    asked = examples.read(variant)
    if asked is None:
        return
    try:
        with torch.no_grad():
            said = examples.difference(asked, answering(module))
    except (CrossquantError, MemoryError, OSError):
        raise
    except Exception as error:  # whatever PyTorch raises for the module is what it makes of the model
        raise Unsupported(f"PyTorch can't run what onnx2torch makes of this model: {words(error)}") from error
    if said:
        raise Unsupported(f"what onnx2torch makes of this model answers otherwise than ONNX Runtime: {said}")


def outputs_alone(graph: onnx.GraphProto) -> None:
    """Each output of `graph` as what a node of its own makes: onnx2torch gives all that the maker makes."""
    makers = {name: node for node in graph.node for name in node.output}
    seen: set[str] = set()
    for item in graph.output:
        maker = makers.get(item.name)
        name = item.name
        if maker is None or len([made for made in maker.output if made]) > 1 or name in seen:
            item.name = f"{name}_alone_{len(seen)}"
            graph.node.append(onnx.helper.make_node("Identity", [name], [item.name], name=item.name))
        seen.add(name)


def operator_of(error: BaseException) -> str:
    """Which of the graph's operators onnx2torch failed at, where its own words don't say."""
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    nodes = [found["onnx_node"] for found in frames if "onnx_node" in found]
    known = not nodes or nodes[-1].operation_type in str(error)
    return "" if known else f" at {nodes[-1].operation_type} '{nodes[-1].name}'"


def batches(variant: Path) -> tuple[Tensors, Tensors]:
    """Two batches of different sizes, or of the one size that the model takes: tracing needs an input, and a trace that
    holds the size of the first batch is found with the second.

    They are what the stage `fold` left beside the file; zeros of the shapes that the file asks for where it didn't.
    """
    asked = examples.read(variant)
    if asked is None:
        kinds = [item.type.tensor_type for item in onnx.load(variant / "model.onnx").graph.input]
        fixed = batch_of(variant)
        counts = (fixed, fixed) if fixed else (examples.FIRST, examples.SECOND)
        shapes = [[dim.dim_value or OPEN for dim in kind.shape.dim[1:]] for kind in kinds]
        first, second = (
            tuple(zeros([count, *shape], kind.elem_type) for kind, shape in zip(kinds, shapes, strict=True))
            for count in counts
        )
        return first, second
    first, second = (tuple(torch.from_numpy(array.copy()) for array in inputs) for inputs, _ in asked.batches())
    return first, second


def answering(module: Callable[..., Any]) -> Model:
    """`module` from arrays to arrays."""

    def answer(batch: Batch) -> Batch:
        return tuple(found.numpy() for found in several(module(*map(torch.from_numpy, batch))))

    return answer


def types_of(variant: Path) -> list[str]:
    """What each input of the ONNX file takes, as NumPy calls it."""
    kinds = [item.type.tensor_type.elem_type for item in onnx.load(variant / "model.onnx").graph.input]
    return [onnx.helper.tensor_dtype_to_np_dtype(kind).name for kind in kinds]


def batch_of(variant: Path) -> int:
    """The only number of samples that the ONNX file takes; 0 where it takes any."""
    shapes = [item.type.tensor_type.shape.dim for item in onnx.load(variant / "model.onnx").graph.input]
    return next((dims[0].dim_value for dims in shapes if dims and dims[0].dim_value), 0)


def zeros(shape: list[int], elem_type: int) -> torch.Tensor:
    return torch.from_numpy(np.zeros(shape, onnx.helper.tensor_dtype_to_np_dtype(elem_type)))
