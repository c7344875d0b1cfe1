"""The columns of the main table, by task: of classes accuracy and what changed, of other tasks their metrics."""

from collections.abc import Sequence

from driver.analysis import metric_specs
from driver.analysis.facts import Assessment
from driver.analysis.metric_specs import MetricSpec
from driver.analysis.numbers import NONE, tiny
from driver.analysis.results import Comparison, Metric, Variant

PRICE = ("size KB", "p50 ms", "p90 ms")
CLASS_HEADLINES = ("weighted_accuracy", "accuracy")  # the first that rows have is that of a classification
SIGNS = {"good_enough": "✓", "not_shown": "?", "worse": "✗", "not_run": "?", "not_tested": "?"}


def names(rows: Sequence[Variant]) -> list[str]:
    """Of all metrics that some row has, the headline first, but that of classes, which has columns of its own."""
    every = list(dict.fromkeys(metric.name for row in rows for metric in row.metrics))
    apart = next((name for name in CLASS_HEADLINES if name in every), "")
    return [name for name in every if name != apart]


def task_names(comparison: Comparison) -> list[str]:
    """The same of a task without classes; where no row has any, its headline metric."""
    return names(comparison.variants) or [comparison.spec.headline]


def headings(comparison: Comparison) -> tuple[str, ...]:
    """Of the table on the terminal and in Markdown; eighty columns have no room for p90 beside three metrics."""
    speed = f"{comparison.unit} /s"
    if comparison.spec.has_classes:
        every: tuple[str, ...] = (
            "variant",
            headline(comparison).heading,
            "Δ pp",
            *([metric_specs.METRIC_SPECS["accuracy"].heading] if is_weighted(comparison) else []),
            "agree %",
            largest_difference(comparison),
            *PRICE,
            speed,
        )
    else:
        every = ("variant", *metric_headings(comparison), *PRICE[:2], speed)
    return insert_bound(comparison, every, 1, bound_heading(comparison))


def is_weighted(comparison: Comparison) -> bool:
    """Is the headline metric of classes one by their weights, with the plain accuracy beside it?"""
    return comparison.spec.has_classes and "accuracy" in names(comparison.variants)


def insert_bound(comparison: Comparison, texts: Sequence[str], before: int, bound: str) -> tuple[str, ...]:
    """The texts of a row with that of the loss's bound behind the headline metric and its difference, where rows have
    one; so many texts are `before` the headline metric's.
    """
    if not any(row.assessment for row in comparison.variants):
        return tuple(texts)
    place = before + (2 if comparison.spec.has_differences else 1)
    return (*texts[:place], bound, *texts[place:])


def bound_heading(comparison: Comparison) -> str:
    """`loss ≤ pp`, of which only the unit stands alone; of a distance from the reference `SQNR ≥ dB`."""
    spec = headline(comparison)
    if not comparison.spec.has_differences:
        return f"{spec.label}\u00a0≥ {spec.unit}".strip()
    return f"loss\u00a0≤ {spec.difference_unit}".strip()


def find_limits(comparison: Comparison) -> list[Assessment]:
    """An assessment for each limit that the variants are held to on this host, that of the quantized ones first.

    There is one of losses; gates on distances from the reference may ask more of float variants than of quantized ones.
    """
    rows = sorted(comparison.variants, key=lambda row: not row.quantized)
    every = [row.assessment for row in rows if row.assessment is not None]
    if every and every[0].quantity == "loss":
        return every[:1]
    return list({each.limit: each for each in reversed(every)}.values())[::-1]


def bound_cell(row: Variant) -> str:
    """The most that is lost, or the least that is left, as far as that is shown, and a sign for what follows."""
    if (assessment := row.assessment) is None:
        return NONE
    spec = metric_specs.METRIC_SPECS[assessment.metric]
    bound = assessment.high if assessment.quantity == "loss" else assessment.low
    return f"{spec.bare(bound)} {SIGNS[assessment.outcome]}"


def order_columns(comparison: Comparison) -> list[int]:
    """The places of the columns behind the name's, the most important first: what decides, then what it costs."""
    texts = headings(comparison)
    bound = bound_heading(comparison)

    def rank(place: int) -> int:
        heading = texts[place]
        if place == 1:
            return 0
        if heading.startswith("Δ") or heading == bound:
            return 1
        if heading in PRICE:
            return {"p50 ms": 2, "size KB": 3, "p90 ms": 6}[heading]
        return 7 if "|Δ" in heading else 5 if heading.endswith(" /s") else 4

    return sorted(range(1, len(texts)), key=rank)


def largest_difference(comparison: Comparison) -> str:
    """What the largest difference of an output is called, by what the outputs are."""
    return f"max {difference_sign(comparison)}"


def difference_sign(comparison: Comparison) -> str:
    """Of an output: a probability, a logit, or any value."""
    if not comparison.spec.has_classes:
        return "|Δ|"
    return "|Δlogit|" if comparison.gives_logits else "|Δp|"


def metric_headings(comparison: Comparison) -> list[str]:
    """Of the metrics of a task without classes."""
    first, *others = [metric_specs.METRIC_SPECS[name] for name in task_names(comparison)]
    fidelity = not comparison.spec.has_differences
    difference = [] if fidelity else [first.difference_heading]
    noise = [] if fidelity else ["SQNR dB"]
    return [first.heading, *difference, *(each.heading for each in others), *noise, largest_difference(comparison)]


def cells(comparison: Comparison, row: Variant) -> list[str]:
    """The row's metrics as text, in the order of the headings; its status first where that is not `ok`."""
    metrics = (
        class_cells(row, is_weighted(comparison)) if comparison.spec.has_classes else metric_cells(comparison, row)
    )
    prices = price_cells(row)
    texts = [*metrics, *(prices if comparison.spec.has_classes else [*prices[:2], prices[3]])]
    texts = list(insert_bound(comparison, texts, 0, bound_cell(row)))
    return texts if row.status == "ok" else [row.status, *texts[1:]]


def class_cells(row: Variant, weighted: bool = False) -> list[str]:
    accuracy = row.headline
    plain = row.metric("accuracy")
    return [
        format_value(None if accuracy is None else 100 * accuracy.value, "{:.2f}"),
        format_value(metric_specs.difference_in_points(accuracy), "{:+.2f}"),
        *([format_value(None if plain is None else 100 * plain.value, "{:.2f}")] if weighted else []),
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
