"""The main table: what decides about a variant, with nothing beside it that is of another kind."""

from dataclasses import replace

import comparisons
import pytest
from page_reader import cells, section
from task_makers import compared

from driver.analysis import metric_specs
from driver.analysis.results import Assessment
from driver.report import columns
from driver.report.page import main_table, page

pytestmark = pytest.mark.usefixtures("volumes", "without_plots")


def labels(comparison):
    return [column.label for column in main_table.list_columns(comparison)]


def read(comparison, name, label):
    row = next(row for row in comparison.variants if row.name == name)
    (column,) = [column for column in main_table.list_columns(comparison) if column.label == label]
    return column.read(row)


def make_page(comparison):
    return page.page_html(comparison, comparisons.make_page_data(comparison))


def test_the_headline_metric_its_difference_and_its_bound_come_first():
    assert labels(comparisons.assessed())[:3] == ["top-1 %", "Δ pp", "loss at most pp"]
    assert labels(comparisons.unassessed())[:3] == ["top-1 %", "Δ pp", "agree %"], "nothing is assessed"


def test_the_bound_is_that_of_the_assessment():
    comparison = comparisons.assessed()
    assert read(comparison, "onnx.u8s8", "loss at most pp") == main_table.Cell("0.45", pytest.approx(0.0045))
    assert read(comparison, "keras.fp32", "loss at most pp") == main_table.Cell("–", None)


def test_what_is_shown_stands_in_a_word_and_a_sign():
    shown = {row[0]: row[1] for row in cells(section(make_page(comparisons.assessed()), "verdict")) if len(row) > 2}
    assert shown == {
        "variant": "shown",
        "keras.fp32 reference": "✓ ok",
        "onnx.fp32": "✓ good enough",
        "torch.fp32": "✓ good enough",
        "onnx.int8": "✗ worse",
        "onnx.uint8": "? not shown",
        "onnx.u8s8 ship": "✓ good enough ? not shown on haswell",
        "torch.int8": "? not shown",
        "torch.x86": "? not shown",
        "torch.uint8": "∅ unsupported",
    }


def test_nothing_of_a_row_alone_stands_beside_the_bound():
    text = section(make_page(comparisons.assessed()), "verdict")
    table = text[text.index('<table class="main"') :]
    assert "Holm" not in table
    assert "…" not in table, "no interval"


def test_the_tolerance_is_told_once():
    text = section(make_page(comparisons.assessed()), "verdict")
    assert text.count("tolerated: a loss of accuracy of 0.88 pp") == 1
    assert "at most 0.45, tolerated 0.88" in text


def test_logits_are_not_called_probabilities():
    full = comparisons.FULL
    logits, probabilities = (
        comparisons.comparison(dataset={**full, "outputs": outputs}) for outputs in ("logits", "probabilities")
    )
    assert "max |Δlogit|" in labels(logits)
    assert "max |Δp|" in labels(probabilities)
    assert "max |Δlogit|" in columns.headings(logits)
    assert "|Δp|" not in make_page(logits)


def test_a_metric_that_is_a_distance_itself_has_its_lower_end():
    comparison = compared("fidelity")
    bound = Assessment("here", "good_enough", "sqnr", "value", 40.0, 38.5, 41.0, 30.0, 400, 5)
    floating = replace(bound, low=130.0, limit=100.0)
    held = {"onnx.fp32": (floating,), "onnx.u8s8": (bound,), "onnx.uint8": (bound,)}
    rows = [replace(row, assessments=held.get(row.name, ())) for row in comparison.variants]
    comparison = replace(comparison, variants=tuple(rows))
    assert labels(comparison)[:2] == ["SQNR dB", "at least dB"]
    assert read(comparison, "onnx.u8s8", "at least dB") == main_table.Cell("38.5", 38.5)
    told = "asked for: SQNR of at least 30.0 dB"
    assert main_table.describe_tolerance(comparison) == f"{told}, of float variants 100.0 dB"
    same = [replace(row, assessments=(bound,) * bool(row.assessments)) for row in rows]
    assert main_table.describe_tolerance(replace(comparison, variants=tuple(same))) == told


def test_what_has_no_value_sorts_as_nothing():
    comparison = comparisons.comparison()
    assert read(comparison, "torch.uint8", "p50 ms") == main_table.Cell("–", None)
    assert read(comparison, "onnx.u8s8", "p50 ms") == main_table.Cell("0.129", 0.129)
    assert '<td role="cell" data-label="p50 ms" data-value="0.129">0.129</td>' in make_page(comparison)


def test_an_exact_copy_sorts_above_what_differs():
    rows = {row.name: main_table.read_sqnr(row) for row in compared("regression").variants}
    assert rows["keras.fp32"] == metric_specs.EXACT_DB
    assert rows["onnx.int8"] < metric_specs.EXACT_DB


def test_outcomes_sort_from_good_to_none():
    comparison = comparisons.assessed()
    ranks = {row.name: main_table.describe_outcome(comparison, row).rank for row in comparison.variants}
    assert ranks["onnx.u8s8"] < ranks["onnx.uint8"] < ranks["onnx.int8"] < ranks["torch.uint8"]
