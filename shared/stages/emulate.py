"""The answers of a variant on other CPUs than this one."""

from pathlib import Path

from shared.emulation import emulation
from shared.stages.image_modules import Runtime


def run(
    variant: Path,
    dataset: Path,
    labels: Path,
    out: Path,
    *,
    runtime: Runtime,
    cpus: list[str],
    images: int,
    seconds: int,
) -> None:
    """Write the answers on each of `cpus` to about `images` samples, and `cpus.json` (shared/emulation)."""
    emulation.answer(variant, dataset, labels, out, runtime.__name__, cpus, images, seconds)
