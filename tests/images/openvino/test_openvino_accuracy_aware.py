"""`exclude: auto`: NNCF puts back into float what 8 bits break, and the evidence says what that was."""

import json
from pathlib import Path

import pytest

from images.openvino import convert
from tests.images.openvino.stages import accuracy, quantized, recovered


def told(out: Path) -> dict:
    return json.loads((out / "excluded.json").read_text())


@pytest.fixture
def exact(models: Path, tmp_path: Path) -> float:
    (tmp_path / "float").mkdir()
    convert.run(models / "outlier", tmp_path / "float")
    return accuracy(tmp_path / "float", models)


def test_a_model_that_eight_bits_break_is_brought_back(models: Path, exact: float, tmp_path: Path, out: Path):
    (tmp_path / "whole").mkdir()
    whole = accuracy(quantized(models / "outlier", models / "calibration", tmp_path / "whole"), models)
    found = told(recovered(models, "outlier", out, max_drop_pp=1.0))
    assert whole < exact - 0.1
    assert found["holds"]
    assert found["layers"]
    assert found["trials"][0]["accuracy"] < found["float_accuracy"] - 0.1
    assert accuracy(out, models) > exact - 0.02
    assert sorted(path.name for path in out.iterdir()) == ["excluded.json", "model.bin", "model.xml", "quantized.json"]


def test_a_model_that_needs_no_help_is_quantized_whole(models: Path, out: Path):
    found = told(recovered(models, "outlier", out, max_drop_pp=100.0))
    assert (found["layers"], found["holds"], len(found["trials"])) == ([], True, 1)


def test_trials_that_are_not_enough_are_told(models: Path, out: Path):
    found = told(recovered(models, "outlier", out, max_drop_pp=0.0, trials=2))
    assert not found["holds"]
    assert len(found["trials"]) == 2
