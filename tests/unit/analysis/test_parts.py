"""What metrics are of each class and step, further outputs that have labels, and gates on both."""

import numpy as np
import pytest
import task_makers
from evidence_makers import ORDER
from sklearn.metrics import f1_score, jaccard_score, mean_absolute_error, mean_squared_error
from task_makers import NOISE, TaskVolume, compared, noisy

from driver.analysis import bootstrap, evaluation, weighted_statistics
from driver.analysis.evaluation import Truth
from driver.analysis.results import Gate
from driver.experiment.model import Bound, Gates
from shared import positions
from shared.data.samples import IGNORED, About
from shared.errors import CrossquantError

pytestmark = pytest.mark.usefixtures("volumes")


def find_row(comparison, name="onnx.int8"):
    return next(row for row in comparison.variants if row.name == name)


def answer_of(case, name="onnx.int8"):
    return noisy(case.outputs[0], NOISE[name], ORDER.index(name))


def test_a_segmentation_is_scikit_learn_s():
    case, row = task_makers.segmentation(), find_row(compared("segmentation"))
    counted, answered = case.labels != IGNORED, answer_of(case).argmax(axis=-1)
    each = jaccard_score(case.labels[counted], answered[counted], average=None)
    assert row.breakdowns[0].values == pytest.approx(each)
    assert row.metric("miou").value == pytest.approx(each.mean())
    assert row.metric("pixel_accuracy").value == pytest.approx((case.labels == answered)[counted].mean())


def test_tags_are_scikit_learn_s():
    case, row = task_makers.tagging(), find_row(compared("tagging"))
    counted, answered = case.labels != IGNORED, answer_of(case).argmax(axis=-1)
    each = f1_score(case.labels[counted], answered[counted], average=None)
    assert row.breakdowns[0].values == pytest.approx(each)
    assert row.metric("token_f1").value == pytest.approx(each.mean())
    assert row.metric("token_accuracy").value == pytest.approx((case.labels == answered)[counted].mean())


def test_each_step_of_a_forecast_has_its_errors():
    case, row = task_makers.forecasting(), find_row(compared("forecasting"))
    answered = answer_of(case)
    by_metric = {item.metric: item.values for item in row.breakdowns}
    for step in range(6):
        pair = case.labels[:, step], answered[:, step]
        assert by_metric["mae"][step] == pytest.approx(mean_absolute_error(*pair), rel=1e-5)
        assert by_metric["rmse"][step] == pytest.approx(np.sqrt(mean_squared_error(*pair)), rel=1e-5)
    assert row.metric("mae").value == pytest.approx(np.mean(by_metric["mae"]), rel=1e-5)


@pytest.mark.parametrize("task", ["segmentation", "tagging"])
def test_a_resample_is_the_metric_of_the_samples_that_it_draws(task):
    """Of samples, not of positions."""
    case, function = task_makers.CASES[task](), positions.intersection_over_union
    counts = positions.count_positions(answer_of(case), case.labels)
    metric = weighted_statistics.mean_over_classes(counts, function)
    weights = next(bootstrap.iterate_weights(task_makers.SAMPLES))[:, :5]
    for place, value in enumerate(metric(weights)):
        drawn = np.repeat(np.arange(task_makers.SAMPLES), weights[:, place].astype(int))
        again = positions.count_positions(answer_of(case)[drawn], case.labels[drawn])
        assert value == pytest.approx(np.nanmean(np.array(again.summarize(function), float)))


def test_the_influence_of_a_sample_is_what_leaving_it_out_changes():
    case = task_makers.segmentation()
    counts = positions.count_positions(answer_of(case), case.labels)
    metric = weighted_statistics.mean_over_classes(counts, positions.intersection_over_union)
    number = task_makers.SAMPLES
    left_out = metric(np.ones((number, number)) - np.eye(number))
    influence = (number - 1) * (metric(np.ones((number, 1))) - left_out)
    assert metric.influence == pytest.approx(influence - influence.mean(), rel=0.05, abs=0.02 * influence.std())


@pytest.mark.slow
@pytest.mark.all_resamples
def test_intervals_of_a_mean_over_classes_cover_the_truth():
    """Of 200 draws of masks whose truth is known; 95 % within 4 standard deviations of what so many draws tell."""
    truth, held = None, 0
    right, wrong, missed = (np.array(each) for each in ((8.0, 3.0, 0.3), (2.0, 1.0, 0.1), (2.0, 1.5, 0.2)))
    random = np.random.default_rng(21)
    truth = float(np.mean(right / (right + wrong + missed)))
    for _ in range(200):
        level = random.gamma(4, 1 / 4, (100, 1))  # samples are of different sizes
        hits, extra, lost = (random.poisson(level * each) for each in (right, wrong, missed))
        counts = positions.PositionCounts(*(np.asarray(x, float) for x in (hits, hits + extra, hits + lost)))
        metric = weighted_statistics.mean_over_classes(counts, positions.intersection_over_union)
        span = bootstrap.percentile_interval(bootstrap.resample({"x": metric}, 100)["x"])
        held += span.low <= truth <= span.high
    assert abs(held / 200 - 0.95) <= 4 * np.sqrt(0.95 * 0.05 / 200)


class TwoOutputs(TaskVolume):
    """Regression, with classes at the second output: the reference has 90 % of them right."""

    def samples(self, sample):
        files = super().samples(sample)
        further = {"output": 1, "name": "kind", "task": "classification", "classes": ["a", "b", "c", "d"]}
        files["about.json"] = files["about.json"] | {"further_outputs": [further]}
        labels = self.case.outputs[1].argmax(axis=1)
        labels[::10] = (labels[::10] + 1) % 4
        return files | {"labels_1.npy": labels.astype(np.uint8)}


def judge(gates=None):
    return TwoOutputs(task_makers.regression(), gates or Gates()).whole().compare()


def test_a_further_output_is_judged_by_its_own_task():
    comparison = judge()
    reference, row = find_row(comparison, "keras.fp32"), find_row(comparison)
    assert row.headline.name == "mae"
    [output] = row.further_outputs
    assert (output.output, output.name, output.task, output.classes) == (1, "kind", "classification", tuple("abcd"))
    assert reference.further_outputs[0].metric("accuracy").value == pytest.approx(0.9)
    assert output.metric("accuracy").delta == pytest.approx(output.metric("accuracy").value - 0.9)
    assert output.metric("accuracy").delta < 0
    assert comparison.task == "regression"


def test_without_labels_a_further_output_is_not_judged():
    assert find_row(compared("regression")).further_outputs == ()


def test_gates_on_a_further_output():
    gates = Gates(quantized={"kind.accuracy": Bound(min=0.85), "1.drop_pp": Bound(max=0.0), "mae": Bound(max=9)})
    checked = {gate.metric: gate for gate in judge(gates).gates if gate.variant == "onnx.int8"}
    value = find_row(judge()).further_outputs[0].metric("accuracy").value
    assert checked["kind.accuracy"] == Gate("onnx.int8", "kind.accuracy", "min", 0.85, value, value >= 0.85)
    assert checked["1.drop_pp"].value == pytest.approx(100 * (0.9 - value))
    assert not checked["1.drop_pp"].holds
    assert checked["mae"].holds


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("boxes.accuracy", "gates.quantized.boxes.accuracy: no output 'boxes' has labels beside the headline's: kind"),
        ("kind.mae", "gates.quantized.kind.mae: the task of the output is classification; its gates are accuracy"),
    ],
)
def test_gates_on_what_a_further_output_has_not(gate, message):
    with pytest.raises(CrossquantError) as caught:
        judge(Gates(quantized={gate: Bound(min=0.5)}))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("task", "name", "worst"),
    [("segmentation", "class_iou", min), ("tagging", "class_f1", min), ("forecasting", "step_mae", max)],
)
def test_a_gate_on_the_class_or_step_that_is_worst_off(task, name, worst):
    comparison = compared(task)
    [gate] = [gate for gate in comparison.gates if gate.metric == name and gate.variant == "onnx.fp32"]
    values = find_row(comparison, "onnx.fp32").breakdowns[0].values
    assert gate.value == worst(values)
    assert values[gate.label] == gate.value


def test_a_forecast_has_the_steps_where_its_labels_have_them():
    case = task_makers.forecasting()
    turned = (np.swapaxes(case.outputs[0], 1, 2),)
    truth = Truth(About(task="forecasting"), case.labels)
    assert evaluation.find_misfit(truth, case.outputs) == ""
    assert evaluation.find_misfit(truth, turned).startswith(
        "labels of (6, 2) a sample and outputs of (2, 6): a forecast"
    )
