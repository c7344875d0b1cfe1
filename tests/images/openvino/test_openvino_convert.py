"""OpenVINO's own files: they answer as ONNX Runtime does, in float32 and on the given number of threads."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from images.openvino import convert
from images.openvino.session import FILE, ONNX_FILE, PREAMBLE, WEIGHTS, compile_model, load, read_model
from shared.artifacts.store import ROOT
from shared.errors import CrossquantError, Unsupported
from tests.images.openvino.stages import read_inputs, read_outputs

IMPORTS = """
import os, sys, threading
import images.openvino.session, images.openvino.accuracy_aware
alive = len(os.listdir("/proc/self/task"))
print(alive, [name for name in sys.modules if name.startswith("openvino_telemetry.")])
"""


@pytest.mark.parametrize(
    "name", ["convolutional", "computed_flatten", "outlier", "hard_swish", "recurrent", "nothing", "by_place", "two"]
)
def test_the_converted_model_answers_as_the_onnx_file(name: str, models: Path, out: Path):
    convert.run(models / name, out)
    assert sorted(path.name for path in out.iterdir()) == [WEIGHTS, FILE]
    answers, expected = load(out, 1)(read_inputs(models / name)), read_outputs(models / name)
    assert len(answers) == len(expected)
    for one, other in zip(answers, expected, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=2e-6)


def test_converting_twice_gives_the_same_bytes(models: Path, tmp_path: Path):
    contents = []
    for turn in ("first", "second"):
        (tmp_path / turn).mkdir()
        convert.run(models / "convolutional", tmp_path / turn)
        contents.append([(tmp_path / turn / name).read_bytes() for name in (FILE, WEIGHTS)])
    assert contents[0] == contents[1]


def test_the_weights_are_kept_in_float32(models: Path, out: Path):
    convert.run(models / "convolutional", out)
    types = {
        op.get_element_type().get_type_name()
        for op in read_model(out / FILE).get_ops()
        if op.get_type_name() == "Constant"
    }
    assert "f32" in types
    assert not types & {"f16", "bf16"}


def test_an_answer_stays_when_the_next_is_asked_for(models: Path, out: Path):
    convert.run(models / "convolutional", out)
    model, [images] = load(out, 1), read_inputs(models / "convolutional")
    [first] = model((images[:5],))
    kept = first.copy()
    model((images[5:10],))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("count", [1, 2])
def test_it_runs_in_float32_on_the_threads_asked_for(count: int, models: Path):
    model = compile_model(read_model(models / "convolutional" / ONNX_FILE), count)
    assert model.get_property("INFERENCE_NUM_THREADS") == count
    assert model.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"


def test_other_threads_than_asked_for_are_refused(models: Path):
    """0 is how OpenVINO is told to take every core: it can't be what was asked for."""
    with pytest.raises(CrossquantError, match=r"^OpenVINO runs \d+ threads instead of 0: timings would be of "):
        compile_model(read_model(models / "convolutional" / ONNX_FILE), 0)


def test_an_operator_that_openvino_does_not_have_is_unsupported_by_its_name(models: Path, out: Path):
    with pytest.raises(Unsupported, match=r"OpenVINO can't .*Wonder") as caught:
        convert.run(models / "unknown", out)
    assert len(str(caught.value).splitlines()) == 1
    assert not list(out.iterdir())


@pytest.mark.parametrize("damage", [b"no model", b""])
def test_a_file_that_is_no_model_gives_one_clear_line(damage: bytes, tmp_path: Path):
    (tmp_path / FILE).write_bytes(damage)
    with pytest.raises(CrossquantError, match=rf"^OpenVINO can't read {FILE}: ") as caught:
        load(tmp_path, 1)
    assert len(str(caught.value).splitlines()) == 1
    printed = str(caught.value.__cause__).strip().splitlines()
    assert printed[0].startswith(PREAMBLE), "OpenVINO prints a place in its source before the reason"
    assert not str(caught.value).removeprefix(f"OpenVINO can't read {FILE}: ").startswith(PREAMBLE)


def test_importing_it_starts_no_thread_and_writes_nothing(tmp_path: Path):
    """A stage is a fork of the process that imports; OpenVINO's telemetry has a thread and files below HOME."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("NNCF_CI", None)
    command = [sys.executable, "-c", IMPORTS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "1 []"
    assert not list(home.rglob("*"))
