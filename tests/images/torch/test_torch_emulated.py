"""The same TorchScript file on a CPU without VNNI: onednn uses all 8 bits of the weights, fbgemm seven."""

from pathlib import Path

import numpy as np
import pytest

from images.torch import quantize
from shared.contract import read_shown
from shared.emulation import emulation
from shared.errors import Unsupported
from shared.measure.instructions import this_cpu
from tests.images import declared, models
from tests.images.emulation_fixtures import IMAGES
from tests.images.torch.stages import answers, defaults

pytestmark = pytest.mark.usefixtures("emulator")
ASKED = 20  # of IMAGES


def quantize_model(folder: Path, backend: str) -> Path:
    """A quantized model; `backend` is also the engine that runs it."""
    models.convolutional(folder)
    np.save(folder / "input_0.npy", models.images(120))
    quantize.run(folder, folder, folder, **{**defaults("quantize"), "backend": backend})
    return folder


@pytest.mark.parametrize(("backend", "same"), [("onednn", False), ("fbgemm", True)])
def test_only_weights_of_8_bits_answer_otherwise_without_vnni(backend, same, dataset, labels, out, tmp_path):
    """On a CPU that has no VNNI itself the emulated one answers the same, bit for bit."""
    model = quantize_model(tmp_path / backend, backend)
    declared.call("torch", "emulate", model, dataset, labels, out, cpus=["haswell"], images=ASKED)
    here = answers(model, models.images(IMAGES)[np.load(out / emulation.INDICES)])
    assert np.array_equal(np.load(out / "haswell" / emulation.ANSWERS), here) is (same or this_cpu().saturates)
    assert read_shown(emulation.Summary, out / emulation.SUMMARY).cpus["haswell"].int8_instructions == ("avx2",)


def test_an_engine_that_the_cpu_lacks_is_refused_in_its_own_words(dataset, labels, out, tmp_path):
    model = quantize_model(tmp_path / "model", "fbgemm")
    with pytest.raises(Unsupported, match=r"^nehalem: RuntimeError: quantized engine FBGEMM is not supported$"):
        declared.call("torch", "emulate", model, dataset, labels, out, cpus=["nehalem"], images=10)
