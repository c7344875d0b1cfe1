"""The comparison for people: all of it, on a terminal of eighty columns and in Markdown."""

import re
from dataclasses import replace
from io import StringIO

import pytest
from evidence_makers import ORDER
from rich.cells import cell_len
from rich.console import Console
from variant_makers import change, make_variant

from driver.analysis.facts import (
    Decision,
    LookedBefore,
    NoResult,
    NotShown,
    ReferenceHasNoAnswers,
    Rejection,
    ShownGoodEnough,
)
from driver.analysis.results import SCHEMA, Assessment, Baseline, Comparison, Gate, Latency, Variant
from driver.report import columns, decision_phrases, files, markdown, phrases, terminal
from shared.contract import Failure

FULL = {"name": "cifar10", "test_images": 10_000, "sample": False}
SAMPLE = {"name": "cifar10", "test_images": 2_000, "sample": True}
MACHINE = {"cpu": "Some CPU", "int8_instructions": ["avx2", "avx512_vnni"], "cores": 2}
GOOD = Gate("onnx.int8", "accuracy", "min", 0.85, 0.8777, True)
BAD = Gate("torch.int8", "drop_pp", "max", 2.0, 2.53, False)
REFUSED = "Weight observer must have a dtype of qint8, got torch.quint8"


def variant(name, **changes):
    """A row whose every figure takes as much room as it may in practice."""
    image, _, recipe = name.partition(".")
    figures = {"accuracy": 0.8777, "delta_pp": -10.55, "agreement": 0.9615, "max_abs_diff": 5.7e-1}
    row = make_variant(name, image, recipe, "ok", **figures, size_bytes=12_345_678)
    return replace(row, latency_ms=Latency(123.456, 234.567, 345.678, 400), images_per_second=123_456.0, **changes)


def empty(name, status, reason):
    image, _, recipe = name.partition(".")
    return Variant(name, image, recipe, status, reason)


def comparison(**changes):
    rows = tuple(variant(name) for name in ORDER[:-1])
    refused = empty("torch.uint8", "unsupported", REFUSED)
    versions = {"onnx": {"numpy": "2.4.6", "onnxruntime": "1.32.0"}, "torch": {"torch": "2.13.0+cpu"}}
    default = Comparison(SCHEMA, "resnet8-cifar10", "keras.fp32", FULL, (*rows, refused), MACHINE, versions, (GOOD,))
    return replace(default, **changes)


def shown(compared, width=80, verbose=False):
    console = Console(file=StringIO(), width=width)
    terminal.show(compared, console, verbose=verbose)
    return console.file.getvalue().splitlines()


def said(compared, width=80, verbose=False):
    """The paragraphs, each as one line, without the space before those that go on."""
    return re.sub(r"\n  (?=\S)", " ", "\n".join(shown(compared, width, verbose))).splitlines()


def table(lines):
    """The cells of each row of the Markdown table in `lines`."""
    rows = [line for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in row.replace("\\|", "¦").strip("|").split("|")] for row in rows]


CELLS = ["87.77", "-10.55", "96.15", "5.7e-01", "12,346", "123.456", "234.567", "123,456"]


def test_nothing_is_cut_at_eighty_columns():
    lines = shown(comparison())
    assert "…" not in "\n".join(lines)
    for name in ORDER[:-1]:
        (line,) = [line for line in lines if line.startswith(name + " ")]
        assert line.split() == [name, *CELLS]
        assert len(line) <= 80
    (line,) = [line for line in lines if line.split()[:2] == ["torch.uint8", "unsupported"]]
    assert line.split() == ["torch.uint8", "unsupported", *["–"] * 7]


def test_the_head_of_the_terminal_text():
    lines = shown(comparison())
    assert lines[0] == "resnet8-cifar10: 10,000 test images of cifar10, against keras.fp32"
    words = " ".join(lines[1:3]).split()
    assert sorted(words) == sorted(" ".join(columns.headings(comparison())).split())


def test_why_a_row_has_no_metrics_is_on_the_page_and_told_where_all_is():
    line = f"torch.uint8 unsupported: {REFUSED}"
    assert line in said(comparison(), verbose=True)
    assert REFUSED not in "\n".join(said(comparison()))


@pytest.mark.parametrize("verbose", [False, True])
def test_a_failure_is_a_reason_and_its_brackets_stay(verbose):
    reason = "[red] " + "very " * 30 + "long"
    rows = (variant("keras.fp32"), empty("onnx.int8", "failed", reason))
    lines = said(comparison(variants=rows), verbose=verbose)
    assert [line.removeprefix("- ") for line in lines].count(f"onnx.int8 failed: {reason}") == 1


def test_the_words_of_a_failure_are_cut_where_not_all_is_asked_for():
    rows = (variant("keras.fp32"), empty("onnx.int8", "failed", "word\n" * 1000))
    (line,) = [line for line in said(comparison(variants=rows)) if line.startswith("- onnx.int8 failed: word word ")]
    assert line.endswith("…")
    assert len(line) <= terminal.LONGEST_REASON + len("- onnx.int8 failed: ")


def test_a_failed_stage_that_makes_no_row_is_a_reason():
    failed = comparison(failures=(Failure("latency.onnx", "failed", "no time"),))
    assert "- latency.onnx failed: no time" in shown(failed)


@pytest.mark.parametrize("gates", [(GOOD,), (), (GOOD, BAD), (replace(GOOD, value=0.84, holds=False),)])
def test_the_last_line_is_the_verdict(gates):
    with_gates = comparison(gates=gates)
    assert shown(with_gates)[-1] == phrases.gates_summary(with_gates)
    assert phrases.gates_summary(with_gates) in markdown.markdown_text(with_gates).splitlines()


def test_a_gate_that_fails_is_the_first_reason():
    decision = Decision("ship", "onnx.int8", (ShownGoodEnough((BOUND,)),), (), (LookedBefore(3),))
    failing = comparison(gates=(GOOD, BAD), decision=decision)
    assert len(decision_phrases.decision_reasons(failing)) == 1
    reasons = [line for line in said(failing) if line.startswith("- ")]
    assert [
        f"- gate fails: {phrases.gate_sentence(BAD)}",
        *(f"- {each}" for each in decision_phrases.decision_reasons(failing)),
    ] == reasons
    assert f"- **gate fails**: {phrases.gate_sentence(BAD)}" in markdown.markdown_text(failing).splitlines()


@pytest.mark.parametrize(("failing", "more"), [(1, 0), (4, 0), (5, 1), (30, 26)])
def test_there_are_four_reasons_at_most_and_the_others_are_counted(failing, more):
    gates = tuple(replace(BAD, variant=f"onnx.r{number:02}") for number in range(failing))
    many = comparison(gates=gates)
    lines = said(many)
    assert sum(line.startswith("- gate fails: onnx.r") for line in lines) == failing - more
    assert (f"… and {more} more: --verbose or the page" in lines) == bool(more)
    assert lines[-1] == phrases.gates_summary(many)
    everything = said(many, verbose=True)
    assert sum(line.startswith("- gate fails: onnx.r") for line in everything) == failing
    assert "more: --verbose" not in "\n".join(everything)


def test_what_is_faster_and_not_shown_is_a_reason_and_the_others_only_where_all_is_asked_for():
    unsure = NotShown(replace(BOUND, outcome="not_shown", high=0.0093, needed=13_456))
    faster, failed = Rejection("onnx.u8s8", (unsure,)), Rejection("torch.uint8", (NoResult("unsupported"),))
    decision = Decision("ship", "onnx.int8", (ShownGoodEnough((BOUND,)),), (failed, faster), (LookedBefore(3),))
    rows = [variant(name) for name in ("keras.fp32", "onnx.int8", "onnx.u8s8")]
    rows[2] = replace(rows[2], latency_ms=Latency(1.0, 2.0, 3.0, 400))
    decided = comparison(variants=(*rows, empty("torch.uint8", "unsupported", REFUSED)), decision=decision)
    reasons = [f"- {each}" for each in decision_phrases.decision_reasons(decided)]
    others = [f"- {each}" for each in decision_phrases.other_sentences(decided)]
    assert (len(reasons), len(others)) == (2, 1)
    assert [line for line in said(decided) if line.startswith("- ")] == reasons
    assert [line for line in said(decided, verbose=True) if line.startswith("- ")] == reasons + others


def test_what_is_worse_than_another_run_is_told_before_the_gates():
    worse = Gate("onnx.int8", "p50_ms", "max", 0.33, 0.4, False, before=0.3)
    against = comparison(baseline=Baseline("yesterday", ("p50_ms=10%",), (worse,)))
    lines = said(against)
    assert f"- worse than yesterday: {phrases.gate_sentence(worse)}" in lines
    assert lines[-2:] == [phrases.baseline_summary(against.baseline), phrases.gates_summary(against)]


def test_a_decision_that_is_required_and_missing_is_told():
    undecided = comparison(require="decision")
    assert decision_phrases.required_decision(undecided) in said(undecided)


def test_gates_that_hold_are_no_verdict_beside_one_that_fails():
    with_gates = comparison(gates=(GOOD, BAD))
    assert "hold." not in "\n".join(shown(with_gates)) + markdown.markdown_text(with_gates)


NOTE = (
    "Embedded sample: 2,000 test images instead of 10,000. An accuracy is known to ±1.5 points here, "
    "to ±0.7 on the full set (95%, at 87%)."
)


def test_the_sample_is_told_before_anything_else():
    on_sample = comparison(dataset=SAMPLE)
    assert said(on_sample)[:2] == [NOTE, "resnet8-cifar10: 2,000 test images of cifar10, against keras.fp32"]
    assert markdown.markdown_text(on_sample).splitlines()[:4] == [f"# {said(on_sample)[1]}", "", f"> **{NOTE}**", ""]


def test_the_full_set_needs_no_note():
    assert "sample" not in "\n".join(shown(comparison())) + markdown.markdown_text(comparison())


@pytest.mark.parametrize(("images", "points"), [(10_000, 0.659), (2_000, 1.474), (200, 4.661)])
def test_half_the_interval_of_an_accuracy(images, points):
    """1.96 standard errors of a share of 87%."""
    assert phrases.half_width(images) == pytest.approx(points, abs=0.001)


def test_the_markdown_table_has_every_row():
    head, rule, *rows = table(markdown.markdown_text(comparison()).splitlines())
    assert head == [heading.replace("|", "¦") for heading in columns.headings(comparison())]
    assert rule == ["---", *["---:"] * 8]
    assert [row[0] for row in rows] == [f"`{name}`" for name in ORDER]
    assert rows[0][1:] == CELLS
    assert rows[-1][1:] == ["unsupported", *["–"] * 7]


def test_a_pipe_in_a_reason_does_not_break_the_markdown_table():
    rows = (variant("keras.fp32"), empty("onnx.int8", "failed", "a | b || c"), variant("torch.fp32"))
    lines = markdown.markdown_text(comparison(variants=rows)).splitlines()
    assert {len(row) for row in table(lines)} == {9}
    assert len(table(lines)) == 5
    assert "- `onnx.int8` failed: a | b || c" in lines


def test_markdown_tells_reasons_failures_and_where_the_figures_come_from():
    with_failure = comparison(failures=(Failure("latency.onnx", "skipped", "no time"),))
    lines = markdown.markdown_text(with_failure).splitlines()
    assert f"- `torch.uint8` unsupported: {REFUSED}" in lines
    assert "- `latency.onnx` skipped: no time" in lines
    assert lines[-3:] == [
        "Host: Some CPU, 2 cores, avx2, avx512_vnni. One thread; p50 and p90 at batch 1.  ",
        "onnx: numpy 2.4.6, onnxruntime 1.32.0.  ",
        "torch: torch 2.13.0+cpu.",
    ]


def test_of_many_that_were_skipped_the_first_is_told():
    rows = (
        variant("keras.fp32", status="failed", reason="no model"),
        *(empty(f"onnx.{n}", "skipped", "no input") for n in range(9)),
    )
    decision = Decision(
        "ship_nothing",
        "",
        (ReferenceHasNoAnswers(),),
        tuple(Rejection(row.name, (NoResult(row.status),)) for row in rows),
    )
    failures = [
        "keras.fp32 failed: no model",
        "onnx.0 skipped: no input",
        "8 others skipped: what they need failed, is missing or out of date",
    ]
    compared = comparison(variants=rows, gates=(), decision=decision, warnings=())
    lines = shown(compared)
    assert [line for line in lines if "skipped" in line or "failed" in line] == [f"- {line}" for line in failures]
    others = ["- Not keras.fp32: failed.", "- Not 9 others: skipped."]
    everything = shown(compared, verbose=True)
    assert [line for line in everything if "skipped" in line or "failed" in line] == [*failures, *others]
    assert not [line for line in lines if line.startswith("variant")], (
        "there is no table without a row that has metrics"
    )


def test_gates_that_hold_do_not_hide_rows_without_a_result():
    rows = (variant("keras.fp32"), empty("onnx.int8", "failed", "x"), empty("onnx.uint8", "skipped", "x"))
    assert shown(comparison(variants=rows, gates=(GOOD, GOOD)))[-1] == "All 2 gates hold, and 2 rows have no result."


def test_a_host_without_int8_instructions_says_so():
    text = markdown.markdown_text(comparison(host={**MACHINE, "int8_instructions": []}))
    assert "2 cores, no int8 instructions." in text


def test_a_row_at_chance_shows_its_status_in_place_of_its_accuracy():
    row = variant("onnx.int8", status="failed", reason="answers no better than chance")
    assert columns.cells(comparison(), row) == ["failed", *CELLS[1:]]


def test_figures_that_are_not_there_are_dashes():
    row = replace(change(variant("onnx.int8"), delta_pp=None, paired=None, latency_ms=None), drift=None)
    assert columns.cells(comparison(), row) == ["87.77", "–", "–", "–", "12,346", "–", "–", "123,456"]


def test_nought_is_a_figure():
    row = change(variant("onnx.int8"), accuracy=0.0, delta_pp=0.0, max_abs_diff=0.0)
    assert columns.cells(comparison(), row)[:4] == ["0.00", "+0.00", "96.15", "0.0e+00"]


def test_the_texts_are_those_of_three_files():
    default = comparison()
    texts = files.texts(default)
    assert sorted(texts) == ["comparison.csv", "comparison.json", "comparison.md"]
    assert texts["comparison.md"] == markdown.markdown_text(default)


WIDTHS = (60, 61, 67, 79, 80, 81, 99, 100, 120, 200)
BOUND = Assessment("here", "good_enough", "accuracy", "loss", 0.0023, -0.0001, 0.0049, 0.0088, 10_000, 9)
LONG = "per-channel-percentile-with-a-very-long-name"


def crowded(count=40):
    """Rows with all figures and bounds, and names of more than forty characters."""
    rows = [replace(variant(f"onnx.{LONG}-{number:02}"), assessments=(BOUND,)) for number in range(count)]
    gates = tuple(replace(BAD, variant=row.name) for row in rows[:9])
    return comparison(variants=(variant("keras.fp32"), *rows), gates=gates)


@pytest.mark.parametrize("compared", [comparison(), crowded(), comparison(dataset=SAMPLE, gates=(BAD,))])
@pytest.mark.parametrize("verbose", [False, True])
def test_no_line_is_wider_than_the_terminal_and_no_cell_is_cut(compared, verbose):
    cells = {cell for row in compared.variants for cell in columns.cells(compared, row)}
    for width in WIDTHS:
        lines = shown(compared, width, verbose)
        assert max(map(cell_len, lines)) <= width
        rule = next(number for number, line in enumerate(lines) if set(line) == {"─"})
        for line, row in zip(lines[rule + 1 :], compared.variants, strict=False):
            name, *others = re.split(r" (?!✓)+", re.sub(" +", " ", line))
            assert set(others) <= cells, line
            assert "…" in name or name == row.name


def test_columns_go_by_their_importance():
    rows = (variant("keras.fp32"), replace(variant("onnx.int8"), assessments=(BOUND,)))
    compared = comparison(variants=rows)
    headings = columns.headings(compared)
    ordered = [headings[place] for place in columns.order_columns(compared)]
    assert ordered == [
        "top-1 %", "Δ pp", "loss\u00a0≤ pp", "p50 ms", "size KB", "agree %", "images /s", "p90 ms", "max |Δp|",
    ]  # fmt: skip
    fewer = [len(terminal.tabulate_variants(compared, width).columns) for width in (30, 60, 70, 100)]
    assert fewer == sorted(set(fewer))
    assert fewer[-1] == len(headings)


def test_names_are_whole_where_two_columns_fit_beside_them():
    narrow, wide = (
        "\n".join(shown(crowded(), width)[: len(crowded().variants)]) for width in (60, len(f"onnx.{LONG}-00") + 15)
    )
    assert f"onnx.{LONG}-07 " not in narrow
    assert f"onnx.{LONG}-07 " in wide


@pytest.mark.parametrize(("outcome", "sign"), columns.SIGNS.items())
def test_what_is_shown_of_a_row_is_a_sign_with_a_legend(outcome, sign):
    rows = (variant("keras.fp32"), replace(variant("onnx.int8"), assessments=(replace(BOUND, outcome=outcome),)))
    compared = comparison(variants=rows)
    assert columns.cells(compared, rows[1])[2] == f"0.49 {sign}"
    assert columns.cells(compared, rows[0])[2] == "–"
    text = "\n".join(said(compared, 200))
    assert phrases.legend(compared) in text
    assert [other in text for other in columns.SIGNS.values()] == [other == sign for other in columns.SIGNS.values()]


def test_there_is_no_column_for_bounds_where_there_are_none():
    assert not any(heading.startswith("loss") for heading in columns.headings(comparison()))
    assert phrases.legend(comparison()) == ""
