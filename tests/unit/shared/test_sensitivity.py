"""The values that `explain` collects, checked by hand, and its dataclasses, written and read back."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from shared.contract import read
from shared.numerics import ErrorAccumulator
from shared.sensitivity import layer_errors
from shared.sensitivity.layer_errors import Diagnosis, Error, Extent, Layer, Sensitivity


def test_the_error_of_a_tensor_is_that_of_its_blocks_together():
    """Signal 9 + 16, noise 0 + 1: 10 log10 25; product 9 + 12, lengths 5 and the root of 18."""
    errors = ErrorAccumulator()
    errors.add(np.array([[3.0]]), np.array([[3.0]]))
    errors.add(np.array([[4.0]]), np.array([[3.0]]))
    error = Error.of(errors)
    assert error.sqnr_db == pytest.approx(10 * math.log10(25))
    assert error.cosine == pytest.approx(21 / (5 * math.sqrt(18)))
    assert error.max_abs == 1.0


def test_an_extent_counts_what_lies_beyond_the_quantized_range():
    extent = Extent((0.0, 2.0))
    extent.add(np.array([[-1.0, 0.0], [2.0, 3.0]]))
    extent.add(np.array([1.0]))
    assert (extent.least, extent.greatest, extent.clipped) == (-1.0, 3.0, 2 / 5)


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
