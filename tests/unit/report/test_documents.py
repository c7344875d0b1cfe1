"""The comparison as Markdown, CSV and JUnit XML: every row, and nothing that breaks the format."""

import csv
import io
from dataclasses import replace
from xml.etree import ElementTree

import comparisons
import thorough
from variant_makers import accuracy_of, change

from driver.analysis.facts import AnsweringCpu, AnswersOfOtherCpus, StageNote
from driver.analysis.results import Changed, Gate
from driver.report import csv_table, junit, markdown, phrases
from shared.contract import Failure

BROKEN = Gate("onnx.int8", "drop_pp", "max", 0.5, 0.95, False, 0.95)


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def suite(comparison):
    return ElementTree.fromstring(junit.junit_text(comparison))


def test_markdown_says_the_verdict_first_and_folds_the_rest_away():
    comparison = comparisons.comparison()
    lines = markdown.markdown_text(comparison).splitlines()
    first, *others = phrases.decision_sentences(comparison)
    assert f"**{first}**" in lines[:8]
    folded = lines.index("<details><summary>Why not the others</summary>")
    assert lines[folded + 2 : folded + 2 + len(others)] == [f"- {sentence}" for sentence in others]


def test_markdown_has_a_line_for_each_conversion_step():
    comparison = comparisons.comparison()
    text = markdown.markdown_text(comparison)
    assert all(
        f"| `{step.before}` → `{step.after}` | {', '.join(step.tools)} | {step.drift.changed} |" in text
        for step in comparison.conversion_steps
    )


def test_markdown_without_a_verdict_says_so():
    assert "**No verdict.**" in markdown.markdown_text(replace(comparisons.comparison(), decision=None))


def test_csv_has_a_line_for_each_variant_and_nothing_where_there_is_nothing():
    comparison = comparisons.troubled()
    table = rows(csv_table.csv_text(comparison))
    assert [row["name"] for row in table] == [row.name for row in comparison.variants]
    for row, cells in zip(comparison.variants, table, strict=True):
        assert cells["accuracy"] == ("" if accuracy_of(row) is None else str(accuracy_of(row)))
        assert cells["p99_ms"] == ("" if row.latency_ms is None else str(row.latency_ms.p99))


def test_markdown_has_the_remarks_in_sight_and_the_draws_folded_away():
    lines = markdown.markdown_text(thorough.comparison()).splitlines()
    folded = lines.index("<details><summary>Other draws of the calibration set</summary>")
    assert lines.index("- `onnx.int8`: 1.3× slower than onnx.fp32, its float baseline") < lines.index(
        "<details><summary>Why not the others</summary>"
    )
    assert lines[folded + 4] == "| `onnx.int8` | 5 | 87.79 | 0.04 | 87.76…87.86 | -0.58 |"
    assert "| `onnx.u8s8` | 5 | 88.37 | 0.04 | 88.32…88.41 | +0.00 |" in lines


def test_csv_tells_draws_other_cpus_and_remarks():
    rows_by_name = {row["name"]: row for row in rows(csv_table.csv_text(thorough.comparison()))}
    assert rows_by_name["onnx.u8s8"]["emulated"] == "haswell 84.2% of 500; cascadelake 88.0% of 500"
    assert (rows_by_name["onnx.int8"]["draws"], rows_by_name["onnx.int8"]["draws_mean"][:6]) == ("5", "0.8779")
    assert float(rows_by_name["onnx.int8"]["draws_sd"]) > 0
    assert rows_by_name["torch.int8"]["in_float"] == "; ".join(thorough.EXCLUDED)
    assert rows_by_name["torch.x86"]["warnings_and_notes"] == "can't run on haswell: needs AVX512"
    empty = ("draws", "draws_mean", "emulated", "in_float", "warnings_and_notes")
    assert {rows_by_name["keras.fp32"][name] for name in empty} == {""}


def test_csv_of_no_variants_is_a_heading():
    assert csv_table.csv_text(replace(comparisons.comparison(), variants=())) == "name\n"


def test_changed_images_are_a_line_each():
    changed = {"onnx.int8": (Changed(3, 5, 5, 4, 0.25, 0.5), Changed(9, 1, 2, 1, 0.125, 0.25)), "torch.int8": ()}
    assert csv_table.changed_text(changed) == (
        "variant,index,label,reference_answer,variant_answer,reference_margin,variant_margin\n"
        "onnx.int8,3,5,5,4,0.25,0.5\n"
        "onnx.int8,9,1,2,1,0.125,0.25\n"
    )


def test_junit_has_a_case_for_each_gate():
    comparison = comparisons.comparison()
    junit_suite = suite(comparison)
    named = [
        (case.get("classname"), case.get("name"))
        for case in junit_suite.iter("testcase")
        if case.get("name") != "result"
    ]
    assert named == [(gate.variant, f"{gate.metric} {gate.bound}") for gate in comparison.gates]
    assert (junit_suite.get("failures"), junit_suite.get("errors")) == ("0", "0")


def test_junit_has_the_decision_as_properties():
    properties = {each.get("name"): each.get("value") for each in suite(comparisons.comparison()).iter("property")}
    assert properties == {"outcome": "ship", "variant": "onnx.u8s8"}
    assert not list(suite(comparisons.nothing()).iter("property")), "where nothing was decided"


def test_junit_tells_a_gate_that_fails_with_its_confidence():
    junit_suite = suite(replace(comparisons.comparison(), gates=(BROKEN,)))
    (failure,) = junit_suite.iter("failure")
    assert failure.get("message") == "onnx.int8 has drop_pp 0.95 with 95% confidence, at most 0.5 is asked for"
    assert junit_suite.get("failures") == "1"


def test_junit_tells_what_has_no_result():
    failures = (Failure("latency.onnx", "failed", 'out of <memory> & "time"'),)
    junit_suite = suite(replace(comparisons.comparison(), failures=failures))
    (error,) = junit_suite.iter("error")
    assert error.get("message") == 'failed: out of <memory> & "time"'
    (skipped,) = junit_suite.iter("skipped")
    assert skipped.get("message", "").startswith("unsupported: ")
    assert (junit_suite.get("errors"), junit_suite.get("skipped")) == ("1", "1")


def test_csv_has_no_formula_of_a_foreign_text_and_keeps_numbers_as_they_are():
    first, *others = comparisons.comparison().variants
    first = replace(
        first, conversion_notes=(StageNote("=HYPERLINK(1)"), StageNote("b")), reason="@SUM(1)", in_float=("-layer",)
    )
    first = change(first, delta_pp=-0.5, paired=None)
    (cells, *_) = rows(csv_table.csv_text(comparisons.comparison(variants=(first, *others))))
    assert (cells["reason"], cells["in_float"]) == ("'@SUM(1)", "'-layer")
    assert cells["warnings_and_notes"] == "'=HYPERLINK(1); b"
    assert cells["delta_pp"] == "-0.5"


def test_markdown_shows_foreign_texts_as_they_stand():
    comparison = comparisons.hostile()
    text = markdown.markdown_text(
        replace(
            comparison, warnings=(AnswersOfOtherCpus((AnsweringCpu("a ![x](http://example.org) & b | c", ("avx2",)),)),)
        )
    )
    assert not [tag for tag in ("<script", "<img") if tag in text]
    assert "&lt;script>" in text
    assert "a ![x]\\(http://example.org) &amp; b | c (avx2)" in text
