"""The float LiteRT file answers as Keras does, whatever the names of inputs and outputs; refusals name the operator."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from images.litert import convert
from images.litert.session import load
from shared.artifacts.store import ROOT
from shared.errors import Unsupported
from tests.images.litert import litert_models as models

TOLERANCE = 1e-5


@pytest.mark.parametrize("build", models.MODELS, ids=lambda build: build.__name__)
def test_it_answers_what_keras_answers_to_any_number_of_samples(build, tmp_path, out):
    model = models.save(build, tmp_path / "keras.fp32")
    convert.run(tmp_path / "keras.fp32", out)
    converted = load(out, 1)
    for count in (4, 8, 1, 3):
        inputs = models.batch(model, 4 * -(-count // 4))
        expected = models.answers(model, inputs)
        outputs = converted(tuple(array[:count] for array in inputs))
        assert len(outputs) == len(expected)
        for ours, theirs in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(ours, theirs[:count], atol=TOLERANCE)


def test_a_saved_model_has_the_order_that_its_signature_says(tmp_path, out):
    model = models.save(models.two_ends, tmp_path / "made")
    variant = tmp_path / "keras.fp32"
    model.export(variant / "model.saved", verbose=False)
    ends = '{"inputs": [{"name": "zebra"}, {"name": "ant"}], "outputs": [{"name": "output_0"}, {"name": "output_1"}]}'
    (variant / "signature.json").write_text(ends)
    convert.run(variant, out)
    inputs = models.batch(model, 5)
    for ours, theirs in zip(load(out, 1)(inputs), models.answers(model, inputs), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


def test_the_same_model_gives_the_same_bytes_in_every_process(tmp_path):
    """What is made of it stays fresh."""
    models.save(models.convolutional, tmp_path / "keras.fp32")
    code = "import sys, pathlib; from images.litert import convert; convert.run(*map(pathlib.Path, sys.argv[1:]))"
    files = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        command = [sys.executable, "-c", code, str(tmp_path / "keras.fp32"), str(tmp_path / name)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        files.append((tmp_path / name / "model.tflite").read_bytes())
    assert files[0] == files[1]


def refusal(build, tmp_path: Path, out: Path) -> str:
    models.save(build, tmp_path / "keras.fp32")
    with pytest.raises(Unsupported) as caught:
        convert.run(tmp_path / "keras.fp32", out)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_operator_that_litert_lacks_is_named(tmp_path, out):
    def build() -> keras.Model:
        row = keras.Input((4,))
        return keras.Model(row, keras.ops.erfinv(keras.ops.tanh(row)))

    assert "operator Erfinv" in refusal(build, tmp_path, out)


def test_a_loop_too_long_to_unroll_is_named(tmp_path, out):
    def build() -> keras.Model:
        steps = keras.Input((200, 2))
        return keras.Model(steps, layers.LSTM(3)(steps))

    assert "operator TensorListReserve" in refusal(build, tmp_path, out)


@pytest.mark.parametrize("trusted", [False, True])
def test_code_inside_of_the_model_is_not_run(trusted: bool, tmp_path, out):
    """Not even where the user trusts it: that is said of the keras image alone."""
    mark = tmp_path / "mark"

    def build() -> keras.Model:
        row = keras.Input((4,))
        return keras.Model(row, layers.Lambda(lambda x, path=str(mark): (open(path, "w").close(), x)[1])(row))  # noqa: PTH123

    models.save(build, tmp_path / "keras.fp32")
    mark.unlink(missing_ok=True)
    if trusted:
        (tmp_path / "keras.fp32" / "trust.json").write_text("true")
    with pytest.raises(Unsupported, match=r"^Keras .* can't load the model without the user's code: .*Lambda"):
        convert.run(tmp_path / "keras.fp32", out)
    assert not mark.exists()


def test_a_model_with_its_users_layers_is_left_to_keras(tmp_path, out):
    models.save(models.sequential, tmp_path / "keras.fp32")
    (tmp_path / "keras.fp32/custom_objects.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(Unsupported, match="keras image alone"):
        convert.run(tmp_path / "keras.fp32", out)
