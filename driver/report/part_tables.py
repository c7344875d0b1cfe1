"""Tables of the outputs beside the evaluated one that have labels, and of the metrics of each class or step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from driver.analysis import metric_specs
from driver.analysis.metric_specs import MetricSpec
from driver.analysis.results import Breakdown, Comparison, Metric, OutputMetrics, Variant
from driver.report import columns

MOST_PARTS = 24  # columns


@dataclass(frozen=True)
class OutputTable:
    """The metrics of one output: a row for each variant that has them, the headline's difference behind it."""

    output: OutputMetrics
    headings: tuple[str, ...]
    rows: tuple[tuple[Variant, tuple[str, ...]], ...]

    @property
    def name(self) -> str:
        return name_output(self.output)

    @property
    def title(self) -> str:
        """`Output classes: classification`."""
        return f"Output {self.name}: {self.output.task}"


@dataclass(frozen=True)
class PartTable:
    """A metric of each class or step, by their names: a row for each variant that has it."""

    spec: MetricSpec
    by: str
    output: str
    parts: tuple[str, ...]
    rows: tuple[tuple[Variant, tuple[str, ...]], ...]
    left_out: int

    @property
    def title(self) -> str:
        of = f" of the output {self.output}" if self.output else ""
        return f"{self.spec.heading} by {self.by}{of}"


def name_output(output: OutputMetrics) -> str:
    """The name that its labels have, else its number."""
    return output.name or str(output.output)


def list_output_tables(comparison: Comparison) -> list[OutputTable]:
    """Of each output beside the evaluated one that has labels."""
    first = {item.output: item for row in reversed(comparison.variants) for item in row.further_outputs}
    return [make_output_table(comparison, first[number]) for number in sorted(first)]


def make_output_table(comparison: Comparison, output: OutputMetrics) -> OutputTable:
    specs = [metric_specs.METRIC_SPECS[metric.name] for metric in output.metrics]
    headings = [specs[0].heading, specs[0].difference_heading, *(spec.heading for spec in specs[1:])]
    rows = []
    for row in comparison.variants:
        own = next((item for item in row.further_outputs if item.output == output.output), None)
        if own is not None:
            metrics = [own.metric(metric.name) for metric in output.metrics]
            cells = [columns.value(metrics[0]), write_difference(metrics[0]), *map(columns.value, metrics[1:])]
            rows.append((row, tuple(cells)))
    return OutputTable(output, tuple(headings), tuple(rows))


def write_difference(metric: Metric | None) -> str:
    """To the reference's."""
    return columns.difference(metric)


def list_part_tables(comparison: Comparison) -> list[PartTable]:
    """Of each metric that some variant has by class or by step, those of the evaluated output first."""
    names = comparison.dataset.get("classes", [])
    tables = list(make_part_tables("", names, [(row, row.breakdowns) for row in comparison.variants]))
    further = {item.output: item for row in comparison.variants for item in row.further_outputs}
    for number, output in sorted(further.items()):
        rows = [
            (row, item.breakdowns)
            for row in comparison.variants
            for item in row.further_outputs
            if item.output == number
        ]
        tables += make_part_tables(name_output(output), output.classes, rows)
    return tables


def make_part_tables(
    output: str, names: Sequence[str], rows: Sequence[tuple[Variant, tuple[Breakdown, ...]]]
) -> Iterator[PartTable]:
    metrics = {item.metric: item for _, breakdowns in reversed(rows) for item in breakdowns}
    for metric, first in metrics.items():
        spec, shown = metric_specs.METRIC_SPECS[metric], len(first.values[:MOST_PARTS])
        cells = tuple(
            (row, tuple(spec.bare(value) for value in item.values[:shown]))
            for row, breakdowns in rows
            for item in breakdowns
            if item.metric == metric
        )
        parts = tuple(name_part(first.by, number, names) for number in range(shown))
        yield PartTable(spec, first.by, output, parts, cells, len(first.values) - shown)


def name_part(by: str, number: int, names: Sequence[str]) -> str:
    """The name of a class, else its number; steps are counted from 1."""
    if by == "step":
        return str(number + 1)
    return str(names[number]) if number < len(names) else str(number)
