"""ONNX Runtime's session: the number of threads, and clear messages for files that it refuses."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from images.onnx.session import load, open_session
from shared.errors import CrossquantError
from shared.runner import threads
from tests.images import models


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_session_starts_one_thread_fewer_than_it_uses(count: int, tmp_path: Path):
    path = models.convolutional(tmp_path) / models.FILE
    before = threads.running()
    session = open_session(path, count)
    assert threads.running() - before == count - 1
    assert session.get_session_options().intra_op_num_threads == count


def test_other_threads_than_asked_for_are_refused(tmp_path: Path):
    """0 is how ONNX Runtime is told to take every core: it can't be what was asked for."""
    with pytest.raises(CrossquantError, match=r"^ONNX Runtime runs \d+ threads instead of 0: timings would be of "):
        open_session(models.convolutional(tmp_path) / models.FILE, 0)


def test_the_model_takes_any_batch(tmp_path: Path):
    model = load(models.convolutional(tmp_path), 1)
    images = models.images(5)
    [many], [one] = model((images,)), model((images[:1],))
    np.testing.assert_allclose(many[:1], one, atol=1e-6)
    assert many.shape == (5, 10)


@pytest.mark.parametrize("count", [0, 2])
def test_a_data_set_of_more_or_fewer_inputs_is_refused(count: int, tmp_path: Path):
    """Surplus arrays must not be dropped without a message."""
    model = load(models.convolutional(tmp_path), 1)
    with pytest.raises(CrossquantError, match=rf"^the model has 1 inputs \(image\), the data set has {count}$"):
        model((models.images(3),) * count)


@pytest.mark.parametrize("damage", ["noise", "cut short", "unknown operator"])
def test_a_file_that_can_not_be_loaded_gives_one_clear_line(damage: str, tmp_path: Path):
    path = models.convolutional(tmp_path) / models.FILE
    model = onnx.load(path)
    model.graph.node[0].op_type = "Wonder"
    broken = {"noise": b"no model", "cut short": path.read_bytes()[:1000]}
    path.write_bytes(broken.get(damage) or model.SerializeToString())
    with pytest.raises(CrossquantError) as caught:
        load(tmp_path, 1)
    assert str(caught.value).startswith(f"ONNX Runtime can't load {models.FILE}: ")
    assert len(str(caught.value).splitlines()) == 1
