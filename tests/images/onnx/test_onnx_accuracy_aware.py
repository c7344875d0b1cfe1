"""`exclude: auto`: the accuracy of models that 8 bits break is restored, and the excluded layers are recorded."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from images.onnx import accuracy_aware
from shared.errors import Unsupported
from shared.quantization.layer_search import least
from tests.images import declared, models
from tests.images.onnx import hard
from tests.images.onnx.quantizing import answers

RECIPE = declared.defaults("onnx", "accuracy_aware") | {"activation": "uint8", "max_drop_pp": 0.5}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The calibration and the holdout set."""
    folder = tmp_path_factory.mktemp("data")
    calibration = hard.folder(folder / "calibration", 300, 1, np.float32)
    return calibration, hard.folder(folder / "holdout", 1000, 2, np.uint8)


def accuracy(variant: Path) -> float:
    """Return the accuracy on images of neither set."""
    images, labels = hard.task(2000, 3)
    return float((answers(variant, images.astype(np.float32)).argmax(axis=1) == labels).mean())


def run(model: Path, data: tuple[Path, Path], out: Path, **options: object) -> dict:
    accuracy_aware.run(model, *data, out, **{**RECIPE, **options})
    return json.loads((out / "excluded.json").read_text())


@pytest.mark.parametrize(
    ("build", "needed"),
    [(hard.outlier, {"Gemm_8", "Gemm_10"}), (hard.normalized, {"Mul_10"})],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_accuracy_aware_quantization_restores_the_score(
    build: Callable[[Path], Path], needed: set, data: tuple[Path, Path], tmp_path: Path, out: Path
):
    model = build(tmp_path / "model")
    record = run(model, data, out, max_drop_pp=1.0 if build is hard.normalized else 0.5)
    assert record["holds"]
    assert record["trials"][0]["excluded"] == []
    assert record["trials"][0]["accuracy"] < record["float_accuracy"] - 0.5
    assert needed <= set(record["layers"])
    assert len(record["layers"]) <= 3
    assert accuracy(out) > accuracy(model) - (0.01 if build is hard.normalized else 0.005)
    quantized = json.loads((out / "quantized.json").read_text())
    assert quantized["quantized"] >= quantized["operators"] / 2
    assert sorted(path.name for path in out.iterdir()) == ["excluded.json", "model.onnx", "quantized.json"]


@pytest.mark.parametrize("trials", [1, 3])
def test_the_limit_of_trials_is_kept(trials: int, data: tuple[Path, Path], tmp_path: Path, out: Path):
    record = run(hard.outlier(tmp_path / "model"), data, out, trials=trials)
    assert len(record["trials"]) == trials
    assert not record["holds"]
    assert (out / models.FILE).exists()


def test_a_limit_out_of_reach_leaves_the_best_trial(
    data: tuple[Path, Path], tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(accuracy_aware, "least", lambda exact, drop: least(exact, drop) + 0.3)  # out of reach
    record = run(hard.normalized(tmp_path / "model"), data, out)
    best = max(trial["accuracy"] for trial in record["trials"])
    assert not record["holds"]
    assert [trial["accuracy"] for trial in record["trials"] if trial["excluded"] == record["layers"]] == [best]
    assert accuracy(out) > 0.85


def test_a_model_that_needs_no_help_is_quantized_whole(data: tuple[Path, Path], tmp_path: Path, out: Path):
    record = run(hard.outlier(tmp_path / "model", factor=1.0), data, out, max_drop_pp=2.0)
    assert (record["layers"], record["holds"], len(record["trials"])) == ([], True, 1)


def test_excluded_op_types_stay_in_float_as_well(data: tuple[Path, Path], tmp_path: Path, out: Path):
    run(hard.normalized(tmp_path / "model"), data, out, exclude_types=["Softmax"], max_drop_pp=1.0)
    assert onnx.load(out / models.FILE).graph.node[-1].op_type == "Softmax"


def test_types_that_do_not_go_together_are_unsupported(data: tuple[Path, Path], tmp_path: Path, out: Path):
    with pytest.raises(Unsupported, match="doesn't support data format"):
        run(hard.outlier(tmp_path / "model"), data, out, activation="int8", weight="uint8")
