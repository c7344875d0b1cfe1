"""What the page says of the metrics beside the accuracy, and of the outputs of a model that has several."""

from dataclasses import dataclass

from driver.analysis import metric_specs
from driver.analysis.metric_specs import MetricSpec
from driver.analysis.results import SIGNIFICANT, Comparison, Metric, OutputDrift, Variant
from driver.report import columns


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
    return [Line(row, metric, metric_specs.spec_of(metric), is_loss_alone(metric)) for row, metric in pairs]


def is_loss_alone(metric: Metric) -> bool:
    """Is it a loss that matters by the p-value that stands beside it, which is not corrected for other rows?"""
    if metric.loss is None or metric.delta is None or metric.p_value is None:
        return False
    matters = metric.loss > metric_specs.least_loss(metric.name, metric.value - metric.delta)
    return matters and metric.p_value < SIGNIFICANT


COUNTED = "intervals are Wilson's, differences Newcombe's, p is McNemar's exact one."


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
    how = "the same samples through both, 4,000 times with replacement"
    if comparison.spec.has_classes:
        return f"Beyond the {columns.headline(comparison).name}; {COUNTED}"
    if not comparison.spec.has_differences:
        agrees = "agreement is the same top class, or values within a twentieth of the reference's standard deviation"
        return f"Against the outputs of the reference; {agrees}. Intervals are of the bootstrap over the samples."
    if all(metric_specs.METRIC_SPECS[name].counted for name in names(comparison)):
        return f"{COUNTED[0].upper()}{COUNTED[1:]} They are of each row alone, uncorrected."
    return f"Intervals and p are of the paired bootstrap: {how}. They are of each row alone, uncorrected."


def margin_text(name: str) -> str:
    """How much of a loss is looked away from."""
    spec = metric_specs.METRIC_SPECS[name]
    if not spec.margin:
        return ""
    amount = f"{100 * spec.margin:g} % of the reference's" if spec.relative else spec.text(spec.margin)
    return f"a loss of up to {amount} does not count"
