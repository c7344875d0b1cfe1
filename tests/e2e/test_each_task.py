"""Each task with labels of a form of its own: from `new` to a decision, in float and 8 bits, in containers."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from composing import Compose
from conftest import Done, Driver
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from driver.engines.venv import ensure_environment
from shared.artifacts.store import ROOT

pytestmark = pytest.mark.docker
TASKS = {
    "segmentation": "segmentation",
    "tagging": "tagging",
    "forecasting": "forecasting",
    "two_outputs": "regression",
    "detection": "detection",
    "embedding": "embedding",
}
# What the labels alone don't tell.
SETTINGS = {
    "detection": ["--task", "detection", "--set", "detection={decoder: center_size, normalized: true}"],
    "embedding": ["--task", "embedding"],
}
EXPLAINED = {
    "segmentation": "mean IoU",
    "tagging": "token accuracy",
    "detection": "COCO mAP",
    "embedding": "recall@1",
}  # by what `explain` scores
# A layer search and an 8-bit file of each framework; one short pass of timings.
RECIPES = {
    "onnx": {
        "u8s8": {"weight": "int8", "per_channel": True},
        "aware": {"weight": "int8", "per_channel": True, "exclude": "auto"},
    },
    "torch": {"x86": {}},
}
SHORT = {
    "calibration": {"images": 150},
    "holdout": {"images": 60},
    "latency": {"passes": 1, "rounds": 2, "calls": 5},
    "timing": {"budget_seconds": 0},
    "targets": ["here"],
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `task_files.py` makes."""
    folder = tmp_path_factory.mktemp("task files")
    command = [ensure_environment("keras"), "tests/e2e/task_files.py", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Runs:
    """The run of each task, made once."""

    def __init__(self, files: Path, scratch: Path) -> None:
        self.files, self.scratch = files, scratch
        self.run = cache(self._run)

    def _run(self, name: str) -> tuple[Driver, Done, Done]:
        driver = Driver(self.scratch / name, "docker")
        given = ["--model", str(self.files / f"{name}.keras"), "--data", str(self.files / f"{name}.npz")]
        creation = driver("new", *given, "--name", "mine", *SETTINGS.get(name, []))
        assert creation.exit_code == 0, creation.stdout + creation.stderr
        path = driver.volumes / "inputs" / "mine.yaml"
        content = yaml.safe_load(path.read_text()) | SHORT | {"recipes": RECIPES}
        path.write_text(yaml.safe_dump({key: each for key, each in content.items() if key != "recommended"}))
        return driver, creation, driver("run", "--experiment", "mine")


@pytest.fixture(scope="module")
def runs(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(files, tmp_path_factory.mktemp("tasks"))


def values(row: dict[str, Any]) -> dict[str, float]:
    """The metrics of a row; those of further outputs by their names."""
    own = {metric["name"]: metric["value"] for metric in row["metrics"]}
    return own | {
        f"{output['name']}.{metric['name']}": metric["value"]
        for output in row["further_outputs"]
        for metric in output["metrics"]
    }


def score_by_pycocotools(driver: Driver, files: Path) -> float:
    """COCO's mAP of what the Keras model answers to the test pictures, whose boxes are centre and size in shares."""
    place, score = (
        np.load(driver.folder("predictions.keras.fp32", "keras", "mine") / f"output_{number}.npy") for number in (0, 1)
    )
    objects = np.load(files / "detection.npz")["y_test"][:, 0]
    truth, found = [], []
    for number, (left, top, right, bottom, label) in enumerate(objects.tolist()):
        area = (right - left) * (bottom - top)
        box = {"bbox": [left, top, right - left, bottom - top], "area": area, "iscrowd": 0}
        truth.append(box | {"id": number + 1, "image_id": number, "category_id": int(label)})
        corners = np.concatenate([place[number, :, :2] - place[number, :, 2:] / 2, place[number, :, 2:]], axis=1) * 16
        for kind in (0, 1):
            for candidate in suppress(corners, score[number, :, kind]):
                one = {"image_id": number, "category_id": kind, "bbox": corners[candidate].tolist()}
                found.append(one | {"score": float(score[number, candidate, kind])})
    dataset = COCO()
    dataset.dataset = {
        "images": [{"id": number} for number in range(len(objects))],
        "annotations": truth,
        "categories": [{"id": 0}, {"id": 1}],
    }
    dataset.createIndex()
    evaluation = COCOeval(dataset, dataset.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0])


def suppress(boxes: np.ndarray, scores: np.ndarray) -> list[int]:
    """The candidates that are kept, by a plain loop: (x, y, width, height), scores above 0.01, IoU of 0.5 at most."""
    kept: list[int] = []
    for candidate in np.argsort(-scores, kind="stable"):
        if scores[candidate] > 0.01 and all(overlap(boxes[candidate], boxes[other]) <= 0.5 for other in kept):
            kept.append(int(candidate))
    return kept


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    common = float(np.prod(np.maximum(high - low, 0)))
    return common / (float(np.prod(one[2:]) + np.prod(other[2:])) - common)


@pytest.mark.parametrize("name", TASKS)
def test_a_model_is_judged_as_keras_and_numpy_judge_it(runs: Runs, files: Path, name: str) -> None:
    driver, creation, done = runs.run(name)
    assert f", {TASKS[name]}" in creation.stdout
    assert done.exit_code == 0, done.stdout + done.stderr
    rows, right = driver.rows("mine"), json.loads((files / "right.json").read_text())[name]
    assert driver.comparison("mine")["dataset"]["task"] == TASKS[name]
    if name == "detection":
        right = {"coco_map": score_by_pycocotools(driver, files)}
    for metric, value in right.items():
        for variant in ("keras.fp32", "onnx.fp32", "torch.fp32"):
            assert values(rows[variant])[metric] == pytest.approx(value, rel=1e-3), (variant, metric)


@pytest.mark.parametrize("name", TASKS)
def test_eight_bits_are_judged_and_one_variant_is_decided_on(runs: Runs, name: str) -> None:
    driver, _, done = runs.run(name)
    rows, decision = driver.rows("mine"), driver.comparison("mine")["decision"]
    assert rows["onnx.u8s8"]["status"] == "ok"
    assert rows["torch.x86"]["status"] in ("ok", "unsupported"), rows["torch.x86"]["reason"]
    assert rows["onnx.u8s8"]["assessments"][0]["outcome"] in ("good_enough", "not_shown", "worse")
    assert decision["outcome"] in ("ship", "keep_reference")
    assert decision["variant"] in rows
    assert done.stdout.count("\nShip ") + done.stdout.count("\nKeep ") == 1


@pytest.mark.parametrize("name", EXPLAINED)
def test_layers_are_searched_and_explained_by_the_metric_of_the_task(runs: Runs, name: str) -> None:
    driver, *_ = runs.run(name)
    assert driver.rows("mine")["onnx.aware"]["status"] == "ok"
    done = driver("explain", "onnx.u8s8", "--experiment", "mine")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert EXPLAINED[name] in done.stdout


@pytest.mark.parametrize("name", TASKS)
def test_compose_makes_the_same_comparison(runs: Runs, name: str) -> None:
    driver, *_ = runs.run(name)
    before = driver.rows("mine")
    compose = Compose(driver.volumes)
    try:
        done = compose("up", "--no-color", "--abort-on-container-failure", EXPERIMENT="mine", SAMPLE="")
    finally:
        compose("down")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert {key: values(row) for key, row in driver.rows("mine").items()} == {
        key: values(row) for key, row in before.items()
    }
