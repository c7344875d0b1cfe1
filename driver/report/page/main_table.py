"""The main table of the page: what decides about each variant first, then what it costs.

What is shown together is of one kind: the bound of the loss holds for all candidates at once, so no interval or p-value
of a row alone stands beside it. Those are in the tables of the paired counts and of the metrics.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from driver.analysis import metric_specs, numbers
from driver.analysis.metric_specs import MetricSpec
from driver.analysis.results import Comparison, Latency, Metric, Variant
from driver.experiment.model import HERE
from driver.report import columns

SIGNS = {"ok": "✓", "unsupported": "∅", "failed": "✕", "skipped": "○"}
SHOWN = {
    "good_enough": ("✓", "good enough"),
    "not_shown": ("?", "not shown"),
    "worse": ("✗", "worse"),
    "not_tested": ("○", "not tested"),
    "not_run": ("○", "not run"),
}
RANKS = ("good_enough", "ok", "not_shown", "worse", "not_tested", "not_run", "unsupported", "failed", "skipped")


@dataclass(frozen=True)
class Cell:
    """`value` is what the column is sorted by; None, which comes last, where there is nothing."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Column:
    """`definition` is the name of the figure in the glossary; `decides`: is the variant chosen by it?"""

    label: str
    definition: str
    read: Callable[[Variant], Cell]
    decides: bool = False


@dataclass(frozen=True)
class Outcome:
    """A sign and a word, since not everyone sees colours; `level` names the colour. The least `rank` is the best."""

    sign: str
    word: str
    level: str

    @property
    def rank(self) -> int:
        return RANKS.index(self.level)


def list_columns(comparison: Comparison) -> list[Column]:
    """Without the variant's name and its outcome. The headline metric comes first."""
    spec = columns.headline(comparison)
    first = [replace(make_metric_column(spec, spec_name(comparison)), decides=True)]
    if comparison.spec.has_differences:
        first.append(Column(spec.difference_heading, "Δ", read_difference))
    if bound := make_bound_column(comparison, spec):
        first.append(bound)
    return [*first, *list_other_metrics(comparison), *list_prices(comparison)]


def spec_name(comparison: Comparison) -> str:
    """The name of the headline metric, such as `accuracy`."""
    return next((row.headline.name for row in comparison.variants if row.headline), comparison.spec.headline)


def make_metric_column(spec: MetricSpec, name: str) -> Column:
    def read(row: Variant) -> Cell:
        metric = row.metric(name)
        return Cell(columns.value(metric), None if metric is None else metric.value)

    return Column(spec.heading, spec.label, read)


def read_difference(row: Variant) -> Cell:
    metric = row.headline
    return Cell(numbers.NONE) if metric is None else Cell(write_difference(metric), metric.delta)


def write_difference(metric: Metric) -> str:
    if metric.name == "accuracy":
        return numbers.signed(metric_specs.difference_in_points(metric))
    return columns.difference(metric)


def make_bound_column(comparison: Comparison, spec: MetricSpec) -> Column | None:
    """The end of the bound that decides; None where nothing is assessed."""
    quantity = next((row.assessment.quantity for row in comparison.variants if row.assessment), None)
    if quantity is None:
        return None

    def read(row: Variant) -> Cell:
        if row.assessment is None:
            return Cell(numbers.NONE)
        end = row.assessment.high if quantity == "loss" else row.assessment.low
        return Cell(spec.bare(end), end)

    name = "loss at most" if quantity == "loss" else "at least"
    unit = spec.difference_unit if quantity == "loss" else spec.unit
    return Column(f"{name} {unit}".strip(), name, read, decides=True)


def list_other_metrics(comparison: Comparison) -> list[Column]:
    """Of a classification what changed, of another task its further metrics."""
    largest = columns.largest_difference(comparison)
    change = Column(largest, largest, lambda row: Cell(numbers.tiny(row.max_abs_diff), row.max_abs_diff))
    if comparison.spec.has_classes:
        agreement = Column("agree %", "agree", lambda row: Cell(numbers.percent(row.agreement), row.agreement))
        plain = [make_metric_column(metric_specs.METRIC_SPECS["accuracy"], "accuracy")]
        return [*(plain if columns.is_weighted(comparison) else []), agreement, change]
    names = columns.task_names(comparison)[1:]
    others = [make_metric_column(metric_specs.METRIC_SPECS[name], name) for name in names]
    noise = [Column("SQNR dB", "SQNR", lambda row: Cell(columns.sqnr(row), read_sqnr(row)))]
    return [*others, *(noise if comparison.spec.has_differences else []), change]


def read_sqnr(row: Variant) -> float | None:
    """In decibels; as of an exact copy where nothing differs."""
    if row.drift is None:
        return None
    return metric_specs.EXACT_DB if row.drift.sqnr_db is None else row.drift.sqnr_db


def list_prices(comparison: Comparison) -> list[Column]:
    def at(label: str, percentile: Callable[[Latency], float]) -> Column:
        def read(row: Variant) -> Cell:
            value = None if row.latency_ms is None else percentile(row.latency_ms)
            return Cell(numbers.milliseconds(value), value)

        return Column(f"{label} ms", label, read)

    return [
        Column("size KB", "size", lambda row: Cell(numbers.kilobytes(row.size_bytes), row.size_bytes)),
        at("p50", lambda latency: latency.p50),
        at("p90", lambda latency: latency.p90),
        at("p99", lambda latency: latency.p99),
        Column(
            f"{comparison.unit} /s",
            "throughput",
            lambda row: Cell(numbers.number(row.images_per_second, "{:,.0f}"), row.images_per_second),
        ),
    ]


def describe_outcome(comparison: Comparison, row: Variant) -> Outcome:
    """What is shown of the row on this host; its status, where it has no result or nothing was assessed."""
    if row.status != "ok" or row.assessment is None or row.name == comparison.reference:
        return Outcome(SIGNS[row.status], row.status, row.status)
    return Outcome(*SHOWN[row.assessment.outcome], row.assessment.outcome)


def list_other_targets(row: Variant) -> list[tuple[str, Outcome]]:
    """What is shown of the row on the targets other than this host, which are named."""
    others = [each for each in row.assessments if each.target != HERE]
    return [(each.target, Outcome(*SHOWN[each.outcome], each.outcome)) for each in others]


def describe_tolerance(comparison: Comparison) -> str:
    """What is tolerated, as a part of a sentence; "" where nothing is assessed."""
    if not (limits := columns.find_limits(comparison)):
        return ""
    assessment, *others = limits
    spec = columns.headline(comparison)
    if assessment.quantity == "loss":
        limit = f"{spec.bare(assessment.limit)} {spec.difference_unit}".rstrip()
        return f"tolerated: a loss of {spec.name} of {limit}"
    more = "".join(f", of float variants {spec.text(each.limit)}" for each in others)
    return f"asked for: {spec.label} of at least {spec.text(assessment.limit)}{more}"


def write_loss(row: Variant, spec: MetricSpec) -> tuple[str, str] | None:
    """Of the paired loss of a row: itself, and its bound beside the tolerance. None where it was not assessed by it."""
    assessed = row.assessment
    if assessed is None or assessed.quantity != "loss":
        return None
    loss, high, limit = (spec.bare(value) for value in (assessed.estimate, assessed.high, assessed.limit))
    return f"{loss} {spec.difference_unit}".rstrip(), f"at most {high}, tolerated {limit}"
