"""Tables of further outputs that have labels, and of metrics by class or step, in each document."""

import csv
import io
from dataclasses import replace
from io import StringIO

import pytest
from page_reader import cells, section
from rich.console import Console
from task_makers import compared
from test_tasks_pages import make_page_data

from driver.analysis.results import Breakdown, Metric, OutputMetrics
from driver.report import csv_table, markdown, part_tables, terminal
from driver.report.page import page

KINDS = OutputMetrics(
    1,
    "kind",
    "classification",
    (
        Metric("accuracy", 0.875, None, -0.0125, None, 0.2, "higher"),
        Metric("top5", 1.0, None, 0.0, None, 1.0, "higher"),
    ),
)
SCORES = OutputMetrics(2, "", "tagging", (Metric("token_accuracy", 0.5, None, None, None, None, "higher"),))
SCORES = replace(SCORES, breakdowns=(Breakdown("class", "tag_f1", (0.25, None)),), classes=("verb", "noun"))


def with_outputs(*outputs):
    comparison = compared("regression")
    rows = [replace(row, further_outputs=outputs) if row.status == "ok" else row for row in comparison.variants]
    return replace(comparison, variants=tuple(rows))


def test_each_further_output_has_a_table():
    first, second = part_tables.list_output_tables(with_outputs(KINDS, SCORES))
    assert (first.title, first.headings) == ("Output kind: classification", ("top-1 %", "Δ pp", "top-5 %"))
    assert {cells for _, cells in first.rows} == {("87.50", "−1.25", "100.00")}
    assert (second.title, second.headings) == ("Output 2: tagging", ("token accuracy %", "Δ pp"))
    assert {cells for _, cells in second.rows} == {("50.00", "–")}
    assert part_tables.list_output_tables(compared("regression")) == []


@pytest.mark.parametrize(
    ("task", "titles", "parts"),
    [
        ("segmentation", ["IoU % by class"], ("soil", "crop", "weed")),
        ("tagging", ["F1 of a tag % by class"], ("0", "1", "2", "3")),
        ("forecasting", ["MAE by step", "RMSE by step"], ("1", "2", "3", "4", "5", "6")),
        ("regression", [], None),
    ],
)
def test_metrics_by_class_and_by_step(task, titles, parts):
    tables = part_tables.list_part_tables(compared(task))
    assert [table.title for table in tables] == titles
    for table in tables:
        assert table.parts == parts
        answered = [row for row in compared(task).variants if row.breakdowns]
        assert [row.name for row, _ in table.rows] == [row.name for row in answered]
        assert {len(cells) for _, cells in table.rows} == {len(parts)}


def test_those_of_a_further_output_have_its_classes():
    [table] = part_tables.list_part_tables(with_outputs(SCORES))
    assert (table.title, table.parts) == ("F1 of a tag % by class of the output 2", ("verb", "noun"))
    assert {cells for _, cells in table.rows} == {("25.00", "–")}


def test_many_classes_are_cut():
    comparison = compared("segmentation")
    rows = [replace(row, breakdowns=(Breakdown("class", "iou", (0.5,) * 150),)) for row in comparison.variants]
    [table] = part_tables.list_part_tables(replace(comparison, variants=tuple(rows)))
    assert (len(table.parts), table.left_out) == (24, 126)


def test_a_terminal_has_them_below_the_main_table():
    text = StringIO()
    terminal.show(with_outputs(KINDS), Console(file=text, width=80))
    lines = text.getvalue().splitlines()
    start = lines.index("Output kind: classification")
    assert lines[start + 1].split() == ["top-1", "Δ", "top-5"]
    assert lines[start + 4].split() == ["keras.fp32", "87.50", "−1.25", "100.00"]
    assert max(map(len, lines)) <= 80


def test_a_csv_has_a_column_for_each_metric():
    [first, *_] = csv.DictReader(io.StringIO(csv_table.csv_text(with_outputs(KINDS))))
    assert (first["kind.accuracy"], first["kind.accuracy_delta"]) == ("0.875", "-0.0125")


def test_markdown_folds_them():
    text = markdown.markdown_text(with_outputs(KINDS))
    assert "<summary>Output kind: classification</summary>" in text
    assert "| `keras.fp32` | 87.50 | −1.25 | 100.00 |" in text


@pytest.mark.usefixtures("without_plots")
def test_the_page_has_both():
    text = page.page_html(with_outputs(KINDS, SCORES), make_page_data("regression"))
    assert ["onnx.fp32", "87.50", "−1.25", "100.00"] in cells(section(text, "outputs"))
    assert ["onnx.fp32", "25.00", "–"] in cells(section(text, "parts"))
