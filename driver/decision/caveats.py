"""What goes with a verdict: a test set that is too small to tell, and what becomes of the file on other CPUs."""

from collections.abc import Sequence

from driver.analysis import metric_specs, statistics
from driver.analysis.results import SIGNIFICANT, Emulated, Variant
from driver.decision.judgements import between, milliseconds, smaller, speed, worse
from driver.experiment.model import Gates

POWER = 0.8


def power(chosen: Variant, base: Variant, limits: Gates, unit: str = "images") -> list[str]:
    """Rule 5, for the drop that the gate on the chosen variant allows."""
    bound = (limits.quantized if chosen.quantized else limits.float).get("drop_pp")
    pairs = chosen.paired
    if bound is None or bound.max is None or not 0 < bound.max <= 100 or pairs is None or chosen.name == base.name:
        return []
    images = pairs.both_right + pairs.only_reference + pairs.only_variant + pairs.both_wrong
    share = (pairs.only_reference + pairs.only_variant) / images
    needed = statistics.images_needed(share, bound.max, POWER, SIGNIFICANT)
    if needed <= images:
        return []
    return [
        f"These {images:,} test {unit} are too few to tell a drop of {bound.max:g} points, which the gate allows: "
        f"about {needed:,} would tell, with a power of {POWER:.0%}."
    ]


def elsewhere(chosen: Variant, rows: Sequence[Variant], floor: float, unit: str = "images") -> list[str]:
    """Rule 6, a sentence for each CPU."""
    sentences = []
    for run in chosen.emulated:
        seen = there(run, chosen, unit)
        if run.loses:
            sentences.append(f"On {run.cpu} {chosen.name} loses: {seen}. {safe(run.cpu, chosen, rows, floor)}")
        else:
            sentences.append(f"On {run.cpu} {chosen.name} loses nothing: {seen}.")
    return sentences


def there(run: Emulated, row: Variant, unit: str) -> str:
    figures = [metric_specs.short(row.headline, value) for value in (run.accuracy, run.here)]
    return f"{figures[0]} there, {figures[1]} here, on the same {run.images:,} {unit}"


def safe(cpu: str, chosen: Variant, rows: Sequence[Variant], floor: float) -> str:
    """What to ship where such CPUs exist, and what it costs."""
    others = [row for row in rows if any(run.cpu == cpu and not run.loses for run in row.emulated)]
    if not others:
        return "Where such CPUs exist, ship a recipe with reduce_range, or with uint8 activations and weights."
    twin = min(others, key=lambda row: (worse(row), milliseconds(row)))
    costs = [cost for cost in (speed(twin, chosen, floor), smaller(twin, chosen)) if cost]
    costs += [between(twin, chosen)] if twin.headline and chosen.headline else []
    return f"Where such CPUs exist, ship {twin.name}, which loses nothing there: {', '.join(costs)}."
