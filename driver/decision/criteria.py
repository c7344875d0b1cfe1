"""The criteria that a decision rests on: what is shown good enough, what is better, and what it costs, as data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from driver.analysis import metric_specs
from driver.analysis.facts import Assessment, MetricValue, Price
from driver.analysis.results import Interval, Timing, Variant
from driver.experiment.model import Prefer

LEAST_FACTOR = 0.05  # a smaller difference of times is none, whatever the noise


@dataclass(frozen=True)
class TimingNoise:
    """`share` is that by which timings of one file differ; `busy`: was the machine too busy to time on?"""

    share: float = 0.0
    busy: bool = False


def is_shown(row: Variant) -> bool:
    """Is the variant shown good enough on every target?"""
    return bool(row.assessments) and all(item.outcome == "good_enough" for item in row.assessments)


def find_obstacle(row: Variant) -> Assessment | None:
    """Of a variant that isn't shown good enough everywhere: the target that says most against it."""
    order = ("worse", "not_run", "not_shown", "not_tested")
    lacking = [item for item in row.assessments if item.outcome != "good_enough"]
    return min(lacking, key=lambda item: order.index(item.outcome), default=None)


def is_worse(row: Variant) -> bool:
    """Does the variant surely lose something here, be it tolerated or not?"""
    item = row.assessment
    return item is not None and item.quantity == "loss" and item.low is not None and item.low > 0


def milliseconds(row: Variant) -> float:
    """Endless where there are no timings: what was not timed is the fastest of nothing."""
    return row.latency_ms.p50 if row.latency_ms else math.inf


def bytes_of(row: Variant) -> float:
    return row.size_bytes if row.size_bytes else math.inf


def goodness(row: Variant, nothing: float = 0.0) -> float:
    """Of two rows the better one's is higher; `nothing` where there is no metric."""
    return nothing if row.headline is None else metric_specs.goodness(row.headline)


def find_timing(row: Variant, prefer: Prefer) -> Timing | None:
    """The timing that a preference means; None where the variant has none."""
    timings = [timing for timing in row.timings if timing.threads == prefer.threads]
    if prefer.batch:
        return next((timing for timing in timings if timing.batch == prefer.batch), None)
    pick = min if prefer.criterion == "latency" else max
    return pick(timings, key=lambda timing: timing.batch, default=None)


def time_per_sample(row: Variant, prefer: Prefer) -> float:
    """Milliseconds, endless where it wasn't timed: what `latency` and `throughput` compare."""
    timing = find_timing(row, prefer)
    if timing is not None:
        return timing.p50 / timing.batch
    return milliseconds(row) if (prefer.batch, prefer.threads) == (0, 1) else math.inf


def preferred_cost(row: Variant, criterion: str) -> float:
    """The lower the better, by one criterion alone; endless where it isn't known."""
    if criterion == "size":
        return bytes_of(row)
    if criterion == "accuracy":
        return -goodness(row, -math.inf)
    return time_per_sample(row, Prefer(criterion))  # type: ignore[arg-type]


def pick_best(rows: Sequence[Variant], prefer: Prefer, noise: float) -> Variant:
    """The best by the preferred criterion; of those that it can't tell from the best, by the next ones.

    `noise` is the share by which timings of one file differ.
    """
    fast = prefer if prefer.criterion in ("latency", "throughput") else Prefer()

    def as_fast(left: Sequence[Variant]) -> list[Variant]:
        least = min(time_per_sample(row, fast) for row in left)
        return [row for row in left if time_per_sample(row, fast) <= least * (1 + noise)]

    def as_small(left: Sequence[Variant]) -> list[Variant]:
        return [row for row in left if bytes_of(row) == min(map(bytes_of, left))]

    steps = {
        "latency": (as_fast, as_small, as_accurate),
        "throughput": (as_fast, as_small, as_accurate),
        "size": (as_small, as_fast, as_accurate),
        "accuracy": (as_accurate, as_fast, as_small),
    }
    left = list(rows)
    for step in steps[prefer.criterion]:
        left = step(left)
    return max(left, key=goodness)


def as_accurate(rows: Sequence[Variant]) -> list[Variant]:
    """Those that their bounds don't tell from the most accurate one."""
    best = max(rows, key=goodness)
    return [row for row in rows if row is best or reaches(row, best)]


def reaches(row: Variant, best: Variant) -> bool:
    """May the row be as good as `best`: do the bounds of its loss include that one's?"""
    own, other = row.assessment, best.assessment
    if own is None or other is None:  # one of them is the reference, which loses nothing
        bounded, loss = (own, 0.0) if other is None else (other, 0.0)
    else:
        bounded, loss = own, other.estimate if other.estimate is not None else 0.0
    if bounded is None or bounded.low is None or bounded.high is None:
        return False
    return bounded.low <= loss <= bounded.high


def difference_between(row: Variant, other: Variant) -> MetricValue | None:
    """The row's headline metric less the other row's; None where one of them has none."""
    if row.headline is None or other.headline is None:
        return None
    return MetricValue(row.headline.name, row.headline.value - other.headline.value)


def compute_price(row: Variant, other: Variant, noise: TimingNoise) -> Price:
    """What `row` costs against `other`."""
    size = other.size_bytes / row.size_bytes if row.size_bytes and other.size_bytes else None
    if row.latency_ms is None or other.latency_ms is None:
        return Price(None, False, size)
    speed = other.latency_ms.p50 / row.latency_ms.p50
    within_noise = max(speed, 1 / speed) <= 1 + max(noise.share, LEAST_FACTOR)
    span = find_speed_interval(row, other)
    low, high = (span.low, span.high) if span else (None, None)
    return Price(speed, within_noise, size, low, high, noise.busy)


def find_speed_interval(row: Variant, other: Variant) -> Interval | None:
    """Of how many times as fast `row` is, one sample a call on one thread; None where it wasn't timed several times."""
    from driver.analysis import speed  # noqa: PLC0415 - SciPy takes half a second: showing needs none
    from driver.analysis.timing_summary import find_single_call  # noqa: PLC0415

    own, others = find_single_call(row.timings), find_single_call(other.timings)
    return None if own is None or others is None else speed.compute_ratio(own, others)
