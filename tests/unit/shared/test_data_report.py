"""The report on a data set, and what may be wrong with it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.contract import encode, read
from shared.data import data_report
from shared.data.data_report import ClassCount, DataReport
from shared.data.preprocessing_variants import PreprocessingVariants, ScoredVariant


def source(folder: Path, change: dict[str, Any] | None = None, **about: Any) -> Path:
    """120 and 40 samples of three even classes, without a fault."""
    random = np.random.default_rng(0)
    arrays = {
        "x_train_0": random.random((120, 4, 4, 3), np.float32),
        "x_test_0": random.random((40, 4, 4, 3), np.float32),
        "y_train": (np.arange(120) % 3).astype(np.uint8),
        "y_test": (np.arange(40) % 3).astype(np.uint8),
    }
    folder.mkdir()
    for name, array in (arrays | (change or {})).items():
        np.save(folder / f"{name}.npy", array)
    described = {"name": "mine", "classes": ["a", "<b>", "c"], "unit": "images"} | about
    (folder / "about.json").write_text(json.dumps(described))
    return folder


def look(tmp_path: Path, change: dict[str, Any] | None = None, **about: Any) -> DataReport:
    return data_report.make_data_report(source(tmp_path / "source", change, **about), PreprocessingVariants())


def test_a_sound_data_set(tmp_path: Path):
    report = look(tmp_path)
    assert (report.wrong, report.warnings) == ((), ())
    assert report.classes == (ClassCount("a", 40, 14), ClassCount("<b>", 40, 13), ClassCount("c", 40, 13))
    train, test = report.ranges
    assert (train.split, train.dtype, train.shape, train.samples) == ("train", "float32", (4, 4, 3), 120)
    assert 0 <= test.low < 0.01 < 0.4 < test.mean < 0.6 < 0.99 < test.high < 1
    (tmp_path / "kept.json").write_text(encode(report))
    assert read(DataReport, tmp_path / "kept.json") == report


def test_of_masks_the_positions_are_counted_that_count(tmp_path: Path):
    masks = (np.arange(120 * 4).reshape(120, 2, 2) % 4 - 1).astype(np.int8)
    report = look(tmp_path, {"y_train": masks, "y_test": masks[:40]}, task="segmentation")
    assert report.classes == (ClassCount("a", 120, 40), ClassCount("<b>", 120, 40), ClassCount("c", 120, 40))
    assert report.warnings == ()


def test_further_outputs_with_labels_are_told(tmp_path: Path):
    further = {"output": 1, "name": "box", "task": "regression"}
    [output] = look(tmp_path, further_outputs=[further]).outputs
    assert (output.output, output.name, output.task) == (1, "box", "regression")


def test_ranges_are_the_same_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = look(tmp_path)
    monkeypatch.setattr(data_report, "BLOCK", 500)
    blocks = data_report.make_data_report(tmp_path / "source", PreprocessingVariants())
    assert [value_range.low for value_range in blocks.ranges] == [value_range.low for value_range in whole.ranges]
    assert blocks.ranges[0].mean == pytest.approx(whole.ranges[0].mean)


@pytest.mark.parametrize(
    ("score", "better", "text"),
    [
        (
            0.0,
            False,
            "the model answers worse than chance: 0.00% with 3 classes: are labels or inputs in another order",
        ),
        (0.33, False, "the model answers no better than chance: 33.00% with 3 classes"),
        (0.33, True, ""),
        (0.9, False, ""),
    ],
)
def test_a_model_at_chance_is_a_fault_unless_another_preprocessing_is_better(
    score: float, better: bool, text: str, tmp_path: Path
):
    variants = PreprocessingVariants(100, score, (ScoredVariant("÷255", 0.9, better),))
    wrong = data_report.make_data_report(source(tmp_path / "source"), variants).wrong
    assert "".join(wrong).startswith(text) if text else wrong == ()


def test_leakage_is_named(tmp_path: Path):
    folder = source(tmp_path / "source")
    test = np.load(folder / "x_test_0.npy")
    test[[3, 5]] = np.load(folder / "x_train_0.npy")[[100, 7]]
    np.save(folder / "x_test_0.npy", test)
    report = data_report.make_data_report(folder, PreprocessingVariants())
    assert (report.leaking, report.leaks) == (2, ((7, 5), (100, 3)))
    [text] = report.wrong
    assert "2 training samples are test samples too (train = test: 7 = 5, 100 = 3)" in text


def test_values_that_are_none(tmp_path: Path):
    test = np.ones((40, 4, 4, 3), np.float32)
    test[7, 0, 0, 0], test[8] = np.nan, np.inf
    report = look(tmp_path, {"x_test_0": test})
    assert report.wrong == ("input 0 of the test set has 49 values that are NaN or infinite",)
    assert report.ranges[1].high == 1


def test_repeated_samples(tmp_path: Path):
    test = np.random.default_rng(5).random((40, 4, 4, 3), np.float32)
    test[30:] = test[:10]
    report = look(tmp_path, {"x_test_0": test})
    assert (report.repeated_train, report.repeated_test) == (0, 10)
    assert report.warnings == ("10 test images are there more than once: each counts as often",)


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"y_train": np.arange(120) % 2}, "the train set has no images of 1 classes: c"),
        ({"y_test": np.array([0] * 37 + [1, 1, 2])}, "the test set has from 1 to 37 images a class"),
        ({"x_test_0": np.random.default_rng(1).integers(0, 256, (40, 4, 4, 3))}, "input 0 is "),
        ({"x_train_0": np.ones((120, 4, 4, 3), np.float32)}, "input 0 has one value everywhere"),
    ],
)
def test_warnings_of_a_data_set(tmp_path: Path, change: dict[str, Any], warning: str):
    assert any(text.startswith(warning) for text in look(tmp_path, change).warnings)


def test_labels_of_a_multilabel_task_are_counted(tmp_path: Path):
    labels = {"y_train": np.eye(3, dtype=np.uint8)[np.arange(120) % 3] | 1, "y_test": np.ones((40, 3), np.uint8)}
    assert look(tmp_path, labels, task="multilabel").classes[0] == ClassCount("a", 120, 40)


def test_a_better_preprocessing_is_a_warning(tmp_path: Path):
    folder = source(tmp_path / "source")
    report = data_report.make_data_report(
        folder,
        PreprocessingVariants(300, 0.098, (ScoredVariant("0 to 255", 0.87, True), ScoredVariant("BGR", 0.1, False))),
    )
    assert report.warnings == (
        "prepared as '0 to 255' the data scores 87.00% instead of 9.80% on 300 test images: "
        "the model seems to be trained so; look at what `data` declares",
    )


def test_of_a_detection_the_objects_are_counted(tmp_path: Path):
    """Padding is none of them."""
    objects = np.zeros((120, 3, 5), np.float32)
    objects[..., 4] = [0, 2, -1]
    options = {"decoder": "corners"}
    report = look(tmp_path, {"y_train": objects, "y_test": objects[:40]}, task="detection", detection=options)
    assert report.classes == (ClassCount("a", 120, 40), ClassCount("<b>", 0, 0), ClassCount("c", 120, 40))
    assert report.warnings == ()


@pytest.mark.parametrize(("declared", "said"), [(0.0, True), (0.2, False), (None, False)])
def test_a_detector_that_finds_nothing_is_told(tmp_path: Path, declared: float | None, said: bool):
    objects = np.zeros((40, 1, 5), np.float32)
    source(tmp_path / "source", {"y_train": objects, "y_test": objects}, task="detection", detection={})
    report = data_report.make_data_report(tmp_path / "source", PreprocessingVariants(samples=40, declared=declared))
    assert any(line.startswith("the model finds no object of the test samples") for line in report.wrong) is said
