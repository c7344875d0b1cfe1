"""The comparison as Markdown, CSV and JUnit XML: every row, and nothing that breaks the format."""

import csv
import io
from dataclasses import replace
from xml.etree import ElementTree

import comparisons

from driver import tables
from driver.results import Changed, Gate, Verdict
from shared.contract import Failure

BROKEN = Gate("onnx.int8", "drop_pp", "max", 0.5, 0.95, False, 0.95)


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def suite(comparison):
    return ElementTree.fromstring(tables.junit(comparison))


def test_markdown_says_the_verdict_first_and_folds_the_rest_away():
    made = comparisons.comparison()
    lines = tables.markdown(made).splitlines()
    first, *others = made.verdict.sentences
    assert f"**{first}**" in lines[:8]
    folded = lines.index("<details><summary>Why not the others</summary>")
    assert lines[folded + 2 : folded + 2 + len(others)] == [f"- {sentence}" for sentence in others]


def test_markdown_has_a_line_for_each_leg():
    made = comparisons.comparison()
    text = tables.markdown(made)
    assert all(
        f"| `{leg.before}` → `{leg.after}` | {', '.join(leg.tools)} | {leg.drift.changed} |" in text
        for leg in made.legs
    )


def test_markdown_without_a_verdict_says_so():
    assert "**No verdict.**" in tables.markdown(replace(comparisons.comparison(), verdict=Verdict("", ())))


def test_csv_has_a_line_for_each_variant_and_nothing_where_there_is_nothing():
    made = comparisons.troubled()
    found = rows(tables.csv_text(made))
    assert [row["name"] for row in found] == [row.name for row in made.variants]
    for row, cells in zip(made.variants, found, strict=True):
        assert cells["accuracy"] == ("" if row.accuracy is None else str(row.accuracy))
        assert cells["p99_ms"] == ("" if row.latency_ms is None else str(row.latency_ms.p99))


def test_csv_of_no_variants_is_a_heading():
    assert tables.csv_text(replace(comparisons.comparison(), variants=())) == "name\n"


def test_changed_images_are_a_line_each():
    changed = {"onnx.int8": (Changed(3, 5, 5, 4, 0.25, 0.5), Changed(9, 1, 2, 1, 0.125, 0.25)), "torch.int8": ()}
    assert tables.changed_text(changed) == (
        "variant,index,label,reference_answer,variant_answer,reference_margin,variant_margin\n"
        "onnx.int8,3,5,5,4,0.25,0.5\n"
        "onnx.int8,9,1,2,1,0.125,0.25\n"
    )


def test_junit_has_a_case_for_each_gate():
    made = comparisons.comparison()
    found = suite(made)
    named = [(case.get("classname"), case.get("name")) for case in found if case.get("name") != "result"]
    assert named == [(gate.variant, f"{gate.figure} {gate.bound}") for gate in made.gates]
    assert (found.get("failures"), found.get("errors")) == ("0", "0")


def test_junit_tells_a_gate_that_fails_with_its_confidence():
    found = suite(replace(comparisons.comparison(), gates=(BROKEN,)))
    (failure,) = found.iter("failure")
    assert failure.get("message") == "onnx.int8 has drop_pp 0.95 with 95% confidence, at most 0.5 is asked for"
    assert found.get("failures") == "1"


def test_junit_tells_what_has_no_result():
    failures = (Failure("latency.onnx", "failed", 'out of <memory> & "time"'),)
    found = suite(replace(comparisons.comparison(), failures=failures))
    (error,) = found.iter("error")
    assert error.get("message") == 'failed: out of <memory> & "time"'
    (skipped,) = found.iter("skipped")
    assert skipped.get("message", "").startswith("unsupported: ")
    assert (found.get("errors"), found.get("skipped")) == ("1", "1")
