"""The data check for a user's ONNX model."""

from pathlib import Path

import numpy as np
import pytest

from images.onnx.session import load
from shared.artifacts import store
from shared.contract import MANIFEST_SCHEMA, Manifest, encode, read
from shared.data import data_report
from shared.data.data_report import DataReport
from tests.images import declared, models

COUNT = 200


def bright_or_dark(folder: Path) -> Path:
    """Class 0 for pictures whose mean is above 70 of 255, class 1 for others."""
    graph = models.Graph()
    graph.add("ReduceMean", axes=[1, 2], keepdims=0)
    weights, bias = np.zeros((3, 10), np.float32), np.full(10, -9, np.float32)
    weights[:, 0], bias[:2] = 10 / 3, (-10 * 70 / 255, 0)
    graph.add("Gemm", graph.given(weights), graph.given(bias))
    graph.add("Softmax")
    return graph.save(folder)


@pytest.mark.parametrize("scale", [1.0, 1 / 255])
def test_pixels_that_the_model_was_not_made_for(tmp_path: Path, scale: float):
    """The labels are what the model answers to raw pixels."""
    model = bright_or_dark(tmp_path / "onnx.fp32")
    pixels = models.images(2 * COUNT) * np.linspace(0.1, 1, 2 * COUNT, dtype=np.float32)[:, None, None, None]
    labels = load(model, 1)((pixels,))[0].argmax(axis=1)
    assert np.bincount(labels).min() > COUNT // 2
    data, dataset, apart, out = (tmp_path / name for name in ("data", "dataset", "labels", "out"))
    for folder in (data, dataset, apart, out):
        folder.mkdir()
    for split, rows in {"train": slice(None, None, 2), "test": slice(1, None, 2)}.items():
        np.save(data / f"x_{split}_0.npy", pixels[rows] * np.float32(scale))
        np.save(data / f"y_{split}.npy", labels[rows])
    np.save(dataset / "input_0.npy", np.load(data / "x_test_0.npy"))
    np.save(apart / "labels.npy", labels[1::2])
    (data / "about.json").write_text("{}")
    (dataset / "about.json").write_text("{}")
    manifest = Manifest(MANIFEST_SCHEMA, "data", "ok", "", {}, {}, "", {"scale": scale}, {}, "", 0.0, 0)
    (data / store.MANIFEST).write_text(encode(manifest))
    declared.call("onnx", "check", data, dataset, apart, model, out, samples=COUNT)
    data_summary = read(DataReport, out / data_report.FILE)
    warnings = [text for text in data_summary.warnings if text.startswith("prepared as ")]
    if scale == 1:
        assert (data_summary.preprocessing.declared, warnings) == (1.0, [])
    else:
        assert data_summary.preprocessing.declared < 0.8
        assert warnings[0].startswith("prepared as '0 to 255' the data scores 100.00%")
