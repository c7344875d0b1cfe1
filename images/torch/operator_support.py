"""Which operators of a model come to PyTorch, and which of them its quantizers take: tried, on random samples."""

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

CONVERTED, FX, PT2E = "onnx2torch", "FX, 8 bits", "PT2E, 8 bits"
BACKEND = "x86"
EIGHT_BITS = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")


def run(source: Path, out: Path) -> None:
    """Write `compatibility.json`; `source` is what the onnx image's stage `operator_support` left."""
    before = compatibility.load(source)
    if before.signature is None or not (source / "model.onnx").exists():
        compatibility.write(Compatibility(), out)  # it didn't come so far
        return
    with TemporaryDirectory() as scratch, torch.no_grad():
        samples = compatibility.write_random_samples(before.signature, Path(scratch))
        compatibility.write(Compatibility(legs=tuple(legs(source, samples))), out)


def legs(source: Path, samples: Path) -> Iterator[FrameworkSupport]:
    known = known_operators(onnx.load(source / "model.onnx"))
    reason = refusal(lambda: convert.to_module(source))
    yield FrameworkSupport(CONVERTED, not reason, known, reason)
    if reason:
        return
    named = exclusion.read_layers(source)
    for name, quantized in ((FX, by_fx), (PT2E, by_pt2e)):
        found: list[str] = []

        def attempt(quantize: Callable[[Path, Path], set[str]] = quantized, modules: list[str] = found) -> None:
            modules.extend(quantize(source, samples))

        reason = refusal(attempt)
        operators = count_names(layer.operator for layer in named if layer.module in found)
        yield FrameworkSupport(name, False, operators, reason)


def refusal(attempt: Callable[[], object]) -> str:
    """What PyTorch says against it; "" where it works."""
    try:
        attempt()
    except Exception as error:  # noqa: BLE001 - whatever it raises is what it makes of the model
        return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    return ""


def known_operators(model: onnx.ModelProto) -> dict[str, int]:
    """Those that onnx2torch has a converter for, ours among them."""
    from onnx2torch.node_converters.registry import get_converter  # noqa: PLC0415 - `convert` makes it importable

    versions = {item.domain: item.version for item in model.opset_import}
    return count_names(
        node.op_type
        for node in model.graph.node
        if not refusal(partial(get_converter, node.op_type, versions.get(node.domain, 0), node.domain))
    )


def by_fx(source: Path, samples: Path) -> set[str]:
    """The modules that FX graph mode has in 8 bits: its own, the ReLUs in them, and what passes 8 bits on."""
    fixed_batch.refuse(convert.fixed_batch_size(source))
    module = convert.to_module(source)
    together = exclusion.fused_modules(module)
    made = fx.quantize(module, Recipe(BACKEND).mapping(), samples)
    left = {name.split(".")[0] for name, _ in made.named_modules()}
    own = {name.split(".")[0] for name, item in made.named_modules() if type(item).__module__.startswith(EIGHT_BITS)}
    within = {other for name in own for other in together.get(name, ()) if other not in left}
    return own | within | between(made)


def between(module: torch.fx.GraphModule) -> set[str]:
    """Modules whose first input is in 8 bits: nothing dequantizes before them."""
    eight: set[str] = set()
    found = set()
    modules = dict(module.named_modules())
    for node in module.graph.nodes:
        source = node.args[0].name if node.args and isinstance(node.args[0], torch.fx.Node) else ""
        own = node.op == "call_module" and type(modules[node.target]).__module__.startswith(EIGHT_BITS)
        if own or "quantize_per_tensor" in node.name or (source in eight and "dequantize" not in node.name):
            eight.add(node.name)
        if node.op == "call_module" and source in eight:
            found.add(str(node.target).split(".", maxsplit=1)[0])
    return found


def by_pt2e(source: Path, samples: Path) -> set[str]:
    """The modules whose operators the quantizer for Inductor annotates."""
    fixed_batch.refuse(convert.fixed_batch_size(source))
    traced = exported.export(pt2e.plain(convert.to_module(source)), fx.example_batch(samples)).module()
    chosen = pt2e.quantizer("default", ())
    chosen.transform_for_annotation(traced)
    chosen.annotate(traced)
    found = set()
    for node in traced.graph.nodes:
        if getattr(node.meta.get("quantization_annotation"), "_annotated", False):
            found |= {str(path).split(".")[-1] for path, _ in (node.meta.get("nn_module_stack") or {}).values()}
    return found
