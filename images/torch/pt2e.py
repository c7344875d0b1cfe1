"""Static post-training quantization by torchao's PT2E, for PyTorch's compiler Inductor on x86."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

from images.torch.convert import example_batches, fallback, fixed_batch_size, input_types, to_module
from images.torch.convert.fallback import Source
from images.torch.quantize import exclusion, fx
from images.torch.refusals import describe_failed_layer, refusals
from images.torch.runtime import computed_bytes, exported, formats, script
from images.torch.runtime.script import Tensors
from shared.data.samples import typed
from shared.measure import fixed_batch
from shared.quantization import already
from shared.quantization.guards import check_quantized

METHOD = "pt2e"
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
    """Write `model.pt2` and `quantized.json`. Unsupported if PyTorch leaves most layers in float."""
    already.refuse(model)
    excluded = [layer.name for layer in exclusion.select_excluded(exclusion.read_layers(model), exclude, exclude_types)]
    with torch.no_grad(), typed(calibration, input_types(model)) as calibration:
        write_variant(quantize_model(model, calibration, reduce_range, excluded), form, out)


@dataclass(frozen=True)
class QuantizedProgram:
    """A quantized program, with its source and a batch of the inputs that it takes."""

    source: Source
    program: torch.export.ExportedProgram
    quantized: int
    total: int
    batch: Tensors


def quantize_model(model: Path, calibration: Path, reduce_range: str, excluded: Sequence[str]) -> QuantizedProgram:
    """Quantize the model, except the layers in `excluded`: the given graph or, if that is better, the rewritten one."""
    with fallback.open_sources(model) as sources:
        return fallback.choose_best(
            sources, lambda source: quantize_source(source, calibration, reduce_range, excluded)
        )


def quantize_source(source: Source, calibration: Path, reduce_range: str, excluded: Sequence[str]) -> QuantizedProgram:
    """Quantize the graph. Unsupported if it can't be exported, or fewer than half of its layers are quantized."""
    fixed_batch.refuse(fixed_batch_size(source.folder))
    module, layers = to_module(source.folder), exclusion.read_layers(source.folder)
    excluded_modules = exclusion.include_fused([layer for layer in layers if layer.name in excluded], module)
    total, example = fx.count_products(module, fx.COMPUTING, excluded_modules), fx.example_batch(calibration)
    traced = exported.export_module(retrace_module(module), example).module()
    quantized_module = quantize_graph(traced, make_quantizer(reduce_range, excluded_modules), calibration)
    program = exported.export_module(quantized_module, example)
    batches = example_batches(source.folder)
    script.check_answers(program.module(), quantized_module, batches)
    quantized = count_quantized(program.graph)
    in_float = fx.describe_layers_in_float(module, fx.RECURRENT, excluded_modules)
    check_quantized("PT2E", quantized, total, left=in_float)
    return QuantizedProgram(source, program, quantized, total, batches[0])


def write_variant(quantized: QuantizedProgram, form: str, out: Path, reason: str = "") -> None:
    """Write the file to ship and `quantized.json`; `reason` is why FX graph mode, which was asked for, failed."""
    save_program(quantized.program, quantized.quantized, form, out)
    formats.write_input_types(out, quantized.batch)
    counts = {"form": form, "quantized": quantized.quantized, "operators": quantized.total}
    formats.write_json(out, counts | fallback.describe_source(quantized.source, METHOD, reason))


def retrace_module(module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """Trace `module` into onnx2torch's own modules, whose checks of data torch.export can't follow.

    Returns `module` itself if only torch.export can follow it.
    """
    try:
        return torch.fx.symbolic_trace(module)
    except fx.REFUSALS as error:
        print(f"PyTorch can't trace this model{describe_failed_layer(error, module)}: {error}")
        return module


def make_quantizer(reduce_range: str, excluded: Sequence[str]) -> x86.X86InductorQuantizer:
    """Make the quantizer for Inductor on x86, which leaves the modules in `excluded` in float."""
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config(reduce_range=reduce_range == "always"))
    for name in excluded:
        quantizer.set_module_name_qconfig(name, None)
    return quantizer


def quantize_graph(
    module: torch.fx.GraphModule, quantizer: x86.X86InductorQuantizer, calibration: Path
) -> torch.fx.GraphModule:
    """Quantize the exported `module`: QuantizeLinear and DequantizeLinear around what Inductor computes in 8 bits."""
    with refusals("torchao's PT2E refuses this model", module):
        sample_bytes = computed_bytes.per_sample_of_call(module, calibration)
        prepared = prepare_pt2e(module, quantizer)
        for batch in fx.calibration_tensors(calibration, sample_bytes):
            fx.observe_batch(prepared, batch)
        return convert_pt2e(prepared)


def save_program(program: torch.export.ExportedProgram, quantized: int, form: str, out: Path) -> None:
    """Write the program, which has `quantized` quantized layers, in this form."""
    if form == formats.AOT:
        from images.torch.runtime import aot  # noqa: PLC0415 - it imports Inductor: a second that only this form needs

        aot.save_program(program, quantized, out)
    else:
        exported.save_program(program, out)


def count_quantized(graph: torch.fx.Graph) -> int:
    """Count the convolutions and matrix products that read both operands from a dequantization."""
    computing = [node for node in graph.nodes if operator_name(node) in COMPUTING]
    return sum(all("dequantize" in operator_name(source) for source in node.args[:2]) for node in computing)


def operator_name(node: torch.fx.Node) -> str:
    """Return an operator's name without package and overload: `conv2d` of `aten.conv2d.default`; "" of other nodes."""
    name = getattr(node.target, "_opname", "")
    return name if node.op == "call_function" else ""
