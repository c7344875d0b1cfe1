"""The caveats of a decision: a test set that is too small, and how the file does on other CPUs."""

from collections.abc import Sequence

from driver.analysis import statistics
from driver.analysis.facts import Alternative, HoldsOnCpu, LosesOnCpu, TooFewSamples
from driver.analysis.results import SIGNIFICANT, Emulated, Variant
from driver.decision.criteria import compute_price, difference_between, is_worse, milliseconds
from driver.experiment.model import Gates

POWER = 0.8


def check_power(chosen: Variant, base: Variant, limits: Gates) -> list[TooFewSamples]:
    """Rule 5, for the drop that a gate allows: the one on the chosen variant, else the one on quantized variants.

    Few samples are no reason to trust the variants that lost the comparison either, so a float variant that is chosen
    is told the limit of the quantized ones.
    """
    own = limits.quantized if chosen.quantized else limits.float
    bound = own.get("drop_pp") or limits.quantized.get("drop_pp")
    pairs = chosen.paired
    if bound is None or bound.max is None or not 0 < bound.max <= 100 or pairs is None or chosen.name == base.name:
        return []
    samples = pairs.both_right + pairs.only_reference + pairs.only_variant + pairs.both_wrong
    share = (pairs.only_reference + pairs.only_variant) / samples
    needed = statistics.images_needed(share, bound.max, POWER, SIGNIFICANT)
    return [] if needed <= samples else [TooFewSamples(samples, bound.max, needed, POWER)]


def check_other_cpus(chosen: Variant, rows: Sequence[Variant], noise: float) -> list[HoldsOnCpu | LosesOnCpu]:
    """Rule 6, for each CPU that the chosen variant was run on; `rows` are the sound ones."""
    return [describe_cpu(run, chosen, rows, noise) for run in chosen.emulated]


def describe_cpu(run: Emulated, chosen: Variant, rows: Sequence[Variant], noise: float) -> HoldsOnCpu | LosesOnCpu:
    metric = chosen.headline.name if chosen.headline else "accuracy"
    answers = (run.cpu, metric, run.value, run.here, run.images)
    return LosesOnCpu(*answers, find_alternative(run.cpu, chosen, rows, noise)) if run.loses else HoldsOnCpu(*answers)


def find_alternative(cpu: str, chosen: Variant, rows: Sequence[Variant], noise: float) -> Alternative | None:
    """What to ship where such CPUs exist, and what it costs."""
    holding = [row for row in rows if any(run.cpu == cpu and not run.loses for run in row.emulated)]
    if not holding:
        return None
    best = min(holding, key=lambda row: (is_worse(row), milliseconds(row)))
    return Alternative(best.name, compute_price(best, chosen, noise), difference_between(best, chosen))
