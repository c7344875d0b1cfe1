"""The arithmetic of `explain`, checked by hand; and its dataclasses, through their file and back."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from shared.contract import read
from shared.sensitivity import layer_errors
from shared.sensitivity.layer_errors import Diagnosis, Difference, Error, Extent, Layer, Sensitivity, divergence


def test_the_error_of_a_tensor_by_hand():
    """Signal 9 + 16, noise 0 + 1: 10 log10 25; product 9 + 12, lengths 5 and the root of 18."""
    difference = Difference()
    difference.add(np.array([[3.0, 4.0]]), np.array([[3.0, 3.0]]))
    error = difference.error()
    assert error.sqnr_db == pytest.approx(10 * math.log10(25))
    assert error.cosine == pytest.approx(21 / (5 * math.sqrt(18)))
    assert error.max_abs == 1.0


def test_batches_add_up_to_the_whole():
    random = np.random.default_rng(0)
    exact, noise = random.normal(size=(2, 50, 7)).astype(np.float32)
    whole, parts = Difference(), Difference()
    whole.add(exact, exact + noise)
    for start in (0, 20, 40):
        parts.add(exact[start : start + 20], (exact + noise)[start : start + 20])
    assert parts.error().sqnr_db == pytest.approx(whole.error().sqnr_db)
    assert parts.error().cosine == pytest.approx(whole.error().cosine)
    assert parts.error().max_abs == whole.error().max_abs


def test_nothing_differs():
    difference = Difference()
    difference.add(np.arange(4.0), np.arange(4.0))
    assert difference.error() == Error(None, 1.0, 0.0)


@pytest.mark.parametrize(("exact", "quantized", "cosine"), [(0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)])
def test_a_tensor_of_zeros_has_finite_figures(exact: float, quantized: float, cosine: float):
    difference = Difference()
    difference.add(np.full(3, exact), np.full(3, quantized))
    error = difference.error()
    assert error.cosine == cosine
    assert error.sqnr_db is None or math.isfinite(error.sqnr_db)


def test_tensors_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"^tensors of \(2,\) and \(2, 1\): give a tensor and its quantized twin$"):
        Difference().add(np.zeros(2), np.zeros((2, 1)))


def test_an_extent_counts_what_lies_beyond_the_quantized_range():
    extent = Extent((0.0, 2.0))
    extent.add(np.array([[-1.0, 0.0], [2.0, 3.0]]))
    extent.add(np.array([1.0]))
    assert (extent.least, extent.greatest, extent.clipped) == (-1.0, 3.0, 2 / 5)


def test_the_divergence_by_hand():
    exact, quantized = np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])
    by_hand = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert divergence(exact, quantized) == pytest.approx(by_hand)
    assert divergence(np.log(exact) + 3, np.log(quantized) - 5) == pytest.approx(by_hand)  # the same, as logits


@pytest.mark.parametrize("quantized", [[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 0.0]]])
def test_a_probability_of_zero_gives_a_finite_divergence(quantized: list):
    assert math.isfinite(divergence(np.array([[1.0, 0.0]]), np.array(quantized)))


def test_the_divergence_of_equal_outputs_is_zero():
    outputs = np.random.default_rng(0).normal(size=(5, 10))
    assert divergence(outputs, outputs) == 0.0


def test_what_is_written_can_be_read(tmp_path: Path):
    layer = Layer("Conv_1", "Conv", Error(31.5, 0.99, 0.1), None, (-1.0, 2.0), 0.01, None, 0.8, 0.82, 0.003)
    diagnosis = Diagnosis("range", "Conv_1")
    written = Sensitivity("onnx.int8", 500, 0.87, 0.81, 0.85, 0.82, 0.02, "", (layer,), diagnosis=diagnosis)
    layer_errors.write(written, tmp_path)
    assert read(Sensitivity, tmp_path / layer_errors.FILE) == written


def test_what_an_earlier_version_wrote_can_be_read(tmp_path: Path):
    """A sentence in the place of the diagnosis."""
    layer = Layer("Conv_1", "Conv", Error(31.5, 0.99, 0.1), None, (-1.0, 2.0), 0.01, None, 0.8, 0.82, 0.003)
    written = Sensitivity("onnx.int8", 500, 0.87, 0.81, 0.85, 0.82, 0.02, "Conv_1 loses it", (layer,))
    data = {key: value for key, value in asdict(written).items() if key != "diagnosis"}
    (tmp_path / layer_errors.FILE).write_text(json.dumps(data))
    assert read(Sensitivity, tmp_path / layer_errors.FILE) == written
