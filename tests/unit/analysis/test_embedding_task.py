"""Comparisons of embeddings and of weighted classes: values, bounds over groups, gates, and what intervals cover."""

from dataclasses import replace

import numpy as np
import pytest
import task_makers
from evidence_makers import evaluate
from pytest import approx
from task_makers import SAMPLES, Case, TaskVolume

from driver.analysis import assessment, bootstrap, evaluation, statistics, weighted_statistics
from driver.analysis.evaluation import Answer, Truth
from driver.comparison import compare
from driver.experiment.model import Bound, Gates
from driver.report import columns, markdown
from shared import embeddings, tasks
from shared.data.samples import About, Labels
from shared.errors import CrossquantError

pytestmark = pytest.mark.usefixtures("volumes")
RANDOM = np.random.default_rng(0)


def answer(outputs, labels, groups=None, **about):
    return Answer(Truth(About(**{"task": "embedding", **about}), labels, groups=groups), outputs)


def noisy(outputs, share, seed):
    return outputs + np.random.default_rng(seed).normal(0, share, outputs.shape)


# Embeddings.


def test_recalls_are_of_the_samples_that_have_a_mate():
    case = task_makers.embedding()
    own = answer(case.outputs[0], case.labels)
    ranks = embeddings.rank_nearest_mates(case.outputs[0], case.labels)
    assert len(own.computations["recall1"]) == SAMPLES - 2
    for k in (1, 5, 10):
        metric = evaluation.compute_metric(f"recall{k}", own, None)
        assert metric.value == (ranks < k).mean()
        expected = statistics.wilson_interval(int((ranks < k).sum()), SAMPLES - 2)
        assert metric.interval == expected
    assert own.value == tasks.score_outputs(own.about, own.outputs, own.labels, None)


def test_a_small_set_has_no_recall_of_all_of_it():
    assert list(answer(RANDOM.normal(size=(7, 3)), np.arange(7) % 2).computations) == ["recall1", "recall5"]
    assert list(answer(RANDOM.normal(size=(3, 3)), np.zeros(3)).computations) == ["recall1"]


def test_pairs_have_correlations_over_whole_pairs():
    case = task_makers.embedding(pairs=True)
    groups = case.labels[:, 0].astype(np.int64)
    own = answer(case.outputs[0], case.labels, groups)
    base = answer(noisy(case.outputs[0], 0.1, 1), case.labels, groups)
    headline, pearson = evaluation.compute_metrics(own, base)
    assert (headline.name, pearson.name) == ("spearman", "pearson")
    assert headline.value == approx(tasks.score_outputs(own.about, own.outputs, own.labels, None))
    assert headline.interval.low < headline.value < headline.interval.high
    members, scores = embeddings.find_pairs(case.labels)
    cosines = embeddings.compare_pairs(case.outputs[0], members)
    drawn = next(bootstrap.iterate_weights(SAMPLES, groups))[members[:, 0], 0].astype(np.int64)
    again = np.repeat(np.arange(len(members)), drawn)
    assert own.resampled["spearman"][0] == approx(embeddings.spearman(cosines[again], scores[again]))


def test_a_comparison_of_pairs():
    case = task_makers.embedding(pairs=True)
    comparison = TaskVolume(case, Gates({}, {"spearman": Bound(min=0.1, confidence=0.95)})).whole().compare()
    row = next(row for row in comparison.variants if row.name == "onnx.u8s8")
    assert [metric.name for metric in row.metrics] == ["spearman", "pearson"]
    assert columns.headings(comparison)[1:5] == ("Spearman", "Δ Spearman", "loss\u00a0≤", "Pearson")
    assert all(gate.value < row.headline.value for gate in comparison.gates if gate.variant == row.name)
    assert row.assessment.metric == "spearman"


def assess(case, groups=None):
    """The assessments on this host, by row; the samples belong to these groups."""
    volume = TaskVolume(case, Gates()).whole()
    evaluation_of = evaluate(volume)
    evaluation_of._truths["dataset"] = replace(evaluation_of.truth(), groups=groups)
    rows = compare.compare(evaluation_of, volume.experiment).variants
    return {row.name: row.assessment for row in rows if row.assessment}


def test_queries_of_one_label_are_a_group():
    """The two samples without a mate are groups, too, but nothing that is counted."""
    case = task_makers.embedding()
    alone = assess(case)["onnx.u8s8"]
    grouped = assess(case, np.unique(case.labels, return_inverse=True)[1])["onnx.u8s8"]
    assert (alone.groups, alone.samples, alone.metric) == (None, SAMPLES - 2, "recall1")
    assert (grouped.groups, grouped.samples, grouped.estimate) == (SAMPLES // 4, SAMPLES - 2, alone.estimate)
    assert grouped.low < alone.low < alone.high < grouped.high


def test_pairs_are_drawn_whole():
    case = task_makers.embedding(pairs=True)
    item = assess(case, case.labels[:, 0].astype(np.int64))["onnx.u8s8"]
    assert (item.groups, item.samples, item.metric) == (SAMPLES // 2, SAMPLES, "spearman")
    assert item.low < item.estimate < item.high
    assert assess(case, case.labels[:, 0].astype(np.int64))["onnx.fp32"].outcome == "good_enough"


def test_a_gate_with_a_confidence_is_on_the_resampled_recall():
    comparison = task_makers.compared("embedding")
    row = next(row for row in comparison.variants if row.name == "onnx.u8s8")
    (gate,) = [gate for gate in comparison.gates if gate.variant == row.name]
    assert gate.metric == "drop_pp"
    assert gate.value > 100 * row.headline.loss, "the worse end"


def test_gates_on_what_the_labels_do_not_tell():
    gates = Gates(quantized={"spearman": Bound(min=0.5)})
    with pytest.raises(CrossquantError, match=r"^gates.quantized.spearman: this metric needs the number of its pair"):
        TaskVolume(task_makers.embedding(), gates).whole().compare()


def test_a_subset_drops_a_pair_of_which_one_sample_is_left():
    case = task_makers.embedding(pairs=True)
    own = answer(case.outputs[0], case.labels, case.labels[:, 0].astype(np.int64))
    some = np.arange(101)
    part = Answer(own.truth.restrict(some), own.outputs[some])
    members, scores = embeddings.find_pairs(case.labels[:100])
    expected = embeddings.spearman(embeddings.compare_pairs(case.outputs[0], members), scores)
    assert part.value == approx(expected)
    assert not np.isnan(part.resampled["spearman"]).all()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(6), "no two test samples belong together: give pairs, or several samples of a label"),
        (np.stack([np.arange(6), np.arange(6)], axis=1), "no two test samples belong together: give pairs"),
        (np.zeros((6, 3)), "labels of (6, 3): an embedding takes one label a sample"),
    ],
)
def test_labels_that_tell_nothing_are_refused(labels, message):
    own = answer(RANDOM.normal(size=(6, 3)), labels)
    assert message in evaluation.find_misfit(own.truth, (own.outputs,))


# Weights of classes.


def classification(class_weights) -> Case:
    labels = np.repeat([0, 1, 2], [300, 80, 20])
    logits = np.random.default_rng(3).normal(size=(SAMPLES, 3)) + 2.5 * np.eye(3)[labels]
    about = {"name": "rare", "task": "classification", "class_weights": class_weights, "classes": ["a", "b", "c"]}
    inputs = np.zeros((SAMPLES, 2), np.float32)
    return Case(about, (inputs,), labels.astype(np.uint8), (logits.astype(np.float32),))


@pytest.mark.parametrize("class_weights", ["balanced", [1.0, 2.0, 0.5]])
def test_weights_make_the_headline_and_accuracy_stands_beside_it(class_weights):
    case = classification(class_weights)
    gates = Gates({}, {"weighted_accuracy": Bound(min=0.5, confidence=0.95), "accuracy": Bound(min=0.5)})
    comparison = TaskVolume(case, gates).whole().compare()
    row = next(row for row in comparison.variants if row.name == "onnx.u8s8")
    assert [metric.name for metric in row.metrics] == ["weighted_accuracy", "accuracy"]
    reference = next(row for row in comparison.variants if row.name == "keras.fp32")
    right = case.outputs[0].argmax(axis=1) == case.labels
    weights = (1 / np.bincount(case.labels) if class_weights == "balanced" else np.array(class_weights))[case.labels]
    assert reference.headline.value == approx(weights @ right / weights.sum())
    assert reference.metrics[1].value == right.mean()
    assert row.assessment.metric == "weighted_accuracy"
    assert row.assessment.lost is None, "these are weights"
    assert row.assessment.low < row.assessment.estimate < row.assessment.high
    assert row.paired.both_right + row.paired.only_variant == round(SAMPLES * row.metrics[1].value)
    headings = columns.headings(comparison)
    assert (headings[1], headings[4]) == ("weighted %", "top-1 %")
    texts = columns.cells(comparison, row)
    assert len(texts) == len(headings) - 1
    assert texts[3] == f"{100 * row.metrics[1].value:.2f}"
    assert "weighted accuracy" in markdown.markdown_text(comparison)
    lowest = [
        gate.value for gate in comparison.gates if gate.metric == "weighted_accuracy" and gate.variant == row.name
    ]
    assert lowest == [approx(row.headline.interval.low, abs=0.03)]


def test_without_weights_nothing_changes():
    comparison = TaskVolume(classification([]), Gates()).whole().compare()
    assert columns.headings(comparison)[1:4] == ("top-1 %", "Δ pp", "loss\u00a0≤ pp")
    assert [metric.name for metric in comparison.variants[0].metrics] == ["accuracy"]


# What intervals cover, and how often tests err.


def test_intervals_of_a_correlation_cover_it():
    """Of 300 seeded data sets of 120 pairs with ties, the 95 % interval has the correlation of a million of them."""
    random, samples = np.random.default_rng(5), 120
    one = random.integers(0, 6, (300, samples)).astype(np.float64)
    other = np.round(one / 2 + random.normal(0, 1, one.shape))
    many = random.integers(0, 6, 1_000_000).astype(np.float64)
    exact = embeddings.spearman(many, np.round(many / 2 + random.normal(0, 1, many.shape)))
    covered = 0
    for pair in zip(one, other, strict=True):
        metric = weighted_statistics.spearman(*pair)
        weights = next(bootstrap.iterate_weights(samples))[:, :1000]
        low, high = np.quantile(metric(weights), (0.025, 0.975))
        covered += low <= exact <= high
    assert 0.92 <= covered / 300 <= 0.98


def test_labels_as_groups_have_the_variance_that_recalls_have():
    """Two models with equal noise: of 400 seeded sets of 100 labels, independent queries would err in one of ten."""
    random, labels = np.random.default_rng(6), np.repeat(np.arange(100), 2)
    differences, alone, together = [], [], []
    for _ in range(400):
        exact = np.repeat(random.normal(size=(100, 8)), 2, axis=0) + random.normal(0, 0.5, (200, 8))
        one, other = (
            embeddings.rank_nearest_mates(exact + random.normal(0, 0.2, exact.shape), labels) < 1 for _ in range(2)
        )
        difference = one.astype(np.float64) - other
        differences.append(difference.mean())
        alone.append(difference.var() / len(labels))
        together.append(np.square(np.bincount(labels, weights=difference)).sum() / len(labels) ** 2)
    errors = {
        name: np.mean(np.abs(differences) > 1.96 * np.sqrt(variances))
        for name, variances in (("alone", alone), ("together", together))
    }
    assert errors["together"] < 0.085
    assert errors["alone"] > errors["together"] + 0.02


# What is known before anything has answered.


@pytest.mark.parametrize(
    ("about", "metric"),
    [
        (About(), "accuracy"),
        (About(class_weights="balanced"), None),
        (About(task="embedding", labels=Labels((), 0, 9)), "recall1"),
        (About(task="embedding", labels=Labels((2,), 0, 9)), None),
        (About(task="multilabel"), None),
    ],
)
def test_only_of_shares_of_right_answers_a_loss_is_planned(about, metric):
    planned = assessment.plan_smallest_loss(1000, 9, about)
    assert (planned and planned.metric) == metric
