"""What goes with a verdict: a test set that is too small to tell, and what becomes of the file on other CPUs."""

from collections.abc import Sequence

from driver import statistics
from driver.experiment import Gates
from driver.results import SIGNIFICANT, Emulated, Variant
from driver.wording import milliseconds, points, smaller, speed, worse

POWER = 0.8


def power(chosen: Variant, base: Variant, limits: Gates) -> list[str]:
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
        f"These {images:,} test images are too few to tell a drop of {bound.max:g} points, which the gate allows: "
        f"about {needed:,} would tell, with a power of {POWER:.0%}."
    ]


def elsewhere(chosen: Variant, rows: Sequence[Variant], floor: float) -> list[str]:
    """Rule 6, a sentence for each CPU."""
    sentences = []
    for run in chosen.emulated:
        if run.loses:
            sentences.append(f"On {run.cpu} {chosen.name} loses: {there(run)}. {safe(run.cpu, chosen, rows, floor)}")
        else:
            sentences.append(f"On {run.cpu} {chosen.name} loses nothing: {there(run)}.")
    return sentences


def there(run: Emulated) -> str:
    return f"{100 * run.accuracy:.1f} % there, {100 * run.here:.1f} % here, on the same {run.images:,} images"


def safe(cpu: str, chosen: Variant, rows: Sequence[Variant], floor: float) -> str:
    """What to ship where such CPUs exist, and what it costs."""
    others = [row for row in rows if any(run.cpu == cpu and not run.loses for run in row.emulated)]
    if not others:
        return "Where such CPUs exist, ship a recipe with reduce_range, or with uint8 activations and weights."
    twin = min(others, key=lambda row: (worse(row), milliseconds(row)))
    costs = [cost for cost in (speed(twin, chosen, floor), smaller(twin, chosen)) if cost]
    lost = "" if twin.accuracy is None or chosen.accuracy is None else points(100 * (twin.accuracy - chosen.accuracy))
    costs = [*costs, f"{lost} points"] if lost else costs
    return f"Where such CPUs exist, ship {twin.name}, which loses nothing there: {', '.join(costs)}."
