"""The interpreter as a callable, and the stages that use it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from images.litert import convert, session
from shared.errors import CrossquantError
from shared.runner import threads
from tests.images import declared
from tests.images.litert import litert_models as models


@pytest.fixture
def converted(tmp_path, out):
    models.save(models.convolutional, tmp_path / "keras.fp32")
    convert.run(tmp_path / "keras.fp32", out)
    return out


def test_answers_do_not_depend_on_the_batch(converted):
    model = session.load(converted, 1)
    [images] = models.batch(models.convolutional(), 7)
    whole = model((images,))[0]
    assert whole.shape == (7, 10)
    for part in (slice(0, 1), slice(1, 4), slice(4, 7), slice(0, 1)):
        np.testing.assert_allclose(model((images[part],))[0], whole[part], atol=1e-6)


def test_an_answer_is_not_overwritten_by_the_next_one(converted):
    model = session.load(converted, 1)
    [images] = models.batch(models.convolutional(), 2)
    first = model((images[:1],))[0]
    kept = first.copy()
    model((images[1:],))
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_it_runs_on_the_given_number_of_threads(converted, count):
    before = threads.alive()
    model = session.load(converted, count)
    model(models.batch(models.convolutional(), 1))
    assert len(threads.alive() - before) == count - 1


def test_more_threads_than_it_may_have_are_found(converted, monkeypatch):
    interpreter = session.Interpreter
    monkeypatch.setattr(session, "Interpreter", lambda **options: interpreter(**{**options, "num_threads": 2}))
    with pytest.raises(CrossquantError, match="LiteRT runs 2 threads instead of 1"):
        session.load(converted, 1)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no model", b"\x1c\x00\x00\x00TFL3" + bytes(40)])
def test_what_is_no_model_is_refused_in_a_line(tmp_path, content):
    (tmp_path / "model.tflite").write_bytes(content)
    with pytest.raises(CrossquantError, match=r"model\.tflite") as caught:
        session.load(tmp_path, 1)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_short_is_refused(converted, tmp_path):
    content = (converted / "model.tflite").read_bytes()
    (tmp_path / "model.tflite").write_bytes(content[: len(content) // 2])
    with pytest.raises(CrossquantError, match=r"model\.tflite"):
        session.load(tmp_path, 1)


@pytest.mark.parametrize(
    ("scale", "zero", "given", "taken"), [(0.5, -10, 3.2, -4), (0.5, -10, 1e6, 127), (1.0, 0, -1e6, -128)]
)
def test_an_integer_input_is_rounded_and_cut(scale, zero, given, taken):
    quantized = session.quantize_input(np.array([given], np.float32), {"dtype": np.int8, "quantization": (scale, zero)})
    assert (quantized.dtype, quantized.tolist()) == (np.int8, [taken])


def test_predictions_timings_and_cold_starts(resnet, cifar, tmp_path):
    folders = {name: tmp_path / name for name in ("litert.fp32", "predictions.litert.fp32", "latency", "startup")}
    for folder in folders.values():
        folder.mkdir()
    convert.run(resnet, folders["litert.fp32"])
    declared.call(
        "litert",
        "predict",
        folders["litert.fp32"],
        cifar["dataset"],
        folders["predictions.litert.fp32"],
        batch_size=300,
    )
    answers = np.load(folders["predictions.litert.fp32"] / "output_0.npy")
    assert answers.shape == (len(np.load(cifar["dataset"] / "labels.npy")), 10)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-4)
    available = {name: folders[name] for name in ("litert.fp32", "predictions.litert.fp32")}
    declared.call("litert", "latency", cifar["dataset"], available, folders["latency"], rounds=2, calls=3, batch_size=8)
    timed = json.loads((folders["latency"] / "samples.json").read_text())["samples"]
    assert {(item["variant"], item["batch"]) for item in timed} >= {("litert.fp32", 1), ("litert.fp32", 8)}
    declared.call("litert", "startup", cifar["dataset"], available, folders["startup"], repeats=1)
    [start] = json.loads((folders["startup"] / "starts.json").read_text())["litert.fp32"]
    assert 0 < start["imported"] < start["loaded"] < start["answered"]


def test_running_a_model_does_not_import_tensorflow(converted):
    """It would be three quarters of a gigabyte and seconds of every cold start."""
    code = "import sys; from images.litert.session import load; from pathlib import Path; load(Path(sys.argv[1]), 1)"
    check = f"{code}; assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    subprocess.run([sys.executable, "-c", check, str(converted)], check=True)
