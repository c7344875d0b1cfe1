"""What the page says of metrics that are not counted in classes: the columns of its main table, metrics, outputs."""

from dataclasses import dataclass

from driver.analysis import metric_specs, numbers
from driver.analysis.metric_specs import MetricSpec
from driver.analysis.results import SIGNIFICANT, Comparison, Metric, OutputDrift, Variant
from driver.report import columns

Cell = tuple[str, str]  # a metric, and what stands below it


def headings(comparison: Comparison) -> list[str]:
    """Of the metrics in the main table, of a task without classes."""
    names = columns.metric_headings(comparison)
    return names if not comparison.spec.has_differences else [*names[:2], "p (Holm)", *names[2:]]


def cells(comparison: Comparison, row: Variant) -> list[Cell]:
    """The same metrics, with the intervals of those that are compared."""
    plain = [(text, "") for text in columns.metric_cells(comparison, row)]
    if not comparison.spec.has_differences or row.headline is None:
        return plain if not comparison.spec.has_differences else [*plain[:2], ("–", ""), *plain[2:]]
    metric = row.headline
    spec = metric_specs.spec_of(metric)
    value = (plain[0][0], spec.span(metric.interval))
    difference = (plain[1][0], spec.span(metric.delta_interval, signed=True))
    return [value, difference, (numbers.p_value(metric.p_holm), ""), *plain[2:]]


@dataclass(frozen=True)
class Line:
    """A metric of a row, written; `worse` is a sure loss, by more than matters."""

    row: Variant
    metric: Metric
    spec: MetricSpec
    worse: bool


def lines(comparison: Comparison, name: str) -> list[Line]:
    """Of every variant that has the metric of this name."""
    pairs = [(row, metric) for row in comparison.variants for metric in row.metrics if metric.name == name]
    return [
        Line(row, metric, metric_specs.spec_of(metric), metric_specs.is_significant_loss(metric, SIGNIFICANT))
        for row, metric in pairs
    ]


def names(comparison: Comparison) -> list[str]:
    return columns.names(comparison.variants)


def list_outputs(comparison: Comparison) -> list[tuple[Variant, OutputDrift]]:
    """Every output of every variant but the reference, where the model has more than one."""
    rows = [row for row in comparison.variants if row.name != comparison.reference]
    return [(row, output) for row in rows for output in row.outputs]


def decibels(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f}"


def explain_metrics(comparison: Comparison) -> str:
    """What the metrics are, in words."""
    how = "the same samples through both, 1,000 times with replacement"
    if comparison.spec.has_classes:
        return "Beyond the accuracy; intervals are Wilson's, differences Newcombe's, p is McNemar's exact one."
    if not comparison.spec.has_differences:
        agrees = "agreement is the same top class, or values within a twentieth of the reference's standard deviation"
        return f"Against the outputs of the reference; {agrees}. Intervals are of the bootstrap over the samples."
    return f"Intervals and p are of the paired bootstrap: {how}. Holm's correction is over the quantized variants."


def margin_text(name: str) -> str:
    """How much of a loss is looked away from."""
    spec = metric_specs.METRIC_SPECS[name]
    if not spec.margin:
        return ""
    amount = f"{100 * spec.margin:g} % of the reference's" if spec.relative else spec.text(spec.margin)
    return f"a loss of up to {amount} does not count"
