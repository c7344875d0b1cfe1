"""What one recipe more costs: the seconds of each quantizing stage of the last run, and of its evaluation.

`python -m benchmarks.recipes` prints Markdown from the manifests on the volume; `run --force` before it measures anew.
Exit code 1: a recipe took longer than its framework may; 2: there is no run. `--small` makes a run of its own, one
recipe of each framework on a few images, by the venv engine; there no time is too long.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import small
from driver.analysis.artifacts import recipe, variants
from driver.catalog import declarations
from driver.experiment import loader
from shared.artifacts import store
from shared.command import DEFAULT_EXPERIMENT
from shared.contract import Manifest, Plan, read
from shared.errors import CrossquantError

SMALL = {"onnx": "u8s8-reduced", "torch": "onednn"}  # of the default experiment
MOST = {"onnx": 3.0, "torch": 5.0}  # seconds, of static quantization on the default experiment


@dataclass(frozen=True)
class Cost:
    """Seconds of one recipe: to make it, and to answer every test image with it."""

    variant: str
    image: str
    made: float
    evaluated: float
    peak_bytes: int


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes", description=__doc__)
    parser.add_argument("--experiment", default=DEFAULT_EXPERIMENT, metavar="FILE")
    parser.add_argument("--small", action="store_true", help="run one recipe of each framework on a few images first")
    arguments = parser.parse_args(argv)
    try:
        costs = run_small() if arguments.small else of_experiment(arguments.experiment)
    except CrossquantError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("| recipe | made in, s | evaluated in, s | peak memory, MB |\n|---|---:|---:|---:|")
    for cost in costs:
        print(f"| `{cost.variant}` | {cost.made:.1f} | {cost.evaluated:.1f} | {cost.peak_bytes / 1e6:.0f} |")
    return int(not arguments.small and any(cost.made > MOST.get(cost.image, cost.made) for cost in costs))


def run_small() -> list[Cost]:
    """Of a run on a volume of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        volumes = Path(temporary, "volumes")
        default = loader.load(loader.find(DEFAULT_EXPERIMENT), declarations.load())
        file = str(small.write(volumes, small.of(default, SMALL)))
        targets = [f"predictions.{image}.{name}" for image, name in SMALL.items()]
        small.drive(volumes, "run", *targets, "--engine", "venv", "--experiment", file)
        with small.on_volume(volumes):
            return of_experiment(file)


def of_experiment(name: str) -> list[Cost]:
    """Of the last run of this experiment. CrossquantError where there was none."""
    chosen = loader.load(loader.find(name), declarations.load())
    return list(measured(read(Plan, store.plan_path(chosen.name))))


def measured(plan: Plan) -> Iterator[Cost]:
    """From the manifests that there are."""
    for step in variants(plan):
        manifests = [read_published(plan, name) for name in (step.output, f"predictions.{step.output}")]
        if recipe(step) != "fp32" and manifests[0] is not None:
            evaluated = manifests[1].seconds if manifests[1] else 0.0
            yield Cost(step.output, step.image, manifests[0].seconds, evaluated, manifests[0].peak_bytes)


def read_published(plan: Plan, name: str) -> Manifest | None:
    path = store.artifact_path(plan, name) / store.MANIFEST
    return read(Manifest, path) if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
