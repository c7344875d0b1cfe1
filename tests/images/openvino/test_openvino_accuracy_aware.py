"""`exclude: auto`: NNCF puts the layers that cost too much back into float, and records which."""

import json
from pathlib import Path

import pytest

from images.openvino import convert
from tests.images.openvino.stages import accuracy, quantized, run_accuracy_aware


def read_record(out: Path) -> dict:
    return json.loads((out / "excluded.json").read_text())


@pytest.fixture
def exact(models: Path, tmp_path: Path) -> float:
    (tmp_path / "float").mkdir()
    convert.run(models / "outlier", tmp_path / "float")
    return accuracy(tmp_path / "float", models)


def test_accuracy_aware_quantization_restores_the_score(models: Path, exact: float, tmp_path: Path, out: Path):
    (tmp_path / "whole").mkdir()
    whole = accuracy(quantized(models / "outlier", models / "calibration", tmp_path / "whole"), models)
    record = read_record(run_accuracy_aware(models, "outlier", out, max_drop_pp=1.0))
    assert whole < exact - 0.1
    assert record["holds"]
    assert record["layers"]
    assert record["trials"][0]["accuracy"] < record["float_accuracy"] - 0.1
    assert accuracy(out, models) > exact - 0.02
    assert sorted(path.name for path in out.iterdir()) == ["excluded.json", "model.bin", "model.xml", "quantized.json"]


def test_a_model_that_needs_no_help_is_quantized_whole(models: Path, out: Path):
    record = read_record(run_accuracy_aware(models, "outlier", out, max_drop_pp=100.0))
    assert (record["layers"], record["holds"], len(record["trials"])) == ([], True, 1)


def test_too_few_trials_are_recorded(models: Path, out: Path):
    record = read_record(run_accuracy_aware(models, "outlier", out, max_drop_pp=0.0, trials=2))
    assert not record["holds"]
    assert len(record["trials"]) == 2
