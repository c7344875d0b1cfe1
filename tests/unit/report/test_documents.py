"""The comparison as Markdown, CSV and JUnit XML: every row, and nothing that breaks the format."""

import csv
import io
import re
from dataclasses import replace
from xml.etree import ElementTree

import comparisons
import pytest
import thorough
from variant_makers import accuracy_of, change

from driver.analysis.facts import AnsweringCpu, AnswersOfOtherCpus, Assessment, LookedBefore, StageNote
from driver.analysis.results import Baseline, Changed, Draws, Gate, Metric, UncheckedGate
from driver.report import csv_table, decision_phrases, junit, markdown, phrases

BROKEN = Gate("onnx.int8", "drop_pp", "max", 0.5, 0.95, False, 0.95)


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def suite(comparison):
    return ElementTree.fromstring(junit.junit_text(comparison))


def test_markdown_says_the_verdict_first_and_folds_the_rest_away():
    comparison = comparisons.comparison()
    lines = markdown.markdown_text(comparison).splitlines()
    first, *others = decision_phrases.decision_sentences(comparison)
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
        if case.get("name") not in ("result", "decision")
    ]
    assert named == [(gate.variant, f"{gate.metric} {gate.bound}") for gate in comparison.gates]
    assert (junit_suite.get("failures"), junit_suite.get("errors")) == ("0", "0")


def test_junit_has_the_decision_as_properties_and_as_a_case():
    junit_suite = suite(comparisons.comparison())
    decided = {"outcome": "ship", "variant": "onnx.u8s8"}
    assert {each.get("name"): each.get("value") for each in junit_suite.iter("property")} == decided
    assert not list(suite(comparisons.nothing()).iter("property")), "where nothing was decided"
    case = find_case(junit_suite, "decision")
    assert (outcome_of(case), output_of(case)[0]) == (
        ("", ""),
        decision_phrases.decision_line(comparisons.comparison()),
    )


def find_case(junit_suite, name, variant=None):
    cases = [case for case in junit_suite.iter("testcase") if case.get("name") == name]
    (case,) = [case for case in cases if variant in (None, case.get("classname"))]
    return case


def output_of(case):
    """The lines that the case prints."""
    return case.findtext("system-out", "").splitlines()


def outcome_of(case):
    """The kind of what is wrong, and its message."""
    (found,) = [each for each in case if each.tag in ("failure", "error", "skipped")] or [None]
    return (found.tag, found.get("message")) if found is not None else ("", "")


def test_junit_has_value_limit_and_unit_of_each_gate_held_or_not():
    held = Gate("onnx.int8", "p50_ms", "max", 0.5, 0.123456, True)
    lost = Gate("onnx.int8", "class_drop_pp", "max", 2.0, 4.5, False, label=5)
    junit_suite = suite(replace(comparisons.comparison(), gates=(BROKEN, held, lost)))
    drop = ["value: 0.95 pp", "max: 0.5 pp", "confidence: 0.95"]
    assert output_of(find_case(junit_suite, "drop_pp max")) == drop
    assert output_of(find_case(junit_suite, "p50_ms max")) == ["value: 0.123456 ms", "max: 0.5 ms"]
    dogs = ["value: 4.5 pp", "max: 2 pp", f"class: {comparisons.CLASSES[5]}"]
    assert output_of(find_case(junit_suite, "class_drop_pp max")) == dogs
    assert [outcome_of(case)[0] for case in junit_suite.iter("testcase")][1:4] == ["failure", "", "failure"]


def test_junit_has_a_share_and_its_limit_in_percent():
    case = find_case(suite(comparisons.comparison()), "accuracy min", "onnx.u8s8")
    assert output_of(case) == ["value: 88.32 %", "min: 85 %"]


def test_junit_tells_what_was_not_checked():
    unchecked = UncheckedGate("onnx.int8", "p50_ms")
    case = find_case(suite(replace(comparisons.comparison(), unchecked=(unchecked,))), "p50_ms")
    assert outcome_of(case) == ("error", f"not checked: {phrases.unchecked_sentence(unchecked)}")


def test_junit_has_the_checks_against_another_run():
    slower = Gate("onnx.int8", "p50_ms", "max", 0.33, 0.4, False, before=0.3)
    unchecked = (UncheckedGate("onnx.uint8", "drop_pp"),)
    against = Baseline("yesterday", ("p50_ms=10%",), (slower,), unchecked, lost=("onnx.u8s8",))
    junit_suite = suite(replace(comparisons.comparison(), baseline=against))
    case = find_case(junit_suite, "p50_ms against yesterday")
    assert output_of(case) == ["value: 0.4 ms", "max: 0.33 ms", "before: 0.3 ms"]
    assert outcome_of(case) == ("failure", phrases.gate_sentence(slower))
    assert outcome_of(find_case(junit_suite, "drop_pp against yesterday"))[0] == "error"
    assert outcome_of(find_case(junit_suite, "result against yesterday", "onnx.u8s8"))[0] == "failure"
    assert (junit_suite.get("failures"), junit_suite.get("errors")) == ("2", "1")


def test_junit_tells_that_a_required_decision_is_not_made():
    undecided = replace(comparisons.troubled(), require="decision")
    case = find_case(suite(undecided), "decision")
    assert outcome_of(case) == ("failure", decision_phrases.required_decision(undecided))
    assert outcome_of(find_case(suite(replace(undecided, require="nothing")), "decision")) == ("", "")
    assert outcome_of(find_case(suite(comparisons.nothing()), "decision"))[0] == "skipped"


@pytest.mark.parametrize(
    "make", [comparisons.comparison, comparisons.troubled, comparisons.nothing, comparisons.hostile]
)
def test_junit_has_what_the_schema_of_jenkins_allows_and_asks_for(make):
    """junit-10.xsd of its xUnit plugin."""
    junit_suite = suite(make())
    assert set(junit_suite.keys()) == {"name", "tests", "failures", "errors", "skipped", "time"}
    assert {each.tag for each in junit_suite} <= {"properties", "testcase"}
    assert all(set(each.keys()) == {"name", "value"} for each in junit_suite.iter("property"))
    for case in junit_suite.iter("testcase"):
        assert set(case.keys()) == {"classname", "name", "time"}
        assert {each.tag for each in case} <= {"skipped", "error", "failure", "system-out"}
        assert all(set(each.keys()) <= {"message", "type"} and len(each) == 0 for each in case)
    times = [each.get("time") for each in (junit_suite, *junit_suite.iter("testcase"))]
    assert all(re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?", time) for time in times)


SPARED = replace(BROKEN, variant="onnx.u8s8")


def test_junit_skips_what_is_not_held():
    case = find_case(suite(replace(comparisons.comparison(), not_held=(SPARED,))), "drop_pp max of gates.quantized")
    assert (case.get("classname"), outcome_of(case)) == (
        "onnx.u8s8",
        ("skipped", phrases.not_held_sentence(SPARED)),
    )
    assert output_of(case)[0] == "value: 0.95 pp"


def test_markdown_tells_what_is_not_held_what_is_worse_than_before_and_what_is_required():
    slower = Gate("onnx.int8", "p50_ms", "max", 0.33, 0.4, False, before=0.3)
    against = Baseline("yester<day", ("p50_ms=10%",), (slower,))
    undecided = replace(comparisons.troubled(), not_held=(SPARED,), baseline=against, require="decision")
    lines = markdown.markdown_text(undecided).splitlines()
    told = [
        f"- **{phrases.not_held(undecided)}**",
        phrases.gates_summary(undecided),
        phrases.baseline_summary(against).replace("<", "&lt;"),
        f"- **worse than yester&lt;day**: {phrases.gate_sentence(slower)}",
        f"**{decision_phrases.required_decision(undecided)}**",
    ]
    assert [line for line in lines if line in told] == told, "in this order"


def test_markdown_of_a_regression_has_its_metric_in_steps_and_draws():
    def measure(value, delta):
        return Metric("mae", value, None, delta, None, None, "lower")

    default = comparisons.comparison()
    drawn = Draws((0.41, 0.43), 0.42, 0.014, 0.0123)
    rows = [replace(row, metrics=(measure(0.41, 0.01),), paired=None, draws=drawn) for row in default.variants[3:5]]
    steps = [replace(step, paired=None, metric=measure(0.42, 0.0123)) for step in default.conversion_steps[2:4]]
    dataset = {**default.dataset, "task": "regression"}
    lines = markdown.markdown_text(
        replace(default, dataset=dataset, variants=tuple(rows), conversion_steps=tuple(steps), decision=None)
    ).splitlines()
    assert "| step | by | Δ MAE | SQNR dB | cosine |" in lines
    assert "| `onnx.fp32` → `onnx.int8` | onnxruntime 1.32.0 | +0.0123 | 20.5 | 0.99120 |" in lines
    assert "| variant | draws | mean MAE | sd | range | Δ MAE |" in lines
    assert "| `onnx.int8` | 2 | 0.4200 | 0.01400 | 0.4100…0.4300 | +0.0123 |" in lines


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


def test_markdown_has_at_most_four_reasons_below_the_decision():
    caveats = tuple(LookedBefore(number) for number in range(2, 8))
    default = comparisons.comparison()
    decided = replace(default, decision=replace(default.decision, caveats=caveats))
    lines = markdown.markdown_text(decided).splitlines()
    place = lines.index(f"**{decision_phrases.decision_line(decided)}**")
    reasons = decision_phrases.decision_reasons(decided)
    assert lines[place + 1 : place + 7] == ["", *(f"- {reason}" for reason in reasons[:4]), "- … and 2 more"]


def test_markdown_has_the_bound_of_the_loss_and_what_its_signs_mean():
    bound = Assessment("here", "not_shown", "accuracy", "loss", 0.006, 0.002, 0.0095, 0.0088, 10_000, 9)
    rows = comparisons.comparison().variants
    lines = markdown.markdown_text(
        comparisons.comparison(variants=(*rows[:3], replace(rows[3], assessments=(bound,)), *rows[4:]))
    ).splitlines()
    (row,) = [line for line in lines if line.startswith("| `onnx.int8` | 87.77 |")]
    assert row.split(" | ")[3] == "0.95 ?"
    assert any("? not shown" in line for line in lines)
