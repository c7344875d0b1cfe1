"""The scores and distances of outputs for `explain`, by the task."""

import json
from pathlib import Path

import numpy as np
import pytest

from driver.analysis.output_drift import ClassOutputs, compute_class_drift
from shared import numerics
from shared.data.subset import Subset
from shared.sensitivity.evaluator import Evaluator


def make_evaluator(folder: Path, task: str, exact: np.ndarray, labels: np.ndarray | None = None) -> Evaluator:
    np.save(folder / "input_0.npy", np.zeros((len(exact), 2), np.float32))
    (folder / "about.json").write_text(json.dumps({"task": task}))
    if labels is not None:
        np.save(folder / "labels.npy", labels)
    return Evaluator(Subset(folder, len(exact)), exact)


@pytest.mark.parametrize("task", ["classification", "regression", "fidelity"])
@pytest.mark.parametrize("shape", [(6, 3), (6, 1), (6, 1, 3)])
def test_the_distance_grows_with_the_difference(task: str, shape: tuple[int, ...], tmp_path: Path):
    """One column of a sigmoid too, which made to sum to 1 would always be 1."""
    random = np.random.default_rng(0)
    exact, noise = random.uniform(0.2, 0.8, shape), random.normal(0, 0.05, shape)
    evaluator = make_evaluator(tmp_path, task, exact)
    assert evaluator.distance(exact) == pytest.approx(0, abs=1e-9)
    assert 0 < evaluator.distance(exact + noise) < evaluator.distance(exact + 3 * noise)


LOGITS = np.random.default_rng(3).normal(0, 2, (50, 4)).astype(np.float32)
SOFTMAX = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("exact", "quantized"),
    [
        (np.array([[0.9, 0.8, 0.1]], np.float32), np.array([[0.8, 0.9, 0.1]], np.float32)),
        (1 / (1 + np.exp(-LOGITS)), 1 / (1 + np.exp(np.float32(0.1) - LOGITS[::-1]))),
        (SOFTMAX, SOFTMAX[::-1]),
        (np.round(SOFTMAX * 255) / 256, np.round(SOFTMAX * 127) / 128),  # rows of eight bits sum to 1 only nearly
        (SOFTMAX - np.float32(1e-3), SOFTMAX),  # eight bits have values slightly below 0 too
        (LOGITS, LOGITS + LOGITS[::-1] / 10),
        (LOGITS, np.clip(LOGITS, 0, 1)),  # the float model determines what outputs are
        (LOGITS, LOGITS),
    ],
    ids=["by hand", "sigmoids", "softmax", "eight bits", "below zero", "logits", "clipped logits", "equal"],
)
def test_explain_and_the_report_have_the_same_divergence(exact: np.ndarray, quantized: np.ndarray, tmp_path: Path):
    """Of the same arrays, whatever a classifier answers: a sigmoid for each class is no logit."""
    evaluator = make_evaluator(tmp_path, "classification", exact)
    reported = [ClassOutputs(outputs, numerics.are_logits(exact)) for outputs in (exact, quantized)]
    assert evaluator.distance(quantized) == compute_class_drift(*reported).kl


def test_sigmoids_are_normalised_and_no_logits(tmp_path: Path):
    """By hand: the rows, which sum to 1.8 each, are divided by that."""
    exact, quantized = np.array([[0.9, 0.8, 0.1]]), np.array([[0.8, 0.9, 0.1]])
    by_hand = (0.9 * np.log(0.9 / 0.8) + 0.8 * np.log(0.8 / 0.9)) / 1.8
    assert make_evaluator(tmp_path, "classification", exact).distance(quantized) == pytest.approx(by_hand)


def test_the_score_is_the_tasks(tmp_path: Path):
    exact = np.array([[0.0], [1.0], [2.0], [3.0]])
    evaluator = make_evaluator(tmp_path, "regression", exact, labels=exact)
    assert evaluator.score(exact) == pytest.approx(1.0)
    assert evaluator.score(exact + 1) == pytest.approx(1 - 4 / 5)
    assert evaluator.chance() == 0.0


@pytest.mark.parametrize(
    ("task", "columns", "labelled", "named"),
    [
        ("classification", 3, True, ("accuracy", "KL divergence")),
        ("classification", 1, True, ("accuracy", "noise")),
        ("classification", 3, False, ("agreement", "KL divergence")),
        ("multilabel", 3, True, ("mAP", "noise")),
        ("regression", 3, True, ("R²", "noise")),
        ("regression", 3, False, ("agreement", "noise")),
        ("reconstruction", 2, False, ("explained variance", "noise")),
        ("fidelity", 3, True, ("agreement", "noise")),
    ],
)
def test_score_and_distance_have_names(task, columns, labelled, named, tmp_path: Path):
    exact = np.full((4, columns), 0.25)
    labels = np.ones((4,) if task == "classification" else (4, columns)) if labelled else None
    evaluator = make_evaluator(tmp_path, task, exact, labels)
    assert (evaluator.name, evaluator.distance_name) == named


@pytest.mark.parametrize(("columns", "chance"), [(1, 0.5), (2, 0.5), (4, 0.25)])
def test_guessing_among_classes(columns: int, chance: float, tmp_path: Path):
    exact = np.full((4, columns), 0.25)
    assert make_evaluator(tmp_path, "classification", exact, labels=np.zeros(4, np.uint8)).chance() == chance
