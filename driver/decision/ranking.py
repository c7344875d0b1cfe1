"""Which recipe of each framework is best, from a comparison on images that choose: accuracy, latency, and both."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from driver.analysis import metric_specs
from driver.analysis.results import Comparison, Variant
from driver.decision.criteria import milliseconds, pick_best
from driver.experiment.model import Prefer

TOLERANCE = 0.001  # of accuracy: less than any selection set of a sensible size can tell; else the metric's margin
NOTHING = float("-inf")  # where there is no metric


@dataclass(frozen=True)
class Choice:
    """Of one image: names of its best variants. `front` is the Pareto front of accuracy and latency, fastest first.

    `accuracy`: of those that the draws' noise doesn't tell from the most accurate, the fastest. `latency`: of those
    that the timings' noise doesn't tell from the fastest, the most accurate. `recommended`: of those that are faster
    than their float baseline and within TOLERANCE of the most accurate of these, the fastest. `safe`: the same of those
    that answer alike on every CPU; "" where there are none.
    """

    image: str
    accuracy: str
    latency: str
    recommended: str
    safe: str
    front: tuple[str, ...]

    @property
    def winners(self) -> tuple[str, ...]:
        named = (self.recommended, self.accuracy, self.latency, self.safe)
        return tuple(dict.fromkeys(name for name in named if name))


def choose(trial: Comparison, safe: Container[str] = ()) -> tuple[Choice, ...]:
    """The best of each image that has sound quantized variants with metrics and timings.

    `safe` names those that are the same on any CPU.
    """
    floor = max((item.share for item in trial.noise), default=0.0)
    sound = [row for row in trial.variants if row.status == "ok" and row.headline is not None]
    timed = [row for row in sound if row.latency_ms is not None]
    floats = {row.image: row for row in timed if not row.quantized}
    images = dict.fromkeys(row.image for row in timed if row.quantized)
    return tuple(
        choose_of_image(
            image, [row for row in timed if row.image == image and row.quantized], floats.get(image), floor, safe
        )
        for image in images
    )


def choose_overall(choices: Sequence[Choice], trial: Comparison, prefer: Prefer, *, everywhere: bool) -> str:
    """The one variant that is going to be tested first: the best of the images' choices by what is preferred.

    With `everywhere` those that answer alike on every CPU come first, since other CPUs are targets.
    """
    names = {choice.safe for choice in choices if choice.safe} if everywhere else set()
    names = names or {choice.recommended for choice in choices}
    rows = [row for row in trial.variants if row.name in names]
    return pick_best(rows, prefer, max((item.share for item in trial.noise), default=0.0)).name


def choose_of_image(
    image: str, rows: Sequence[Variant], baseline: Variant | None, floor: float, safe: Container[str]
) -> Choice:
    from driver.analysis import calibration_draws  # noqa: PLC0415 - SciPy takes half a second: showing needs none

    most, fastest = max(rows, key=rank_value), min(rows, key=milliseconds)
    as_good = [
        row
        for row in rows
        if row is most or calibration_draws.are_indistinguishable(list_values(row), list_values(most))
    ]
    as_fast = [row for row in rows if milliseconds(row) <= milliseconds(fastest) * (1 + floor)]
    faster = [row for row in rows if baseline is None or milliseconds(row) < milliseconds(baseline)] or list(rows)
    everywhere = [row for row in faster if row.name in safe] or [row for row in rows if row.name in safe]
    return Choice(
        image,
        accuracy=min(as_good, key=milliseconds).name,
        latency=max(as_fast, key=rank_value).name,
        recommended=pick_sensible(faster).name,
        safe=pick_sensible(everywhere).name if everywhere else "",
        front=tuple(row.name for row in select_front(rows)),
    )


def pick_sensible(rows: Sequence[Variant]) -> Variant:
    """The fastest of those within TOLERANCE of the most accurate."""
    best = max(rows, key=rank_value)
    near = rank_value(best) - find_tolerance(best)
    return min((row for row in rows if rank_value(row) >= near), key=milliseconds)


def find_tolerance(best: Variant) -> float:
    headline = best.headline
    return (
        TOLERANCE
        if headline is None or headline.name == "accuracy"
        else metric_specs.least_loss(headline.name, rank_value(best))
    )


def select_front(rows: Sequence[Variant]) -> list[Variant]:
    """Return the Pareto front of latency and accuracy, the fastest first; of rows that are equal in both, the first."""
    from shared.numerics import pareto_front  # noqa: PLC0415 - NumPy: showing a comparison needs none

    points = [(milliseconds(row), rank_value(row)) for row in rows]
    front = pareto_front(*zip(*points, strict=True)) if points else []
    first_at_point = {points[index]: rows[index] for index in reversed(front)}
    return list(reversed(first_at_point.values()))


def rank_value(row: Variant) -> float:
    """The headline metric such that higher is better: the mean over the draws, where there are several."""
    headline = row.headline
    if headline is None:
        return NOTHING
    return metric_specs.goodness(headline if row.draws is None else replace(headline, value=row.draws.mean))


def list_values(row: Variant) -> tuple[float, ...]:
    if row.draws is not None:
        return row.draws.values
    return (0.0 if row.headline is None else row.headline.value,)
