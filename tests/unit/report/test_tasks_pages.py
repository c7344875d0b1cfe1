"""The page, the terminal and `diff` of every task: what a task has is there, and nothing of another one."""

import re
from dataclasses import replace
from functools import cache
from html import unescape
from io import StringIO

import comparisons
import numpy as np
import pytest
import task_makers
from evidence_makers import Volume, default_experiment, evaluate
from page_reader import Reader, cells, section
from rich.console import Console
from task_makers import CASES, TaskVolume, compared

from driver.analysis import numbers
from driver.analysis.artifacts import Evidence
from driver.analysis.evaluation import Evaluation, Truth
from driver.analysis.results import Changed, Confused, Draws, Emulated, Interval, Point
from driver.comparison import compare, page_data, run_diff
from driver.comparison.run_diff import Run
from driver.decision import ranking
from driver.experiment.model import Gates
from driver.report import comment_limits, diff, terminal
from driver.report.page import page, thumbnails
from driver.report.plots import pareto
from shared.artifacts.freshness import Freshness
from shared.data.samples import About

pytestmark = pytest.mark.usefixtures("volumes")
HEADLINES = {
    "segmentation": "mIoU",
    "tagging": "token accuracy",
    "forecasting": "MAE",
    "regression": "MAE",
    "multilabel": "mAP",
    "detection": "mAP",
    "reconstruction": "ROC AUC",
    "fidelity": "SQNR",
    "embedding": "recall@1",
}
CLASSES = ("classes", "pairs", "confidence", "changed")


def raw(volume):
    return page_data.collect_page_data(Evaluation(Evidence(Freshness(volume.plan)), "keras.fp32"), "name: own")


@cache
def make_page_data(task):
    return raw(TaskVolume(CASES[task]()).whole())


@cache
def drawn(task):
    """The page, whose plots are drawn of one task alone: drawing takes most of the time of a page."""
    with pytest.MonkeyPatch.context() as patch:
        if task != "regression":
            patch.setattr("driver.report.plots.drawing.draw", lambda name, *_: f'<svg data-plot="{name}"></svg>')
        return page.page_html(compared(task), make_page_data(task))


@pytest.fixture(params=CASES)
def whole(request):
    return request.param, drawn(request.param)


def test_a_page_has_the_sections_of_its_task_alone(whole):
    task, text = whole
    reader = Reader(text)
    section_ids = [attributes["id"] for attributes in reader.of("section")]
    assert "metrics" in section_ids
    assert ("outputs" in section_ids) is (task in ("regression", "detection")), "of a model that has several"
    assert not set(CLASSES) & set(section_ids)
    assert [a["href"] for a in reader.of("a")][1 : 1 + len(section_ids)] == [f"#{name}" for name in section_ids]
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_page_says_nothing_of_classes_or_of_images(whole):
    task, text = whole
    preferences = re.search('<dl class="choices">.*?</dl>', text, re.DOTALL)[0]
    assert "<dt>accuracy</dt>" in preferences, "as the experiment calls it, of every task"
    words = unescape(Reader(text.replace(preferences, "")).text).lower()
    assert "top-1" not in words
    assert "accuracy" not in re.sub("(pixel|token) accuracy", "", words), "that of classes"
    assert not re.search(r"\b(none|nan|inf|true|false|undefined)\b", words.replace("no labels", ""))
    if task not in ("multilabel", "detection"):
        assert not re.search(r"\bimages?\b", words.replace("versions, by image", ""))
    assert f"What {HEADLINES[task]} costs" in text


def test_the_main_table_has_the_figures_of_the_task():
    rows = {row[0]: row for row in cells(section(drawn("regression"), "verdict"))}
    head = rows["variant"]
    assert head[1:8] == ["shown", "MAE", "Δ MAE", "loss at most", "RMSE", "R²", "SQNR dB"]
    shown = dict(zip(head, rows["torch.x86"], strict=True))
    assert (shown["MAE"], shown["Δ MAE"], shown["rows /s"]) == ("0.4347", "+0.0246", "500")


def test_a_fidelity_s_main_table_has_no_difference():
    rows = {row[0]: row for row in cells(section(drawn("fidelity"), "verdict"))}
    assert rows["variant"][2:7] == ["SQNR dB", "at least dB", "cosine", "agree %", "max |Δ|"]
    assert rows["keras.fp32 reference"][2:7] == ["exact", "–", "1.00000", "100.00", "0"]


def test_a_loss_is_marked_in_the_table_of_its_metric():
    text = section(drawn("regression"), "metrics")
    rows = [row for row in cells(text) if row[0] in ("torch.x86", "torch.int8")]
    assert [row[3].startswith("▼significantly worse") for row in rows if row[0] == "torch.x86"] == [True] * 3
    assert not any(row[3].startswith("▼") for row in rows if row[0] == "torch.int8")
    assert "MAE, mean absolute error: lower is better; a loss of up to 1 % of the reference" in text


def test_the_p_value_of_a_metric_is_not_corrected():
    text = section(drawn("regression"), "metrics")
    assert "Holm" not in text
    rows = {row[0]: row for row in cells(text)}
    metric = next(row for row in compared("regression").variants if row.name == "torch.x86").metrics[-1]
    assert rows["torch.x86"][-1] == numbers.p_value(metric.p_value)


def test_the_outputs_of_a_model_with_several():
    rows = [row for row in cells(section(drawn("regression"), "outputs")) if row[0] == "onnx.int8"]
    assert [row[1] for row in rows] == ["0", "1"]


def test_which_way_is_better_is_told():
    assert "Below and to the left is better." in drawn("regression")
    assert "Below and to the left is better. Drawn is the loss" in drawn("multilabel")
    assert "Above and to the left is better." in drawn("fidelity")
    assert "Drawn is the loss" not in drawn("fidelity")


def test_the_front_is_of_the_least_error():
    comparison = compared("regression")
    _, best = pareto.latency(comparison)
    assert (
        best[0]
        == min(
            (row for row in comparison.variants if row.image == "onnx" and row.metrics),
            key=lambda row: row.metrics[0].value,
        ).name
    )


@pytest.mark.parametrize("task", CASES)
def test_a_terminal_of_eighty_columns_has_room(task):
    text = StringIO()
    terminal.show(compared(task), Console(file=text, width=80))
    lines = text.getvalue().splitlines()
    assert lines[0].startswith("own: 400 test ")
    row = next(line for line in lines if line.startswith("onnx.int8 "))
    assert len(row) <= 80
    assert "…" not in row
    assert "top-1" not in text.getvalue()


def extended(task):
    """With several draws, a curve and another CPU."""
    comparison = compared(task)
    return replace(
        comparison,
        variants=tuple(further(row) if row.quantized and row.headline else row for row in comparison.variants),
    )


def further(row):
    value = row.headline.value
    spread, span = (value, 1.01 * value, 0.99 * value), Interval(0.9 * value, 1.1 * value)
    curve = tuple(Point(samples, value, span) for samples in (10, 100))
    run = emulated(cpu="haswell", images=100, value=1.2 * value, interval=span, here=value)
    return replace(row, draws=Draws(spread, value, 0.01 * value, 0.1), curve=curve, emulated=(run,))


def emulated(**fields):
    return Emulated(**fields, agreement=None, p_value=0.001, better="lower")


def test_draws_sizes_and_other_cpus_of_a_regression():
    text = page.page_html(extended("regression"), make_page_data("regression"))
    words = unescape(Reader(text).text)
    assert "MAE on each draw" in words
    assert "MAE against the number of calibration rows" in words
    assert "5 of 5 runs lose significantly (paired bootstrap, p < 0.05)." in words
    assert "worse by 0.0869" in words
    assert "top-1" not in words
    assert {row[0]: row for row in cells(section(text, "draws"))}["torch.x86"][1:3] == ["3", "0.4347"]


def test_the_ranking_follows_the_direction():
    comparison = extended("regression")
    chosen = {choice.image: choice for choice in ranking.choose(comparison)}
    assert chosen["onnx"].accuracy != "onnx.int8", "which has the largest error"
    assert chosen["torch"].recommended == "torch.int8"
    assert comment_limits.ranked(comparison)[-2].name == "onnx.int8"


def test_pictures_are_shown_only_where_there_are_any():
    for task, there in (("multilabel", True), ("regression", False), ("reconstruction", False)):
        volume = TaskVolume(CASES[task](), Gates()).whole()
        assert (raw(volume).test_images is not None) is there
        assert raw(volume).changed == {}


@pytest.mark.parametrize(
    ("shape", "dtype", "seen"),
    [
        ((5, 3, 8, 9), np.float32, (5, 8, 9, 3)),
        ((5, 8, 9, 1), np.uint8, (5, 8, 9, 1)),
        ((5, 8, 9), np.uint8, (5, 8, 9, 1)),
        ((5, 8, 9), np.float32, None),
        ((5, 8), np.uint8, None),
    ],
)
def test_what_is_a_picture(shape, dtype, seen):
    case = task_makers.Case({"name": "x", "task": "fidelity"}, (np.zeros(shape, dtype),), None, (np.eye(5),))
    images = raw(TaskVolume(case, Gates()).start()).test_images
    assert (None if images is None else images.shape) == seen


@pytest.mark.parametrize(
    ("values", "pixels"),
    [([0.0, 1.0], [0, 255]), ([0.0, 200.0], [0, 200]), ([-1.0, 1.0], [0, 255]), ([0.0, 0.0], [0, 0])],
)
def test_pixels_of_any_range(values, pixels):
    image = np.array(values, np.float32).reshape(1, 2, 1)
    assert thumbnails.in_bytes(image).ravel().tolist() == pixels


@pytest.mark.usefixtures("without_plots")
def test_many_classes_have_pairs_in_the_place_of_a_table():
    comparison = comparisons.comparison()
    first = replace(comparison.variants[0], confused=(Confused(3, 5, 41), Confused(5, 3, 38)))
    text = page.page_html(
        replace(comparison, variants=(first, *comparison.variants[1:])), comparisons.make_page_data(comparison)
    )
    assert ["cat", "dog", "41"] in cells(section(text, "classes"))


@pytest.mark.usefixtures("without_plots")
def test_top_five_stands_beside_the_accuracy():
    volume = Volume(default_experiment()).whole()
    comparison = compare.compare(evaluate(volume), volume.experiment)
    text = page.page_html(comparison, raw(volume))
    assert [attributes["id"] for attributes in Reader(text).of("section")].count("classes") == 1
    rows = {row[0]: row for row in cells(section(text, "metrics"))}
    assert rows["variant"][1] == "top-5 %"
    assert rows["onnx.int8"][1] == "94.00", "of ten wrong answers the labels 0 to 3 are among the first five"
    assert "McNemar" in section(text, "metrics")


def test_changed_rows_are_called_rows():
    item = Changed(4, 1, 1, 2, 0.1, 0.2)
    assert page.describe_changed(item, ["a", "b", "c"], None, "row").alt == "row 4: b, was b, now c"


def regression_run(name, noise, **changes):
    case = task_makers.regression()
    outputs = {"onnx.int8": (task_makers.noisy(case.outputs[0], noise, 5),), "keras.fp32": case.outputs[:1]}
    return Run(name, replace(compared("regression"), **changes), Truth(About(task="regression"), case.labels), outputs)


def diffed(before, after):
    text = StringIO()
    diff.show(before, after, Console(file=text, width=120))
    return text.getvalue()


def test_two_runs_of_a_regression_are_paired_by_the_bootstrap():
    text = diffed(regression_run("a", 0.01), regression_run("b", 0.3))
    assert "Δ MAE" in text
    (row,) = [line.split() for line in text.splitlines() if line.startswith("onnx.int8")]
    assert row[3].startswith("+0.")
    assert float(row[5]) < 0.01
    assert row[6] == "–", "no answer is of another class"


def test_runs_of_other_tasks_are_not_paired():
    other = replace(regression_run("b", 0.3), truth=Truth(About(task="multilabel"), np.zeros((400, 1))))
    (row,) = [line.split() for line in diffed(regression_run("a", 0.1), other).splitlines() if line[:9] == "onnx.int8"]
    assert row[3:6] == ["–", "–", "–"]


def test_without_labels_the_digest_of_the_data_tells_whether_samples_are_the_same():
    case = task_makers.fidelity()
    truth = Truth(About(task="fidelity"), None, None, case.outputs[0])
    outputs = {"onnx.int8": (task_makers.noisy(case.outputs[0], 0.1, 1),)}
    comparison = compared("fidelity")
    runs = [
        Run(name, replace(comparison, digests={"dataset": digest}), truth, outputs)
        for name, digest in ("ax", "bx", "cy")
    ]
    assert run_diff.same_samples(runs[0], runs[1])
    assert not run_diff.same_samples(runs[0], runs[2])
    assert run_diff.compare_headlines(runs[0], runs[1])["onnx.int8"].delta == 0.0
