"""What `explain` holds outputs against, by the task."""

import json
from pathlib import Path

import numpy as np
import pytest

from shared.data.subset import Subset
from shared.sensitivity.evaluator import Judge


def judge(folder: Path, task: str, exact: np.ndarray, labels: np.ndarray | None = None) -> Judge:
    np.save(folder / "input_0.npy", np.zeros((len(exact), 2), np.float32))
    (folder / "about.json").write_text(json.dumps({"task": task}))
    if labels is not None:
        np.save(folder / "labels.npy", labels)
    return Judge(Subset(folder, len(exact)), exact)


@pytest.mark.parametrize("task", ["classification", "regression", "fidelity"])
@pytest.mark.parametrize("shape", [(6, 3), (6, 1), (6, 1, 3)])
def test_the_distance_grows_with_the_difference(task: str, shape: tuple[int, ...], tmp_path: Path):
    """One column of a sigmoid too, which made to sum to 1 would always be 1."""
    random = np.random.default_rng(0)
    exact, noise = random.uniform(0.2, 0.8, shape), random.normal(0, 0.05, shape)
    known = judge(tmp_path, task, exact)
    assert known.distance(exact) == pytest.approx(0, abs=1e-9)
    assert 0 < known.distance(exact + noise) < known.distance(exact + 3 * noise)


def test_the_score_is_the_tasks(tmp_path: Path):
    exact = np.array([[0.0], [1.0], [2.0], [3.0]])
    known = judge(tmp_path, "regression", exact, labels=exact)
    assert known.score(exact) == pytest.approx(1.0)
    assert known.score(exact + 1) == pytest.approx(1 - 4 / 5)
    assert known.chance() == 0.0


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
    known = judge(tmp_path, task, exact, labels)
    assert (known.name, known.measure) == named


@pytest.mark.parametrize(("columns", "chance"), [(1, 0.5), (2, 0.5), (4, 0.25)])
def test_guessing_among_classes(columns: int, chance: float, tmp_path: Path):
    exact = np.full((4, columns), 0.25)
    assert judge(tmp_path, "classification", exact, labels=np.zeros(4, np.uint8)).chance() == chance
