"""Comparisons of every task, from volumes: figures, verdicts, gates, and what must not be there."""

import json
import time
from dataclasses import replace

import numpy as np
import pytest
import task_makers
from evidence_makers import LABELS, Volume, answers, default_experiment, evaluate
from pytest import approx
from task_makers import CASES, TaskVolume, compared
from variant_makers import accuracy_of, difference_of

from driver.analysis import evaluation, metric_specs
from driver.analysis.evaluation import Answer, Truth
from driver.analysis.facts import OnlyFidelityKnown, ReferenceHasNoAnswers, ShownGoodEnough
from driver.analysis.results import Comparison, Interval, Metric
from driver.analysis.tasks import classification
from driver.comparison import compare
from driver.decision import criteria
from driver.decision.run_outcome import find_exit_code
from driver.experiment.model import Bound, Gates
from driver.report import columns, csv_table, files, markdown, phrases
from shared.contract import decode
from shared.data.samples import About
from shared.errors import CrossquantError

pytestmark = pytest.mark.usefixtures("volumes")
# One task of each kind: an error, a share that is resampled, a distance from the reference, a share of right answers.
KINDS = ("regression", "segmentation", "fidelity", "embedding")
METRICS = {
    "regression": ["mae", "rmse", "r2"],
    "multilabel": ["map", "f1", "f1_macro"],
    "detection": ["coco_map", "map50"],
    "reconstruction": ["auc", "mse"],
    "embedding": ["recall1", "recall5", "recall10"],
    "fidelity": ["sqnr", "cosine", "agreement"],
    "segmentation": ["miou", "pixel_accuracy"],
    "tagging": ["token_accuracy", "token_f1"],
    "forecasting": ["mae", "rmse", "r2"],
}


def rows(comparison):
    return {row.name: row for row in comparison.variants}


def figures(row):
    return {metric.name: metric for metric in row.metrics}


@pytest.mark.parametrize("task", CASES)
def test_each_task_has_its_metrics_and_none_of_another(task):
    comparison = compared(task)
    row = rows(comparison)["onnx.u8s8"]
    assert (comparison.task, row.status) == (task, "ok")
    assert [metric.name for metric in row.metrics] == METRICS[task]
    assert row.headline is row.metrics[0]
    assert (accuracy_of(row), row.paired, difference_of(row), row.agreement, row.ece) == (None,) * 5
    assert (row.classes, row.confusion, row.losing) == ((), (), ())
    assert (row.drift.changed, row.drift.agreement, row.drift.kl) == (None, None, None)
    assert row.max_abs_diff == row.drift.max_abs > 0


@pytest.mark.parametrize("task", CASES)
def test_what_is_written_can_be_read_again(task):
    comparison = compared(task)
    text = files.texts(comparison)["comparison.json"]
    assert decode(Comparison, json.loads(text, parse_constant=pytest.fail)) == comparison
    assert "NaN" not in text


def test_the_figures_of_a_regression():
    case, comparison = task_makers.regression(), compared("regression")
    metrics = figures(rows(comparison)["torch.x86"])
    own, base = (TaskVolume(case).found(name)[0].astype(float) for name in ("torch.x86", "keras.fp32"))
    error = np.abs(own - case.labels).mean()
    assert metrics["mae"].value == approx(error)
    assert metrics["mae"].delta == approx(error - np.abs(base - case.labels).mean())
    assert metrics["mae"].better == "lower"
    assert metrics["rmse"].value == approx(np.sqrt(np.square(own - case.labels).mean()))
    assert metrics["r2"].value == approx(1 - np.square(own - case.labels).sum() / (400 * case.labels.var()), abs=1e-6)
    for metric in metrics.values():
        assert metric.interval.low < metric.value < metric.interval.high
        assert metric.delta_interval.low < metric.delta < metric.delta_interval.high


def test_a_regression_of_whole_pictures():
    exact = np.random.default_rng(0).normal(size=(300, 12, 12, 1)).astype(np.float32)
    case = task_makers.Case({"name": "depth", "task": "regression"}, (exact,), exact, (exact + np.float32(0.1),))
    metrics = figures(rows(TaskVolume(case).whole().compare())["onnx.u8s8"])
    assert metrics["mae"].value == approx(0.1, rel=0.01)
    assert metrics["r2"].value == approx(0.99, abs=0.002)
    assert metrics["r2"].interval.low < metrics["r2"].value < metrics["r2"].interval.high


def test_the_reference_is_not_worse_than_itself():
    for metric in rows(compared("regression"))["keras.fp32"].metrics:
        assert (metric.delta, metric.delta_interval, metric.p_value) == (0.0, Interval(0, 0), 1.0)


def test_labels_are_judged_alike_by_logits_and_by_their_sigmoids():
    logits, probabilities = (task_makers.multilabel(logits) for logits in (True, False))
    metrics = [
        evaluation.compute_metrics(
            Answer(Truth(About(task="multilabel"), case.labels, None, case.outputs[0]), case.outputs[0]), None
        )
        for case in (logits, probabilities)
    ]
    assert [metric.value for metric in metrics[0]] == approx([metric.value for metric in metrics[1]])


def test_a_reconstruction_without_labels_is_judged_by_its_error():
    comparison = TaskVolume(task_makers.reconstruction(labelled=False), Gates()).whole().compare()
    row = rows(comparison)["torch.int8"]
    assert [metric.name for metric in row.metrics] == ["mse"]
    assert row.metrics[0].better == "lower"


def test_a_reconstruction_of_one_kind_has_no_area():
    case = replace(task_makers.reconstruction(), labels=np.zeros(task_makers.SAMPLES, np.uint8))
    row = rows(TaskVolume(case, Gates()).whole().compare())["torch.int8"]
    assert [metric.name for metric in row.metrics] == ["mse"]


def test_fidelity_is_of_the_outputs_alone():
    variants = rows(compared("fidelity"))
    assert [metric.value for metric in variants["keras.fp32"].metrics] == [150.0, 1.0, 1.0]
    assert figures(variants["onnx.uint8"])["sqnr"].value == approx(variants["onnx.uint8"].drift.sqnr_db)
    assert figures(variants["onnx.uint8"])["sqnr"].value == approx(34, abs=0.5), "noise of a fiftieth"
    assert all(metric.delta is None for row in variants.values() for metric in row.metrics)


def test_classes_without_labels_are_judged_by_fidelity():
    """The task that the data asks for can't be."""
    outputs = np.random.default_rng(0).dirichlet(np.ones(4), 300).astype(np.float32)
    case = task_makers.Case({"name": "x", "task": "classification"}, (outputs,), None, (outputs,))
    comparison = TaskVolume(case, Gates()).whole().compare()
    assert comparison.dataset["task"] == "fidelity"
    assert figures(rows(comparison)["onnx.int8"])["agreement"].value < 1


def test_without_the_reference_there_is_no_fidelity():
    volume = TaskVolume(task_makers.fidelity()).whole()
    volume.remove("predictions.keras.fp32")
    comparison = volume.compare()
    assert {row.metrics for row in comparison.variants} == {()}
    assert comparison.decision.reasons == (ReferenceHasNoAnswers(),)


@pytest.mark.parametrize("task", KINDS)
def test_a_variant_that_always_says_the_same_has_failed(task):
    volume = TaskVolume(CASES[task]()).whole()
    volume.variant("onnx.int8", tuple(np.ones_like(each) for each in volume.case.outputs))
    comparison = volume.compare()
    row = rows(comparison)["onnx.int8"]
    assert (row.status, row.reason) == ("failed", "the same answer to every sample")
    assert find_exit_code(comparison) == 3


def test_labels_that_are_no_classes_are_an_error():
    case = task_makers.Case({"name": "x"}, (np.zeros((100, 2), np.float32),), np.arange(100), (answers(10),))
    with pytest.raises(CrossquantError, match=r"^labels from 0 to 99, but the model answers 10 classes: number the"):
        TaskVolume(case, Gates()).whole().compare()


def test_the_decision_is_by_the_metric_of_the_task():
    decision = compared("regression").decision
    assert decision.variant == "onnx.u8s8"
    assert isinstance(decision.reasons[0], ShownGoodEnough)
    (assessment,) = decision.reasons[0].assessments
    assert (assessment.metric, assessment.quantity, assessment.outcome) == ("mae", "loss", "good_enough")


def test_without_labels_the_decision_rests_on_fidelity_and_says_so():
    decision = compared("fidelity").decision
    assert decision.variant == "onnx.u8s8"
    assert isinstance(decision.reasons[0], ShownGoodEnough)
    (assessment,) = decision.reasons[0].assessments
    assert (assessment.metric, assessment.quantity, assessment.limit) == ("sqnr", "value", 30)
    assert OnlyFidelityKnown("keras.fp32") in decision.caveats
    assert "only_fidelity_known" not in [caveat.kind for caveat in compared("regression").decision.caveats]


def test_without_labels_nothing_quantized_is_shipped_that_no_tolerance_speaks_for():
    decision = TaskVolume(task_makers.fidelity(), Gates()).whole().compare().decision
    assert decision.variant == "onnx.fp32"
    (rejection,) = [each for each in decision.rejections if each.variant == "onnx.u8s8"]
    assert rejection.reasons[0].kind == "no_tolerance"


def test_a_sure_loss_within_the_tolerance_is_good_enough():
    """A tenth of a percent more error on 400 samples alike: surely there, and tolerated; two percent are not."""
    case = task_makers.regression()
    volume = TaskVolume(case, Gates()).whole()
    error = case.outputs[0] - case.labels
    for name, factor in (("onnx.u8s8", 1.001), ("onnx.uint8", 1.02)):
        volume.variant(name, (case.labels + np.float32(factor) * error, case.outputs[1]))
    variants = rows(volume.compare())
    assert figures(variants["onnx.u8s8"])["mae"].p_value < 0.05
    assert criteria.is_worse(variants["onnx.u8s8"])
    assert criteria.is_shown(variants["onnx.u8s8"])
    assert criteria.find_obstacle(variants["onnx.uint8"]).outcome == "worse"


def metric(value, delta, p_value, better="lower", name="mae"):
    return Metric(name, value, None, delta, None, p_value, better)


@pytest.mark.parametrize(
    ("row_metric", "expected"),
    [
        (metric(1.1, 0.1, 0.01), True),
        (metric(1.1, 0.1, 0.06), False),
        (metric(0.9, -0.1, 0.01), False),
        (metric(0.8, -0.1, 0.01, "higher", "map"), True),
        (metric(0.9, 0.1, 0.01, "higher", "map"), False),
        (metric(0.8, None, None, "higher", "map"), False),
    ],
)
def test_what_is_worse_follows_the_direction_of_the_figure(row_metric, expected):
    assert metric_specs.is_significant_loss(row_metric, 0.05) is expected


def test_every_output_of_a_model_with_several():
    variants = rows(compared("regression"))
    assert [output.number for output in variants["onnx.int8"].outputs] == [0, 1]
    assert variants["onnx.int8"].outputs[0].sqnr_db == approx(variants["onnx.int8"].drift.sqnr_db)
    assert variants["keras.fp32"].outputs[1].sqnr_db is None
    assert rows(compared("fidelity"))["onnx.int8"].outputs == ()


def test_the_output_that_is_judged_may_be_another_than_the_first():
    case = task_makers.regression()
    turned = replace(case, about=case.about | {"evaluated_output": 1}, outputs=case.outputs[::-1])
    row = rows(TaskVolume(turned).whole().compare())["onnx.u8s8"]
    assert [metric.name for metric in row.metrics] == METRICS["regression"]
    assert figures(row)["r2"].value > 0.9


def test_conversion_steps_of_a_task_without_classes():
    steps = {step.after: step for step in compared("regression").conversion_steps}
    assert steps["torch.x86"].paired is None
    assert (steps["torch.x86"].before, steps["torch.x86"].metric.name) == ("torch.fp32", "mae")
    assert steps["torch.x86"].metric.delta > 0.01
    assert compared("fidelity").conversion_steps[0].metric.delta is not None


@pytest.mark.parametrize("task", CASES)
def test_a_table_for_people(task):
    comparison = compared(task)
    text = markdown.markdown_text(comparison)
    head = next(line for line in text.splitlines() if line.startswith("| variant"))
    measure = metric_specs.METRIC_SPECS[METRICS[task][0]]
    assert head.startswith(f"| variant | {measure.heading} |")
    assert "top-1" not in text
    assert (f"400 test {comparison.unit} of") in text
    assert f"{comparison.unit} /s" in columns.headings(comparison)
    assert "| size KB | p50 ms |" in head
    assert head.replace("\\|", "").count("|") - 1 == min(len(columns.headings(comparison)), markdown.COLUMNS)
    assert csv_table.csv_text(comparison).splitlines()[0].endswith(f"{METRICS[task][-1]}_p_value")


def with_draws(case):
    volume = TaskVolume(case, Gates(), draws=3).whole()
    volume.further()
    for step in volume.plan.steps:
        if step.draw and f"predictions.{step.output}" in volume.plan.locations:
            base = step.output.removesuffix(f".{step.draw}")
            shift = np.float32(0.01 * int(step.draw[1:]))
            if base in task_makers.NOISE:
                volume.variant(step.output, tuple(each + shift for each in volume.found(base)))
    return volume.compare()


@pytest.mark.parametrize("task", KINDS)
def test_draws_are_judged_by_the_headline(task):
    comparison = with_draws(CASES[task]())
    row = rows(comparison)["onnx.u8s8"]
    assert row.draws is not None
    assert row.draws.values[0] == approx(row.headline.value)
    assert row.draws.mean == approx(np.mean(row.draws.values))
    reference = 0.0 if row.headline.delta is None else row.headline.value - row.headline.delta
    if task != "fidelity":
        assert row.draws.delta == approx(row.draws.mean - reference)
    label = metric_specs.spec_of(row.headline).label
    assert f"onnx.u8s8 over 3 draws: {label} " in "\n".join(phrases.row_lines(comparison))


@pytest.mark.parametrize(("task", "shift"), [("regression", 0.5), ("reconstruction", 0.0)])
def test_other_cpus_are_judged_by_the_headline(task, shift):
    volume = TaskVolume(CASES[task](), Gates(), targets=("here", "haswell"), recommended=("onnx.u8s8",)).whole()
    indices = np.arange(0, 400, 4)
    here = volume.found("onnx.u8s8")[0][indices]
    volume.emulate("onnx.u8s8", indices, {"haswell": here + np.float32(shift)})
    (run,) = rows(volume.compare())["onnx.u8s8"].emulated
    assert (run.images, run.agreement) == (100, None)
    assert run.loses is bool(shift)
    if not shift:
        assert (run.value, run.p_value) == (run.here, 1.0)


def test_top_five_where_there_are_more_classes():
    volume = Volume(default_experiment()).whole()
    row = rows(compare.compare(evaluate(volume), volume.experiment))["onnx.int8"]
    accuracy, top5 = row.metrics
    assert (top5.name, top5.better, top5.delta, top5.p_value) == ("top5", "higher", 0.0, 1.0)
    assert row.headline is accuracy
    assert accuracy.name == "accuracy"


def test_top_five_by_hand():
    """Of equal classes the first one comes first, as in argmax."""
    outputs = np.array([[6, 5, 4, 3, 2, 1], [6, 5, 4, 3, 2, 1], [1, 1, 1, 1, 1, 1]], np.float32)
    answer = Answer(Truth(About(), np.array([4, 5, 5], np.int64)), outputs)
    assert classification.flag_top_answers(answer).tolist() == [True, False, False]


def test_a_thousand_classes_stay_bearable():
    """No table of all pairs, in no file; and not a second a row."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 1000, 5000).astype(np.int16)
    outputs = random.normal(size=(5000, 1000)).astype(np.float32)
    outputs[np.arange(5000), labels] += 4
    truth = Truth(About(), labels, None, outputs)
    noisy = outputs + random.normal(0, 0.5, outputs.shape).astype(np.float32)
    variant = task_makers.compared("fidelity").variants[0]
    started = time.process_time()
    row = compare.add_metrics(replace(variant, metrics=()), Answer(truth, noisy), Answer(truth, outputs))
    assert time.process_time() - started < 4
    assert row.confusion == ()
    assert len(row.classes) == 1000
    assert len(row.confused) == 20
    assert [pair.images for pair in row.confused] == sorted((pair.images for pair in row.confused), reverse=True)
    assert row.metric("top5").value > accuracy_of(row) > 0.5


def test_a_single_probability_above_one_is_no_logit():
    """The reference tells what the outputs are, also for whether a row is at chance: its metrics and status agree."""
    labels = np.arange(task_makers.SAMPLES) % 2
    sure = np.where(labels, 0.97, 0.03).astype(np.float32)[:, None]
    about = {"name": "yes or no", "task": "classification"}
    volume = TaskVolume(task_makers.Case(about, (sure,), labels, (sure,)), Gates()).whole()
    volume.variant("torch.x86", sure + np.float32(0.06))
    row = rows(volume.compare())["torch.x86"]
    assert (row.status, accuracy_of(row)) == ("ok", 1.0)


def test_logits_are_judged_by_their_probabilities():
    """The interval and the pairs see classes; what differs is of what the model gave."""
    probabilities = answers(10)
    logits = (np.log(probabilities) + 3).astype(np.float32)
    noisy = logits + np.float32(0.25)
    truth = Truth(About(), LABELS, None, logits)
    variant = compared("fidelity").variants[0]
    row = compare.add_metrics(replace(variant, metrics=()), Answer(truth, noisy), Answer(truth, logits))
    assert (accuracy_of(row), row.max_abs_diff) == (0.9, approx(0.25, rel=1e-5))
    assert row.ece == approx(0.01, abs=1e-4), "91% sure, and right in 90%"
    assert row.drift.kl == approx(0, abs=1e-6), "a softmax doesn't see what is added to all"
    assert row.drift.changed == 0


@pytest.mark.parametrize(
    ("task", "figure", "gate_names"),
    [
        ("regression", "accuracy", "mae, rmse, r2, worse_percent, sqnr, p50_ms"),
        ("fidelity", "drop_pp", "sqnr, cosine, agreement, p50_ms"),
    ],
)
def test_a_gate_that_the_task_can_not_check_is_an_error(task, figure, gate_names):
    """It would seem to hold."""
    gates = Gates(quantized={figure: Bound(max=1.0)})
    with pytest.raises(
        CrossquantError, match=f"gates.quantized.{figure}: the task is {task}.*its gates are {gate_names}, "
    ):
        TaskVolume(CASES[task](), gates).whole().compare()


def test_a_gate_on_what_these_labels_do_not_tell_is_an_error():
    volume = TaskVolume(task_makers.reconstruction(labelled=False), Gates(quantized={"auc": Bound(min=0.9)})).whole()
    with pytest.raises(CrossquantError, match=r"^gates.quantized.auc: this metric needs labels of sound samples and"):
        volume.compare()


def test_gates_by_the_task():
    gates = {(gate.variant, gate.metric): gate for gate in compared("regression").gates}
    row = rows(compared("regression"))["torch.x86"]
    assert gates["torch.x86", "mae"].value == approx(row.metrics[0].interval.high), "the worse end at 95%"
    assert gates["onnx.int8", "mae"].holds is False
    assert gates["onnx.fp32", "worse_percent"].value == approx(0, abs=1e-4)


@pytest.mark.parametrize(
    ("task", "figure", "sign"), [("regression", "worse_percent", 1), ("multilabel", "drop_pp", -1)]
)
def test_a_loss_with_a_confidence_is_the_worse_end_of_its_interval(task, figure, sign):
    gates = Gates(quantized={figure: Bound(max=1.0, confidence=0.95)})
    comparison = TaskVolume(CASES[task](), gates).whole().compare()
    row = rows(comparison)["torch.x86"]
    (gate,) = [gate for gate in comparison.gates if gate.variant == "torch.x86"]
    first = row.headline
    scale = 100 / (first.value - first.delta) if sign == 1 else 100
    ends = [sign * scale * end for end in (first.delta_interval.low, first.delta_interval.high)]
    assert gate.value == approx(max(ends))
