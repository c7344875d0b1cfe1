"""PyTorch's stages use batches that fit in memory together with what is computed of their samples."""

import gc
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from images.torch import convert, pt2e, quantize
from images.torch.quantize import fx
from images.torch.quantize.recipe import Recipe
from images.torch.quantize.trials import TrialModels
from images.torch.runtime import computed_bytes
from shared.data.samples import COMPUTED, LARGEST
from shared.measure import predictions
from tests.images import declared, models
from tests.images.peak_memory import measure_peak
from tests.images.sample_folders import save_samples
from tests.images.torch import stages

CHANNELS = 65536  # of the wide convolution: 16 MB a sample, made by 1 MB of weights
WIDE = 2 * 4 * CHANNELS * 64  # bytes of a sample: what the convolution gives, and the Relu behind it
QUANTIZE = """
import json
from images.torch import quantize
model, calibration, options = arguments
quantize.run(Path(model), Path(calibration), scratch, **json.loads(options))
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return save_samples(tmp_path / "calibration", models.images(100))


def options() -> dict[str, object]:
    return stages.defaults("quantize") | {"backend": "x86", "observer": "minmax"}


def test_much_that_is_computed_of_little_fits(data: Path, tmp_path: Path):
    """In batches by the inputs' bytes, 100 samples took 3 GB and more."""
    little, much = (
        measure_peak(QUANTIZE, models.wide(tmp_path / str(channels), channels), data, json.dumps(options()))
        for channels in (16, CHANNELS)
    )
    assert much - little < 2 * COMPUTED * LARGEST


def test_what_is_computed_of_a_sample_is_known_from_the_operators(data: Path, tmp_path: Path):
    convert.run(models.wide(tmp_path / "model", 1024), variant := make_folder(tmp_path / "torch.fp32"))
    exact = 4 * (2 * 1024 * 64 + 1024)
    assert exact <= computed_bytes.per_sample(variant, data) < 1.1 * exact


def make_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("way", ["fx", "pt2e"])
def test_a_quantizer_is_shown_the_batch_that_fits(
    way: str, data: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[int] = []
    observe = fx.observe_batch
    monkeypatch.setattr(
        fx, "observe_batch", lambda prepared, batch: (seen.append(len(batch[0])), observe(prepared, batch))
    )
    model = models.convolutional(tmp_path / "model")
    each = computed_bytes.per_sample_of_call(convert.to_module(model), data)
    monkeypatch.setattr("shared.data.samples.COMPUTED", 30 * each / LARGEST)
    if way == "fx":
        quantize.run(model, data, out, **options())
    else:
        pt2e.run(model, data, out, **stages.defaults("pt2e"))
    assert max(seen) <= 30 and sum(seen) == 100
    assert way == "pt2e" or seen == [30, 30, 30, 10]


def test_where_all_fits_a_batch_is_a_hundred(data: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The histograms, which depend on it, are what they were."""
    seen: list[int] = []
    observe = fx.observe_batch
    monkeypatch.setattr(
        fx, "observe_batch", lambda prepared, batch: (seen.append(len(batch[0])), observe(prepared, batch))
    )
    quantize.run(models.convolutional(tmp_path / "model"), data, out, **options())
    assert seen == [100]


@pytest.mark.parametrize("form", ["script", "exported", "compiled", "aot"])
def test_every_form_is_answered_in_a_batch_that_fits(
    form: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model, variant = models.convolutional(tmp_path / "model"), make_folder(tmp_path / "torch.a")
    if form == "script":
        convert.run(model, variant)
    else:
        pt2e.run(model, data, variant, **stages.defaults("pt2e") | {"form": form})
    each = computed_bytes.per_sample(variant, data)
    assert each > 0
    monkeypatch.setattr("shared.data.samples.COMPUTED", 40 * each / LARGEST)
    declared.call("torch", "predict", variant, data, out := make_folder(tmp_path / "out"), batch_size=250)
    batch = predictions.batch_size(out)
    assert batch is not None
    assert batch.samples == pytest.approx(40, abs=1)
    assert batch.bytes_per_sample == pytest.approx(each, rel=0.02), "the profiler misses a small one now and then"


def test_of_many_quantized_copies_one_is_in_memory(data: Path, tmp_path: Path):
    """Nor what it was converted from, and without Python's own look for circles, which may be long in coming."""
    trial_models = TrialModels(models.convolutional(tmp_path / "model"), Recipe("fbgemm"), (), data)
    gc.disable()
    try:
        counts = []
        for _ in range(4):
            trial_models.quantize(())
            counts.append(sum(isinstance(item, torch.fx.GraphModule) for item in gc.get_objects()))
        assert len(set(counts[1:])) == 1, counts
    finally:
        gc.enable()
        gc.unfreeze()


def test_only_what_is_new_counts():
    """A view is what there was."""
    call = lambda x: (x.reshape(-1, 2).T + 1)[:1]  # noqa: E731
    assert computed_bytes.count_output_bytes(call, (np.zeros((4, 2), np.float32),)) == 32
    assert isinstance(call(torch.zeros(4, 2)), torch.Tensor)
