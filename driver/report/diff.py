"""Two runs side by side on a terminal: versions, the headline metric, size and latency."""

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driver.analysis import metric_specs
from driver.analysis.results import Baseline, Comparison, Interval, Metric, Variant
from driver.comparison.run_diff import Run, compare_headlines, count_changed, same_data
from driver.report import columns, phrases
from driver.report.fitting import fit_columns
from driver.report.phrases import points

# Of the table's columns, by their places, those that stay or go together, the most important first.
GROUPS = ((1, 2), (3,), (9, 10), (7, 8), (4,), (5,), (6,))


def show(before: Run, after: Run, console: Console) -> None:
    """What changed in versions, accuracy, size and latency, from `before` to `after`."""
    console.print(Text(f"{before.name} → {after.name}", "bold"), soft_wrap=True)
    for line in (
        *changed_versions(before.comparison, after.comparison),
        *changed_host(before, after),
        *changed_data(before, after),
    ):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    spec = columns.headline(after.comparison)
    metric_headings = (spec.heading, "→", spec.difference_heading, "95%", "p", "changed")
    headings = ("variant", *metric_headings, "size KB", "→", "p50 ms", "→")
    cells = rows(before, after)
    widths = [max(map(cell_len, column)) for column in zip(headings, *cells, strict=True)]
    kept, names = fit_columns(widths, [row[0] for row in cells], GROUPS, console.width)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0, collapse_padding=True)
    table.add_column(headings[0], no_wrap=True)
    for place in kept:
        table.add_column(headings[place], justify="right", no_wrap=True)
    for name, row in zip(names, cells, strict=True):
        table.add_row(Text(name), *(Text(row[place]) for place in kept))
    console.print(table)


def show_baseline(comparison: Comparison, baseline: Baseline, console: Console) -> None:
    """A line for each check that doesn't hold, then how many do."""
    for kind, sentence in phrases.baseline_lines(comparison, baseline):
        console.print(Text(f"{kind}: {sentence}", "bold red"), soft_wrap=True)
    console.print(Text(phrases.baseline_summary(baseline), "green" if baseline.holds else "bold red"), soft_wrap=True)


def changed_versions(before: Comparison, after: Comparison) -> list[str]:
    lines = []
    for image in {**before.versions, **after.versions}:
        old, new = before.versions.get(image, {}), after.versions.get(image, {})
        moved = [
            f"{name} {old.get(name, '–')} → {new.get(name, '–')}"
            for name in {**old, **new}
            if old.get(name) != new.get(name)
        ]
        lines += [f"{image}: {', '.join(moved)}"] if moved else []
    return lines or ["the same versions"]


def changed_host(before: Run, after: Run) -> list[str]:
    """Timings of two machines say little about two versions."""
    old, new = before.comparison.host["cpu"], after.comparison.host["cpu"]
    return [] if old == new else [f"another CPU: {old} → {new}; the timings are of two machines"]


def changed_data(before: Run, after: Run) -> list[str]:
    """Two accuracies on other samples have no paired test, and their difference is not that of the models."""
    if same_data(before, after):
        return []
    old, new = (describe_data(run.comparison) for run in (before, after))
    moved = f"{old} → {new}" if old != new else f"both are {old}, with other samples"
    return [f"not the same test data: {moved}; nothing is tested pair by pair"]


def describe_data(comparison: Comparison) -> str:
    data = comparison.dataset
    sample = ", embedded sample" if data.get("sample") else ""
    return f"{data['test_images']:,} {comparison.unit} of {data['name']} ({data.get('split', 'test')}{sample})"


def rows(before: Run, after: Run) -> list[list[str]]:
    old = {row.name: row for row in before.comparison.variants}
    new = {row.name: row for row in after.comparison.variants}
    pairs = compare_headlines(before, after)
    return [
        cells(name, old.get(name), new.get(name), pairs.get(name), count_changed(name, before, after))
        for name in {**old, **new}
    ]


def cells(name: str, old: Variant | None, new: Variant | None, test: Metric | None, moved: int | None) -> list[str]:
    tested = ["–", "–", "–"]
    if test is not None and test.delta is not None:
        tested = [
            signed(test, test.delta),
            span(test, test.delta_interval),
            "–" if test.p_value is None else f"{test.p_value:.2g}",
        ]
    return [
        name,
        headline_value(old),
        headline_value(new),
        *tested,
        "–" if moved is None else str(moved),
        size(old),
        size(new),
        latency(old),
        latency(new),
    ]


def signed(test: Metric, value: float) -> str:
    spec = metric_specs.spec_of(test)
    return points(100 * value) if spec.unit == "%" else spec.signed(value)


def span(test: Metric, interval: Interval | None) -> str:
    return "–" if interval is None else f"{signed(test, interval.low)}…{signed(test, interval.high)}"


def headline_value(row: Variant | None) -> str:
    if row is None or row.headline is None:
        return "–" if row is None else row.status
    return metric_specs.spec_of(row.headline).bare(row.headline.value)


def size(row: Variant | None) -> str:
    return "–" if row is None or row.size_bytes is None else f"{row.size_bytes / 1000:,.0f}"


def latency(row: Variant | None) -> str:
    return "–" if row is None or row.latency_ms is None else f"{row.latency_ms.p50:.3f}"
