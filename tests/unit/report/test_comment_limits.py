"""A comparison of any size fits a pull request's comment, and says what it leaves out."""

import re
from dataclasses import replace

import comparisons
import pytest
import thorough
from variant_makers import accuracy_of

from driver.analysis.facts import AnsweringCpu, AnswersOfOtherCpus, GateFails, Rejection
from driver.analysis.results import Gate
from driver.report import comment_limits, decision_phrases, markdown
from shared.contract import Failure

COMMENT = 65_536  # characters, that GitHub takes
STATUSES = ("ok", "failed", "unsupported", "ok", "skipped")


def crowd(count=100, words="no kernel for this"):
    """Many variants, in equal parts sound, failed, unsupported, below a gate, and skipped; and much to say of each."""
    base = comparisons.hundred().variants
    rows = [*base[:2], *(troubled(base[2 + number % 98], number, words) for number in range(count - 2))]
    gates = tuple(
        Gate(row.name, "accuracy", "min", 0.85, 0.84, row.recipe[-1] not in "38") for row in rows if accuracy_of(row)
    )
    failures = tuple(Failure(f"latency.{number}", "failed", words) for number in range(count))
    warnings = tuple(AnswersOfOtherCpus((AnsweringCpu(f"{words} {number}", ("avx2",)),)) for number in range(count))
    comparison = comparisons.hundred()
    rejections = tuple(Rejection(row.name, (GateFails(words, "min", 0.85, 0.84),)) for row in rows)
    decision = replace(comparison.decision, variant="onnx.s00000", rejections=rejections)
    return replace(
        comparison, variants=tuple(rows), gates=gates, failures=failures, warnings=warnings, decision=decision
    )


def troubled(row, number, words):
    name, status = f"s{number:05}", STATUSES[number % 5]
    if status == "ok":
        return replace(row, name=f"onnx.{name}", recipe=name)
    return comparisons.empty(f"onnx.{name}", status, words)


def shown(text):
    """The names of the rows of the main table, in order."""
    return re.findall(r"^\| `(\S+)` \| [^`]*$", text.partition("<details>")[0], re.MULTILINE)


def left_out(text):
    return [int(number) for number in re.findall(r"… and (\d+) more", text)]


@pytest.mark.parametrize(
    "comparison",
    [
        comparisons.comparison(),
        comparisons.troubled(),
        comparisons.hundred(),
        thorough.hundred(),
        crowd(),
        crowd(1000),
        crowd(words="long words\n" * 500),
    ],
    ids=["default", "troubled", "hundred", "hundredfold", "crowd", "thousand", "long"],
)
def test_markdown_fits_a_comment(comparison):
    text = markdown.markdown_text(comparison)
    assert len(text.splitlines()) < 100
    assert len(text) < COMMENT - 100, "with room for a mark above it"
    assert f"**{decision_phrases.decision_line(comparison)}**" in text, "the verdict is whole"


@pytest.mark.parametrize(
    "comparison",
    [comparisons.comparison(), comparisons.troubled(), thorough.comparison()],
    ids=["default", "troubled", "thorough"],
)
def test_nothing_is_left_out_of_an_ordinary_comparison(comparison):
    text = markdown.markdown_text(comparison)
    assert shown(text) == [row.name for row in comparison.variants]
    assert left_out(text) == []


def test_the_table_has_the_shipped_the_float_and_the_best_rows_in_their_order():
    comparison = comparisons.hundred()
    names = shown(markdown.markdown_text(comparison))
    assert len(names) == comment_limits.ROWS
    assert names[:3] == ["keras.fp32", "onnx.fp32", "onnx.r00"]
    assert names == [row.name for row in comparison.variants if row.name in names]
    for row in comparison.variants[2:]:
        beaten = sum(comment_limits.beats(other, row) for other in comparison.variants[2:])
        assert row.name in names or beaten > 0, "each than which none is both faster and more accurate"


def test_rows_without_figures_and_those_below_a_gate_make_room_for_sound_ones():
    names = shown(markdown.markdown_text(crowd(300)))
    assert {"keras.fp32", "onnx.fp32", "onnx.s00000"} < set(names)
    assert all(int(name[-1]) % 5 == 0 for name in names if name.startswith("onnx.s"))


def test_what_is_left_out_is_counted():
    comparison = crowd()
    text = markdown.markdown_text(comparison)
    assert (len(comparison.warnings), len(comparison.variants), len(comparison.conversion_steps)) == (100, 100, 99)
    assert len(shown(text)) == 24
    # warnings, rows, reasons, gates that fail, rejections, conversion steps
    assert left_out(text) == [95, 76, 136, 13, 92, 91]
    assert "… and 76 more rows in comparison.csv" in text.splitlines()
    assert text.count("**gate fails**") == 19 - 13


def test_row_notes_and_draws_that_are_left_out_are_counted():
    comparison = thorough.hundred()
    text = markdown.markdown_text(comparison)
    warnings = sum(len(row.warnings) for row in comparison.variants)
    assert text.count("of its layers stayed in float") <= comment_limits.ROW_NOTES
    assert f"- … and {warnings - comment_limits.ROW_NOTES} more" in text
    assert left_out(text)[-1] == 98 - comment_limits.FOLDED
