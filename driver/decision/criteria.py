"""The criteria that a decision rests on, worse and faster, and a variant's difference and price as data."""

import math

from driver.analysis import metric_specs
from driver.analysis.facts import MetricValue, PairedDifference, Price
from driver.analysis.results import SIGNIFICANT, Variant

LEAST_FACTOR = 0.05  # a smaller difference of times is none, whatever the noise


def is_worse(row: Variant) -> bool:
    """Is the headline metric significantly worse than the reference's, by more than its margin?"""
    return row.headline is not None and metric_specs.is_significant_loss(row.headline, SIGNIFICANT)


def is_negligibly_worse(row: Variant) -> bool:
    """Of a row that is not `worse`: is it surely worse, by too little to matter?"""
    metric = row.headline
    return metric is not None and (metric.loss or 0.0) > 0 and metric.corrected_p_value < SIGNIFICANT


def milliseconds(row: Variant) -> float:
    """Endless where there are no timings: what was not timed is the fastest of nothing."""
    return row.latency_ms.p50 if row.latency_ms else math.inf


def goodness(row: Variant, nothing: float = 0.0) -> float:
    """Of two rows the better one's is higher; `nothing` where there is no metric."""
    return nothing if row.headline is None else metric_specs.goodness(row.headline)


def paired_difference(row: Variant) -> PairedDifference | None:
    """The headline metric less the reference's; None where there is no paired test."""
    metric = row.headline
    if metric is None or metric.delta is None or metric.p_value is None:
        return None
    low, high = (metric.delta_interval.low, metric.delta_interval.high) if metric.delta_interval else (None, None)
    return PairedDifference(metric.name, metric.delta, low, high, metric.corrected_p_value)


def difference_between(row: Variant, other: Variant) -> MetricValue | None:
    """The row's headline metric less the other row's; None where one of them has none."""
    if row.headline is None or other.headline is None:
        return None
    return MetricValue(row.headline.name, row.headline.value - other.headline.value)


def compute_price(row: Variant, other: Variant, noise: float) -> Price:
    """What `row` costs against `other`, where `noise` is the share by which timings of one file differ."""
    speed = size = None
    within_noise = False
    if row.latency_ms is not None and other.latency_ms is not None:
        speed = other.latency_ms.p50 / row.latency_ms.p50
        within_noise = max(speed, 1 / speed) <= 1 + max(noise, LEAST_FACTOR)
    if row.size_bytes and other.size_bytes:
        size = other.size_bytes / row.size_bytes
    return Price(speed, within_noise, size)
