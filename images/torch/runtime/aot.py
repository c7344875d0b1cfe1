"""A package of AOTInductor: machine code for this kind of CPU, compiled before it is shipped."""

from pathlib import Path

import torch
import torch._inductor
import torch._inductor.config as settings
from torch._dynamo.utils import counters

from images.torch.refusals import refusals
from images.torch.runtime import exported, inductor
from shared.quantization.guards import check_quantized

FUSED = ("qconv_weight_prepack_matcher_count", "qlinear_weight_prepack_matcher_count")


def save_program(program: torch.export.ExportedProgram, quantized: int, out: Path) -> None:
    """Compile and write `program`, with that many quantized layers. Unsupported if Inductor leaves most in float."""
    inductor.configure_inductor(compiler=True)
    counters.clear()
    threads = settings.patch({"cpp.dynamic_threads": True})  # otherwise it would always run on the present number
    with threads, refusals("Inductor can't compile this model"):
        torch._inductor.aoti_compile_and_package(program, package_path=str(out / exported.FILE))
    check_quantized("Inductor", sum(counters["inductor"][name] for name in FUSED), quantized)


def open_model(variant: Path, about: dict[str, str]) -> exported.Call:  # noqa: ARG001 - as every form is opened
    """Load the compiled package."""
    inductor.configure_inductor(compiler=False)
    return torch._inductor.aoti_load_package(str(variant / exported.FILE))
