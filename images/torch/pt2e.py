"""Static quantization after training, by torchao's PT2E, for PyTorch's compiler Inductor on x86."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

from images.torch.convert import example_batches, fallback, fixed_batch_size, input_types, to_module
from images.torch.convert.fallback import Source
from images.torch.quantize import exclusion, fx
from images.torch.runtime import computed_bytes, exported, formats, script
from images.torch.runtime.script import Tensors
from shared.data.samples import typed
from shared.measure import fixed_batch
from shared.quantization.guards import check_quantized
from shared.refusals import refusals

WAY = "pt2e"
COMPUTING = ("conv1d", "conv2d", "conv3d", "conv_transpose2d", "linear", "matmul", "mm", "bmm", "addmm")


def run(
    model: Path,
    calibration: Path,
    out: Path,
    *,
    form: str,
    reduce_range: str,
    exclude: list[str],
    exclude_types: list[str],
) -> None:
    """Write `model.pt2` and `quantized.json`. Unsupported where PyTorch leaves layers in float."""
    excluded = [layer.name for layer in exclusion.select_excluded(exclusion.read_layers(model), exclude, exclude_types)]
    with torch.no_grad(), typed(calibration, input_types(model)) as calibration:
        write(best(model, calibration, reduce_range, excluded), form, out)


@dataclass(frozen=True)
class Made:
    """A quantized program, with the graph that it was made of, and a batch as it takes it."""

    source: Source
    program: torch.export.ExportedProgram
    quantized: int
    total: int
    batch: Tensors


def best(model: Path, calibration: Path, reduce_range: str, excluded: Sequence[str]) -> Made:
    with fallback.open_sources(model) as graphs:
        return fallback.choose_best(graphs, lambda source: make(source, calibration, reduce_range, excluded))


def make(source: Source, calibration: Path, reduce_range: str, excluded: Sequence[str]) -> Made:
    """Unsupported where the graph can't be followed, or fewer than half of its layers are quantized."""
    fixed_batch.refuse(fixed_batch_size(source.folder))
    module, known = to_module(source.folder), exclusion.read_layers(source.folder)
    left_out = exclusion.include_fused([layer for layer in known if layer.name in excluded], module)
    total, example = fx.count_products(module, fx.COMPUTING, left_out), fx.example_batch(calibration)
    traced = exported.export(plain(module), example).module()
    made = quantize(traced, quantizer(reduce_range, left_out), calibration)
    program = exported.export(made, example)
    tried = example_batches(source.folder)
    script.check(program.module(), made, tried)
    quantized = count(program.graph)
    check_quantized("PT2E", quantized, total, left=fx.describe_layers_in_float(module, fx.RECURRENT, left_out))
    return Made(source, program, quantized, total, tried[0])


def write(made: Made, form: str, out: Path, reason: str = "") -> None:
    """`reason` is why FX graph mode, which was asked for, didn't make it."""
    save(made.program, made.quantized, form, out)
    formats.write_types(out, made.batch)
    counts = {"form": form, "quantized": made.quantized, "operators": made.total}
    formats.write(out, counts | fallback.describe_source(made.source, WAY, reason))


def plain(module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """`module` without onnx2torch's own modules, whose checks of data torch.export can't follow; `module` itself where
    only torch.export can follow it.
    """
    try:
        return torch.fx.symbolic_trace(module)
    except fx.REFUSALS as error:
        print(f"PyTorch can't trace this model{fx.describe_failed_layer(error, module)}: {error}")
        return module


def quantizer(reduce_range: str, excluded: Sequence[str]) -> x86.X86InductorQuantizer:
    chosen = x86.X86InductorQuantizer()
    chosen.set_global(x86.get_default_x86_inductor_quantization_config(reduce_range=reduce_range == "always"))
    for name in excluded:
        chosen.set_module_name_qconfig(name, None)
    return chosen


def quantize(module: torch.fx.GraphModule, chosen: x86.X86InductorQuantizer, calibration: Path) -> torch.fx.GraphModule:
    """`module`, exported, with QuantizeLinear and DequantizeLinear around what Inductor computes in 8 bits."""
    with refusals("torchao's PT2E refuses this model", "torch", "torchao"):
        each = computed_bytes.of(module, calibration)
        prepared = prepare_pt2e(module, chosen)
        for batch in fx.calibration_tensors(calibration, each):
            fx.observe_batch(prepared, batch)
        return convert_pt2e(prepared)


def save(program: torch.export.ExportedProgram, quantized: int, form: str, out: Path) -> None:
    if form == formats.AOT:
        from images.torch.runtime import aot  # noqa: PLC0415 - it brings Inductor, a second that the other forms spare

        aot.save(program, quantized, out)
    else:
        exported.save(program, out)


def count(graph: torch.fx.Graph) -> int:
    """Convolutions and linear layers that read both image and weights from a dequantization."""
    computing = [node for node in graph.nodes if node.op == "call_function" and kind(node) in COMPUTING]
    return sum(all("dequantize" in kind(source) for source in node.args[:2]) for node in computing)


def kind(node: torch.fx.Node) -> str:
    """The operator's name without package and overload: `conv2d` of `aten.conv2d.default`."""
    name = getattr(node.target, "_opname", "")
    return name if node.op == "call_function" else ""
