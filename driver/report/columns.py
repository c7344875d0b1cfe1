"""The columns of the main table, by task: of classes accuracy and what changed, of other tasks their metrics."""

from collections.abc import Sequence

from driver.analysis import metric_specs
from driver.analysis.metric_specs import MetricSpec
from driver.analysis.numbers import NONE, tiny
from driver.analysis.results import Comparison, Metric, Variant

PRICE = ("size KB", "p50 ms", "p90 ms")
CLASSES = ("variant", "top-1 %", "Δ pp", "agree %", "max |Δp|", *PRICE)


def names(rows: Sequence[Variant]) -> list[str]:
    """Of all metrics that some row has, the headline first, but accuracy, which has columns of its own."""
    return [name for name in dict.fromkeys(metric.name for row in rows for metric in row.metrics) if name != "accuracy"]


def task_names(comparison: Comparison) -> list[str]:
    """The same of a task without classes; where no row has any, its headline metric."""
    return names(comparison.variants) or [comparison.spec.headline]


def headings(comparison: Comparison) -> tuple[str, ...]:
    """Of the table on the terminal and in Markdown; eighty columns have no room for p90 beside three metrics."""
    speed = f"{comparison.unit} /s"
    if comparison.spec.has_classes:
        return (*CLASSES, speed)
    return ("variant", *metric_headings(comparison), *PRICE[:2], speed)


def metric_headings(comparison: Comparison) -> list[str]:
    """Of the metrics of a task without classes."""
    first, *others = [metric_specs.METRIC_SPECS[name] for name in task_names(comparison)]
    fidelity = not comparison.spec.has_differences
    difference = [] if fidelity else [first.difference_heading]
    noise = [] if fidelity else ["SQNR dB"]
    return [first.heading, *difference, *(each.heading for each in others), *noise, "max |Δ|"]


def cells(comparison: Comparison, row: Variant) -> list[str]:
    """The row's metrics as text, in the order of the headings; its status first where that is not `ok`."""
    metrics = class_cells(row) if comparison.spec.has_classes else metric_cells(comparison, row)
    prices = price_cells(row)
    texts = [*metrics, *(prices if comparison.spec.has_classes else [*prices[:2], prices[3]])]
    return texts if row.status == "ok" else [row.status, *texts[1:]]


def class_cells(row: Variant) -> list[str]:
    accuracy = row.headline
    return [
        format_value(None if accuracy is None else 100 * accuracy.value, "{:.2f}"),
        format_value(metric_specs.difference_in_points(accuracy), "{:+.2f}"),
        format_value(None if row.agreement is None else 100 * row.agreement, "{:.2f}"),
        format_value(row.max_abs_diff, "{:.1e}"),
    ]


def metric_cells(comparison: Comparison, row: Variant) -> list[str]:
    """Of a task without classes."""
    metrics = {metric.name: metric for metric in row.metrics}
    first, *rest = task_names(comparison)
    cells = [value(metrics.get(first))]
    if comparison.spec.has_differences:
        cells.append(difference(metrics.get(first)))
    cells += [value(metrics.get(name)) for name in rest]
    if comparison.spec.has_differences:
        cells.append(sqnr(row))
    return [*cells, tiny(row.max_abs_diff)]


def value(metric: Metric | None) -> str:
    if metric is not None and metric.name == "sqnr" and metric.value >= metric_specs.EXACT_DB:
        return "exact"
    return NONE if metric is None else metric_specs.spec_of(metric).bare(metric.value)


def difference(metric: Metric | None) -> str:
    return NONE if metric is None else metric_specs.spec_of(metric).signed(metric.delta)


def sqnr(row: Variant) -> str:
    """Of the evaluated output."""
    if row.drift is None:
        return NONE
    return "exact" if row.drift.sqnr_db is None else f"{row.drift.sqnr_db:.1f}"


def price_cells(row: Variant) -> list[str]:
    latency = row.latency_ms
    return [
        format_value(None if row.size_bytes is None else row.size_bytes / 1000, "{:,.0f}"),
        format_value(latency.p50 if latency else None, "{:.3f}"),
        format_value(latency.p90 if latency else None, "{:.3f}"),
        format_value(row.images_per_second, "{:,.0f}"),
    ]


def format_value(value: float | None, form: str) -> str:
    return NONE if value is None else form.format(value)


def headline(comparison: Comparison) -> MetricSpec:
    """The metric that decides about the variants."""
    names = (row.headline.name for row in comparison.variants if row.headline is not None)
    return metric_specs.METRIC_SPECS[next(names, comparison.spec.headline)]
