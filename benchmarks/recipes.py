"""What one recipe more costs: the seconds of each quantizing stage of the last run, and of its evaluation.

`python -m benchmarks.recipes` prints Markdown from the seals on the volume; `run --force` before it measures anew.
Exit code 1: a recipe took longer than its framework may; 2: there is no run.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from driver import catalog, experiment
from driver.evidence import recipe, variants
from shared import store
from shared.contract import Plan, Seal, read
from shared.errors import CrossquantError

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
    parser.add_argument("--experiment", default=experiment.DEFAULT, metavar="FILE")
    try:
        chosen = experiment.load(experiment.find(parser.parse_args(argv).experiment), catalog.load())
        costs = list(measured(read(Plan, store.plan_path(chosen.name))))
    except CrossquantError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("| recipe | made in, s | evaluated in, s | peak memory, MB |\n|---|---:|---:|---:|")
    for cost in costs:
        print(f"| `{cost.variant}` | {cost.made:.1f} | {cost.evaluated:.1f} | {cost.peak_bytes / 1e6:.0f} |")
    return int(any(cost.made > MOST.get(cost.image, cost.made) for cost in costs))


def measured(plan: Plan) -> Iterator[Cost]:
    """From the seals that there are."""
    for step in variants(plan):
        seals = [sealed(plan, name) for name in (step.output, f"predictions.{step.output}")]
        if recipe(step) != "fp32" and seals[0] is not None:
            evaluated = seals[1].seconds if seals[1] else 0.0
            yield Cost(step.output, step.image, seals[0].seconds, evaluated, seals[0].peak_bytes)


def sealed(plan: Plan, name: str) -> Seal | None:
    path = store.artifact_path(plan, name) / store.SEAL
    return read(Seal, path) if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
