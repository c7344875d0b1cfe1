"""The same ONNX file on a CPU without VNNI: uint8 times int8 gives other answers there, uint8 times uint8 the same."""

from pathlib import Path

import numpy as np
import pytest

from shared.contract import read_shown
from shared.emulation import cpus, emulation
from shared.errors import CrossquantError, Unsupported
from shared.measure.instructions import this_cpu
from tests.images import declared, models
from tests.images.emulation_fixtures import IMAGES
from tests.images.onnx import quantizing

pytestmark = pytest.mark.usefixtures("emulator")
ASKED = 20  # of IMAGES
MODULE = "import os, signal\ndef load(variant, threads):\n    os.kill(os.getpid(), signal.SIGILL)\n"


def answers(folder: Path, indices: np.ndarray) -> np.ndarray:
    """Return this CPU's answers to the same images."""
    return quantizing.answers(folder, models.images(IMAGES)[indices])


@pytest.mark.parametrize(("weight", "same"), [("int8", False), ("uint8", True)])
def test_only_signed_weights_answer_otherwise_without_vnni(
    weight, same, folded, calibration, dataset, labels, out, tmp_path
):
    """On a CPU that has no VNNI itself the emulated one answers the same, bit for bit."""
    variant = tmp_path / "variant"
    variant.mkdir()
    recipe = {"activation": "uint8", "weight": weight, "per_channel": weight == "int8", "calibrate": "minmax"}
    quantizing.run(folded, calibration, variant, **recipe)
    declared.call("onnx", "emulate", variant, dataset, labels, out, cpus=["haswell"], images=ASKED)
    outputs = np.load(out / "haswell" / emulation.ANSWERS)
    assert outputs.dtype == np.float32
    assert np.array_equal(outputs, answers(variant, np.load(out / emulation.INDICES))) is (same or this_cpu().saturates)
    (cpu,) = read_shown(emulation.Summary, out / emulation.SUMMARY).cpus.values()
    assert (cpu.refused, cpu.int8_instructions) == ("", ("avx2",))
    assert (tmp_path / "hidden").read_text() == str(labels)


def test_float_answers_alike_and_each_cpu_has_its_own(folded, dataset, labels, out):
    declared.call("onnx", "emulate", folded, dataset, labels, out, cpus=["nehalem", "haswell"], images=ASKED)
    indices = np.load(out / emulation.INDICES)
    assert sorted(indices) == emulation.subset(np.load(labels / "labels.npy"), ASKED).tolist()
    for cpu in ("nehalem", "haswell"):
        outputs = np.load(out / cpu / emulation.ANSWERS)
        np.testing.assert_allclose(outputs, answers(folded, indices), atol=1e-5)
    assert [
        seen.int8_instructions for seen in read_shown(emulation.Summary, out / emulation.SUMMARY).cpus.values()
    ] == [(), ("avx2",)]


def test_an_arm_cpu_answers_as_this_one(folded, dataset, labels, out):
    try:
        cpus.emulator("neoverse-n1")
    except CrossquantError as error:
        pytest.skip(str(error))
    declared.call("onnx", "emulate", folded, dataset, labels, out, cpus=["neoverse-n1"], images=10)
    outputs = np.load(out / "neoverse-n1" / emulation.ANSWERS)
    np.testing.assert_allclose(outputs, answers(folded, np.load(out / emulation.INDICES)), atol=1e-5)
    assert read_shown(emulation.Summary, out / emulation.SUMMARY).cpus["neoverse-n1"].int8_instructions == ("asimddp",)


def test_a_cpu_that_refuses_is_recorded_and_the_other_answers(folded, dataset, labels, out, tmp_path, monkeypatch):
    monkeypatch.setattr(cpus, "ARM64", tmp_path / "absent")
    declared.call("onnx", "emulate", folded, dataset, labels, out, cpus=["haswell", "cortex-a72"], images=10)
    x86, arm = read_shown(emulation.Summary, out / emulation.SUMMARY).cpus.values()
    assert not x86.refused
    assert arm.refused.startswith("cortex-a72 needs the framework for arm64 in ")
    assert not (out / "cortex-a72" / emulation.ANSWERS).exists()


def test_a_file_that_no_cpu_can_load_is_unsupported_in_its_own_words(dataset, labels, out, tmp_path):
    (tmp_path / models.FILE).write_bytes(b"no model")
    with pytest.raises(Unsupported, match=f"^haswell: ONNX Runtime can't load {models.FILE}: "):
        declared.call("onnx", "emulate", tmp_path, dataset, labels, out, cpus=["haswell"], images=10)


def test_an_illegal_instruction_is_unsupported(dataset, labels, out, tmp_path, monkeypatch):
    (tmp_path / "deadly_model.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(Unsupported, match=r"^haswell: killed by SIGILL$"):
        emulation.answer(tmp_path, dataset, labels, out, "deadly_model", ["haswell"], 10, 60)
