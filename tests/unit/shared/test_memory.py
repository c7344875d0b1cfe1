"""Batches leave room for what a model computes of a sample, and depend on nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest

from shared.data import calibration_batches, preprocessing_variants, samples
from shared.data.samples import COMPUTED, LARGEST, LARGEST_KEPT, Batch
from shared.data.subset import Subset
from shared.measure import predictions, sample_bytes, timing
from shared.quantization import scorer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """300 samples of 16 bytes, without labels."""
    np.save(tmp_path / "input_0.npy", np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32))
    (tmp_path / samples.ABOUT).write_text(json.dumps({"task": "fidelity"}))
    return tmp_path


class Recorder:
    """A model that notes the sizes of the batches it is given."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, batch: Batch) -> Batch:
        self.sizes.append(len(batch[0]))
        return (batch[0] * 2,)


def test_what_one_more_sample_adds_is_counted_and_not_what_is_always_there(folder: Path):
    seen = []

    def total(batch: Batch) -> int:
        seen.append(batch)
        return 1000 + 24 * len(batch[0])

    assert sample_bytes.per_sample(total, folder) == 24
    assert [len(batch[0]) for batch in seen] == [2, 3]
    assert (seen[1][0] == samples.take(folder, slice(1))[0]).all()


def test_without_samples_nothing_is_counted(tmp_path: Path):
    np.save(tmp_path / "input_0.npy", np.zeros((0, 4), np.float32))
    assert sample_bytes.per_sample(lambda _: 1, tmp_path) == 0


@pytest.mark.parametrize(
    ("each", "size"),
    [
        (0, 100),
        (COMPUTED * LARGEST_KEPT // 100, 100),
        (COMPUTED * LARGEST_KEPT // 99, 99),
        (COMPUTED * LARGEST_KEPT // 8, 8),
        (COMPUTED * LARGEST_KEPT, 1),
        (100 * COMPUTED * LARGEST_KEPT, 1),
    ],
)
def test_a_batch_takes_as_much_as_there_is_room_for_and_one_sample_at_least(folder: Path, each: int, size: int):
    assert samples.fitting(folder, 100, LARGEST_KEPT, each) == size
    assert len(next(calibration_batches.batches(folder, 100, LARGEST_KEPT, each))[0]) == size
    assert len(next(Subset(folder, 200).batches(100, LARGEST_KEPT, each))[0]) == size


def test_what_stays_until_the_end_of_a_batch_has_a_quarter_of_the_room(folder: Path):
    each = COMPUTED * LARGEST // 100
    assert [samples.fitting(folder, 1000, largest, each) for largest in (LARGEST, LARGEST_KEPT)] == [100, 25]


@pytest.mark.parametrize(("each", "size"), [(0, 250), (COMPUTED * LARGEST // 40, 40)])
def test_predictions_say_how_many_samples_were_answered_at_a_time(folder: Path, each: int, size: int):
    model = Recorder()
    predictions.predict(model, folder, folder, 250, each)
    assert set(model.sizes[:-1]) == {size} and sum(model.sizes) == 300
    assert predictions.batch_size(folder) == predictions.BatchSize(size, each)
    assert (np.load(folder / "output_0.npy") == 2 * samples.take(folder, slice(None))[0]).all()


def test_a_scorer_and_a_look_at_the_data_ask_in_batches_that_fit(folder: Path):
    model = Recorder()
    scorer.Scorer(folder, model, COMPUTED * LARGEST // 30)
    assert max(model.sizes) == 30
    pictures = folder / "pictures"
    pictures.mkdir()
    np.save(pictures / "input_0.npy", np.random.default_rng(0).integers(0, 256, (60, 4, 4, 3)).astype(np.float32))
    np.save(pictures / "labels.npy", np.arange(60) % 3)
    model = Recorder()
    preprocessing_variants.answer_variants(
        lambda batch: (model(batch)[0].mean((1, 2)),), pictures, {}, 60, COMPUTED * LARGEST // 7
    )
    assert max(model.sizes) == 7


@pytest.mark.parametrize(
    ("each", "batch"),
    [
        ((0, 0), 64),
        ((1 << 20, 1 << 20), 64),
        ((16 << 20, 16 << 20), 64),
        ((17 << 20, 16 << 20), 32),
        ((100 << 20, 50 << 20), 8),
        ((4 << 30, 0), 1),
    ],
)
def test_all_that_is_timed_together_fits_by_a_power_of_two(folder: Path, each: tuple[int, int], batch: int):
    available = {}
    for name, size in zip(("a", "b"), each, strict=True):
        available[f"predictions.{name}"] = folder / name
        (folder / name).mkdir()
        (folder / name / predictions.BATCH_FILE).write_text(json.dumps({"samples": 1, "bytes_per_sample": size}))
    assert timing.together(available, ["a", "b"], folder, 64) == batch
