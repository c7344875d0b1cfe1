"""The comparison for people: all of it, on a terminal of eighty columns and in Markdown."""

from dataclasses import replace
from io import StringIO

import pytest
from evidence_makers import ORDER
from rich.console import Console
from variant_makers import change, make_variant

from driver.analysis.facts import Decision, NoResult, ReferenceHasNoAnswers, Rejection
from driver.analysis.results import SCHEMA, Comparison, Gate, Latency, Variant
from driver.report import columns, files, markdown, phrases, terminal
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


def shown(compared, width=80):
    console = Console(file=StringIO(), width=width)
    terminal.show(compared, console)
    return console.file.getvalue().splitlines()


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


def test_a_reason_follows_the_table():
    assert f"torch.uint8 unsupported: {REFUSED}" in shown(comparison())


def test_a_long_reason_is_one_line_and_its_brackets_stay():
    reason = "[red] " + "very " * 30 + "long"
    assert f"onnx.int8 failed: {reason}" in shown(comparison(variants=(empty("onnx.int8", "failed", reason),)))


def test_a_failed_stage_that_makes_no_row_follows_the_table():
    lines = shown(comparison(failures=(Failure("latency.onnx", "failed", "no time"),)))
    assert "latency.onnx failed: no time" in lines


@pytest.mark.parametrize(
    ("gates", "last"),
    [
        ((GOOD,), "The one gate holds."),
        ((), "No gate was checked: there is no row that has metrics, or no gate."),
        ((GOOD, BAD), "gate fails: torch.int8 has drop_pp 2.53, at most 2 is asked for"),
        (
            (replace(GOOD, value=0.84, holds=False),),
            "gate fails: onnx.int8 has accuracy 0.84, at least 0.85 is asked for",
        ),
    ],
)
def test_the_last_line_is_the_verdict(gates, last):
    with_gates = comparison(gates=gates)
    assert shown(with_gates)[-1] == last
    text = markdown.markdown_text(with_gates)
    assert last.replace("gate fails", "- **gate fails**") in text.splitlines()


def test_gates_that_hold_are_no_verdict_beside_one_that_fails():
    with_gates = comparison(gates=(GOOD, BAD))
    assert "hold." not in "\n".join(shown(with_gates)) + markdown.markdown_text(with_gates)


NOTE = (
    "Embedded sample: 2,000 test images instead of 10,000. An accuracy is known to ±1.5 points here, "
    "to ±0.7 on the full set (95%, at 87%)."
)


def test_the_sample_is_told_before_anything_else():
    on_sample = comparison(dataset=SAMPLE)
    assert shown(on_sample)[:2] == [NOTE, "resnet8-cifar10: 2,000 test images of cifar10, against keras.fp32"]
    assert markdown.markdown_text(on_sample).splitlines()[:4] == [f"# {shown(on_sample)[1]}", "", f"> **{NOTE}**", ""]


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
    lines = shown(comparison(variants=rows, gates=(), decision=decision, warnings=()))
    assert [line for line in lines if "skipped" in line or "failed" in line] == [
        "keras.fp32 failed: no model",
        "onnx.0 skipped: no input",
        "8 others skipped: what they need failed, is missing or out of date",
        "Not keras.fp32: failed.",
        "Not 9 others: skipped.",
    ]
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
