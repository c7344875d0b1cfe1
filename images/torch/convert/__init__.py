"""Conversion from ONNX to PyTorch, by onnx2torch."""

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
from images.torch.runtime.formats import as_sequence
from images.torch.runtime.script import Tensors, save_module
from shared.data import examples
from shared.data.samples import Batch
from shared.errors import CrossquantError, Unsupported
from shared.measure.predictions import Model
from shared.refusals import describe_error
from shared.text import tell_apart

torchvision_stub.install()
from onnx2torch import convert  # noqa: E402 - after the placeholder
from onnx2torch.node_converters.gemm import OnnxGemm  # noqa: E402, F401
from onnx2torch.node_converters.matmul import OnnxMatMul  # noqa: E402, F401
from onnx2torch.onnx_graph import OnnxGraph  # noqa: E402

from images.torch.convert.converters import missing  # noqa: E402, F401 - it registers converters
from images.torch.convert.fx_rewrites import fix_gathers, fix_reshapes, fix_squeezes  # noqa: E402
from images.torch.convert.sizes import check_sizes, follow_sizes  # noqa: E402


def module_name(node: onnx.NodeProto) -> str:
    """Return the name of the node's module, the only name of the file that reaches PyTorch.

    onnx2torch keeps the dots of a domain, which PyTorch allows in no name, and the names of PyTorch's own methods.
    """
    name = safe_names.safe_name(f"{node.domain}/{node.name or node.op_type}".replace(".", "/").lstrip("/"))
    return tell_apart(name, name) if hasattr(torch.nn.Module, name) else name


OnnxGraph.generate_node_name = staticmethod(module_name)
DEFAULT_SIZE = 16  # stands for a size that the file leaves open and no data set tells


def run(model: Path, out: Path) -> None:
    """Write `model.pt`, a TorchScript file that needs PyTorch alone, and `conversion.json`, what was rewritten in the
    graph.

    The model's inputs keep the layout that they had in Keras (NHWC).
    """
    with torch.no_grad(), fallback.open_sources(model) as sources:
        source = convert_first(sources, out)
    conversion = {"by": "onnx2torch", "rewritten": list(source.changes)}
    batch_size = fixed_batch_size(model)
    formats.write_json(out, conversion | ({"batch": batch_size} if batch_size else {}), formats.CONVERSION_JSON)


def convert_first(sources: Iterator[Source], out: Path) -> Source:
    """Convert and save the first graph that works. Unsupported names the operator that none of them gets past."""
    refused = []
    for source in sources:
        try:
            save_module(to_module(source.folder), example_batches(source.folder), out)
        except Unsupported as error:
            print(f"{source.method_name('converted')}: {error}")
            refused.append(error)
        else:
            return source
    raise refused[-1]


def to_module(variant: Path) -> torch.fx.GraphModule:
    """Convert the ONNX file in `variant` to a traced module that quantizers can follow.

    Unsupported if onnx2torch can't convert it, or if the module's answers to either of two batches of different sizes
    differ from ONNX Runtime's.
    """
    graph = onnx.load(variant / "model.onnx")
    isolate_outputs(graph.graph)
    try:
        module = convert(graph, attach_onnx_mapping=True).eval()
        follow_sizes(module, graph)
    except CrossquantError:
        raise
    except Exception as error:  # our own converters may fail too: the operator tells where
        raise Unsupported(
            f"onnx2torch can't convert this model{describe_failed_operator(error)}: {describe_error(error)}"
        ) from error
    fix_reshapes(module)
    fix_squeezes(module)
    fix_gathers(module)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        parameter.data = parameter.data.contiguous()  # Gemm weights come as transposed views
    check_sizes(module)
    check_answers(module, variant)
    return module


def check_answers(module: torch.fx.GraphModule, variant: Path) -> None:
    """Compare the module's answers with those that the stage `fold_batchnorm` left beside the file, if any are."""
    example = examples.read(variant)
    if example is None:
        return
    try:
        with torch.no_grad():
            difference = examples.difference(example, wrap_module(module))
    except (CrossquantError, MemoryError, OSError):
        raise
    except Exception as error:  # whatever PyTorch raises for the module is its verdict on the model
        raise Unsupported(
            f"PyTorch can't run the module that onnx2torch makes of this model: {describe_error(error)}"
        ) from error
    if difference:
        raise Unsupported(f"onnx2torch's module gives other answers than ONNX Runtime: {difference}")


def isolate_outputs(graph: onnx.GraphProto) -> None:
    """Give every output of `graph` a node of its own: onnx2torch returns all outputs of the node that computes one."""
    producers = {name: node for node in graph.node for name in node.output}
    seen: set[str] = set()
    for item in graph.output:
        producer = producers.get(item.name)
        name = item.name
        if producer is None or len([output for output in producer.output if output]) > 1 or name in seen:
            item.name = f"{name}_alone_{len(seen)}"
            graph.node.append(onnx.helper.make_node("Identity", [name], [item.name], name=item.name))
        seen.add(name)


def describe_failed_operator(error: BaseException) -> str:
    """Name the operator that onnx2torch failed at, as " at Gemm 'dense'"; "" if it didn't come to one."""
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    nodes = [variables["onnx_node"] for variables in frames if "onnx_node" in variables]
    return f" at {nodes[-1].operation_type} '{nodes[-1].name}'" if nodes else ""


def example_batches(variant: Path) -> tuple[Tensors, Tensors]:
    """Return two batches of different sizes, or of the model's fixed size: the second shows a trace that holds the
    first.

    They are the samples that `fold_batchnorm` left beside the file, or else zeros of the file's shapes.
    """
    example = examples.read(variant)
    if example is None:
        kinds = [item.type.tensor_type for item in onnx.load(variant / "model.onnx").graph.input]
        fixed = fixed_batch_size(variant)
        counts = (fixed, fixed) if fixed else examples.SIZES
        shapes = [[dim.dim_value or DEFAULT_SIZE for dim in kind.shape.dim[1:]] for kind in kinds]
        first, second = (
            tuple(zero_tensor([count, *shape], kind.elem_type) for kind, shape in zip(kinds, shapes, strict=True))
            for count in counts
        )
        return first, second
    first, second, *_ = (tuple(torch.from_numpy(array.copy()) for array in inputs) for inputs, _ in example.batches())
    return first, second


def wrap_module(module: Callable[..., Any]) -> Model:
    """Wrap `module` as a callable from arrays to arrays."""

    def answer(batch: Batch) -> Batch:
        return tuple(output.numpy() for output in as_sequence(module(*map(torch.from_numpy, batch))))

    return answer


def input_types(variant: Path) -> list[str]:
    """Return the NumPy name of each input's type in the ONNX file."""
    kinds = [item.type.tensor_type.elem_type for item in onnx.load(variant / "model.onnx").graph.input]
    return [onnx.helper.tensor_dtype_to_np_dtype(kind).name for kind in kinds]


def fixed_batch_size(variant: Path) -> int:
    """Return the ONNX file's fixed batch size, or 0 if it takes any number of samples."""
    shapes = [item.type.tensor_type.shape.dim for item in onnx.load(variant / "model.onnx").graph.input]
    return next((dims[0].dim_value for dims in shapes if dims and dims[0].dim_value), 0)


def zero_tensor(shape: list[int], elem_type: int) -> torch.Tensor:
    return torch.from_numpy(np.zeros(shape, onnx.helper.tensor_dtype_to_np_dtype(elem_type)))
