"""Detection in the driver: from the outputs that variants leave to metrics, gates, other CPUs and broken answers."""

from dataclasses import replace

import numpy as np
import pytest
import task_makers
from detections import make_detector
from task_makers import SAMPLES, Case, TaskVolume, compared

from driver.analysis.evaluation import Answer, Truth, compute_metrics, find_misfit, load_truth, make_answer
from driver.analysis.tasks import TASK_METRICS
from driver.experiment.model import Gates
from shared import detection, detector_outputs, tasks
from shared.contract import decode
from shared.data import samples
from shared.data.samples import About

pytestmark = pytest.mark.usefixtures("volumes")


def rows(comparison):
    return {row.name: row for row in comparison.variants}


def read_about(case):
    return decode(About, case.about)


def score(case, outputs):
    """As stages have it."""
    about = read_about(case)
    joined, exact = (samples.select_evaluated(each, about) for each in (outputs, case.outputs))
    return tasks.score_outputs(about, joined, case.labels, exact)


def test_the_metrics_are_those_of_the_stages():
    case = task_makers.detection()
    for name in ("onnx.int8", "torch.x86"):
        row = rows(compared("detection"))[name]
        own = TaskVolume(case).found(name)
        assert row.headline.name == "coco_map"
        assert row.headline.value == pytest.approx(score(case, own), abs=1e-9)
        assert row.headline.interval.low < row.headline.value < row.headline.interval.high
        found = detection.decode_outputs(read_about(case).detection, own, 3)
        rankings = detection.rank_detections(found, case.labels)
        each = [detection.average_precision(one.hits, one.objects.sum())[0] for one in rankings]
        assert row.metric("map50").value == pytest.approx(np.mean(each), abs=1e-9)


def test_noise_costs_and_is_known_to():
    noisy, exact = (rows(compared("detection"))[name] for name in ("onnx.int8", "onnx.fp32"))
    assert exact.headline.delta == pytest.approx(0, abs=1e-3)
    assert noisy.headline.delta < -0.05
    assert noisy.headline.p_value < 0.01
    assert noisy.headline.delta_interval.high < 0


@pytest.mark.parametrize("form", ["joined", "turned", "swapped"])
def test_the_form_of_the_outputs_does_not_matter(form):
    """One output of both, the same with its axes turned, and scores before boxes."""
    case = task_makers.detection()
    boxes, scores = case.outputs
    joined = np.concatenate([boxes, scores], axis=2)
    outputs = {"joined": (joined,), "turned": (joined.transpose(0, 2, 1),), "swapped": (scores, boxes)}[form]
    numbers = {"boxes": 1, "scores": 0} if form == "swapped" else {"boxes": 0, "scores": 0}
    about = case.about | {"detection": case.about["detection"] | numbers}
    other = Case(about, case.inputs, case.labels, outputs)
    assert score(other, outputs) == pytest.approx(score(case, case.outputs), abs=1e-12)
    parts = samples.select_parts(outputs, read_about(other))
    answer = make_answer(Truth(read_about(other), case.labels), parts)
    assert compute_metrics(answer, None)[0].value == pytest.approx(score(case, case.outputs), abs=1e-9)


def test_the_reference_determines_what_scores_are():
    """Logits between 0 and 1 are logits where the reference's are."""
    _, boxes, _, labels = make_detector("center_size", 40)
    exact = np.random.default_rng(0).normal(0, 4, (40, 64, 3)).astype(np.float32)
    weak = (exact - exact.min()) / np.ptp(exact)
    about = About(task="detection", detection=detector_outputs.Detection("center_size", score_threshold=0.55))
    metrics = [
        compute_metrics(Answer(Truth(about, labels, reference=reference), weak, boxes), None)[0].value
        for reference in (exact, None)
    ]
    squashed = 1 / (1 + np.exp(-weak))
    expected = [
        detection.coco_map(detection.decode_outputs(about.detection, (boxes, each)), labels)
        for each in (squashed, weak)
    ]
    assert metrics == pytest.approx(expected, abs=1e-9)
    assert metrics[0] != metrics[1]


@pytest.mark.parametrize(("part", "shift"), [(0, 0.0), (1, 0.3)])
def test_other_cpus_leave_boxes_and_scores_in_one_array(shift, part):
    case = task_makers.detection()
    volume = TaskVolume(case, Gates(), targets=("here", "haswell"), recommended=("onnx.u8s8",)).whole()
    indices = np.arange(0, SAMPLES, 2)
    parts = [each[indices] for each in volume.found("onnx.u8s8")]
    parts[part] = parts[part] + np.float32(20 * shift) * np.random.default_rng(1).normal(size=parts[part].shape)
    there = np.concatenate(parts, axis=2).astype(np.float32)
    volume.emulate("onnx.u8s8", indices, {"haswell": there})
    (run,) = rows(volume.compare())["onnx.u8s8"].emulated
    assert run.images == len(indices)
    assert run.loses is bool(shift)
    if not shift:
        assert (run.value, run.p_value) == (run.here, 1.0)


def test_answers_of_another_shape_on_another_cpu_are_unusable():
    volume = TaskVolume(task_makers.detection(), Gates(), targets=("here", "haswell")).whole()
    indices = np.arange(0, SAMPLES, 2)
    volume.emulate("onnx.u8s8", indices, {"haswell": volume.found("onnx.u8s8")[1][indices]})
    assert rows(volume.compare())["onnx.u8s8"].emulated == ()


def test_outputs_that_are_no_boxes_are_a_misfit():
    case = task_makers.detection()
    truth = Truth(read_about(case), case.labels)
    assert find_misfit(truth, case.outputs) == ""
    assert find_misfit(truth, (case.outputs[0][:, :3], case.outputs[1][:, :3])).startswith("there are 64 anchors, and")
    assert find_misfit(truth, (case.outputs[0], case.outputs[1][..., :3])).startswith("output 1 has 3 scores a box")
    labels = np.full((SAMPLES, 1, 5), 3.0, np.float32)
    assert find_misfit(replace(truth, labels=labels), case.outputs).startswith("an object of class 3, but the model")


def test_without_labels_the_evaluated_output_is_compared():
    case = replace(task_makers.detection(), labels=None)
    comparison = TaskVolume(case, Gates()).whole().compare()
    assert comparison.task == "fidelity"
    row = rows(comparison)["torch.x86"]
    assert row.headline.name == "sqnr"
    noise = np.square(TaskVolume(case).found("torch.x86")[0] - case.outputs[0]).sum()
    expected = 10 * np.log10(np.square(case.outputs[0].astype(float)).sum() / noise)
    assert row.headline.value == pytest.approx(expected, abs=0.1)


def test_metrics_of_a_task_are_named_once():
    """`map` is that of labels."""
    assert set(TASK_METRICS["detection"].compute(answer_of(task_makers.detection()))) == {"coco_map", "map50"}


def answer_of(case):
    return make_answer(Truth(read_about(case), case.labels), case.outputs)


def test_a_run_is_read_again():
    """The truth of a volume has the reference's scores."""
    volume = TaskVolume(task_makers.detection()).whole()
    truth = load_truth(task_makers.evaluate(volume).evidence, "keras.fp32")
    assert truth.reference.shape == (SAMPLES, 64, 4)
    assert truth.logits
