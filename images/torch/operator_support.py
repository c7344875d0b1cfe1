"""Tries which operators of a model PyTorch can run, and which of them it quantizes, on random samples."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch

from images.torch import convert, pt2e
from images.torch.quantize import exclusion, fx
from images.torch.quantize.recipe import Recipe
from images.torch.runtime import exported
from shared import compatibility
from shared.compatibility import Compatibility, FrameworkSupport, count_names
from shared.measure import fixed_batch
from shared.quantization import already
from shared.text import first_line

CONVERTED, FX, PT2E = "onnx2torch", "FX, 8 bits", "PT2E, 8 bits"
BACKEND = "x86"
EIGHT_BITS = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")


def run(source: Path, out: Path) -> None:
    """Write `compatibility.json`; `source` is the output of the onnx image's stage `operator_support`."""
    before = compatibility.load(source)
    if before.signature is None or not (source / "model.onnx").exists():
        compatibility.write(Compatibility(), out)  # an earlier framework refused the model
        return
    with TemporaryDirectory() as scratch, torch.no_grad():
        samples = compatibility.write_random_samples(before.signature, Path(scratch))
        compatibility.write(Compatibility(support=tuple(iterate_support(source, samples))), out)


def iterate_support(source: Path, samples: Path) -> Iterator[FrameworkSupport]:
    """Yield the support by onnx2torch and, if it converts the model, by each of PyTorch's quantizers."""
    operators = count_convertible(onnx.load(source / "model.onnx"))
    reason = find_refusal(lambda: convert.to_module(source))
    yield FrameworkSupport(CONVERTED, not reason, operators, reason)
    if reason:
        return
    layers = exclusion.read_layers(source)
    for name, find_modules in ((FX, find_fx_modules), (PT2E, find_pt2e_modules)):
        modules: set[str] = set()

        def attempt(find: Callable[[Path, Path], set[str]] = find_modules, into: set[str] = modules) -> None:
            into |= find(source, samples)

        reason = find_refusal(attempt)
        yield FrameworkSupport(
            name, False, count_names(layer.operator for layer in layers if layer.module in modules), reason
        )


def find_refusal(attempt: Callable[[], object]) -> str:
    """Return the first line of the exception that `attempt` raises, "" if it raises none."""
    try:
        attempt()
    except Exception as error:  # noqa: BLE001 - PyTorch may raise anything for a model
        return first_line(error, 300)
    return ""


def count_convertible(model: onnx.ModelProto) -> dict[str, int]:
    """Count the operators by name that onnx2torch has a converter for, this image's own included."""
    from onnx2torch.node_converters.registry import get_converter  # noqa: PLC0415 - `convert` makes it importable

    versions = {item.domain: item.version for item in model.opset_import}
    return count_names(
        node.op_type
        for node in model.graph.node
        if not find_refusal(partial(get_converter, node.op_type, versions.get(node.domain, 0), node.domain))
    )


def find_fx_modules(source: Path, samples: Path) -> set[str]:
    """Return the modules that FX graph mode quantizes: 8-bit ones, the ReLUs in them, and those that pass 8 bits on."""
    already.refuse(source)
    fixed_batch.refuse(convert.fixed_batch_size(source))
    module = convert.to_module(source)
    fused = exclusion.fused_modules(module)
    quantized = fx.quantize(module, Recipe(BACKEND).mapping(), samples)
    remaining = {name.split(".")[0] for name, _ in quantized.named_modules()}
    own = {name.split(".")[0] for name, item in quantized.named_modules() if is_quantized(item)}
    inside = {other for name in own for other in fused.get(name, ()) if other not in remaining}
    return own | inside | find_int8_readers(quantized)


def is_quantized(module: torch.nn.Module) -> bool:
    """Does the module compute in 8 bits?"""
    return type(module).__module__.startswith(EIGHT_BITS)


def find_int8_readers(module: torch.fx.GraphModule) -> set[str]:
    """Return the modules whose first input is in 8 bits: no dequantization precedes them."""
    int8_nodes: set[str] = set()
    readers = set()
    modules = dict(module.named_modules())
    for node in module.graph.nodes:
        source = node.args[0].name if node.args and isinstance(node.args[0], torch.fx.Node) else ""
        own = node.op == "call_module" and is_quantized(modules[node.target])
        if own or "quantize_per_tensor" in node.name or (source in int8_nodes and "dequantize" not in node.name):
            int8_nodes.add(node.name)
        if node.op == "call_module" and source in int8_nodes:
            readers.add(str(node.target).split(".", maxsplit=1)[0])
    return readers


def find_pt2e_modules(source: Path, samples: Path) -> set[str]:
    """Return the modules whose operators the quantizer for Inductor annotates."""
    already.refuse(source)
    fixed_batch.refuse(convert.fixed_batch_size(source))
    module = pt2e.retrace_module(convert.to_module(source))
    traced = exported.export_module(module, fx.example_batch(samples)).module()
    quantizer = pt2e.make_quantizer("default", ())
    quantizer.transform_for_annotation(traced)
    quantizer.annotate(traced)
    modules = set()
    for node in traced.graph.nodes:
        if getattr(node.meta.get("quantization_annotation"), "_annotated", False):
            modules |= {str(path).split(".")[-1] for path, _ in (node.meta.get("nn_module_stack") or {}).values()}
    return modules
