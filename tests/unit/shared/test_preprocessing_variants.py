"""A model that was trained on other pixels than the data declares is reported, and no other."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from shared import numerics
from shared.data import preprocessing_variants
from shared.data.preprocessing_variants import Declared, PreprocessingVariants, ScoredVariant
from shared.data.samples import Batch
from shared.measure.predictions import Model

SIDE = 4
RAW = Declared()


def pictures(count: int = 120) -> np.ndarray:
    """(n, SIDE, SIDE, 3) 0 to 255, of noise below a third of the range and one of two bright channels."""
    noise = np.random.default_rng(0).integers(0, 80, (count, SIDE, SIDE, 3))
    noise[np.arange(count), :, :, 2 * (np.arange(count) % 2)] += 150
    return noise.astype(np.float32)


LABELS = np.arange(120) % 2  # 0: red is bright, 1: blue is


def dataset(folder: Path, stored: np.ndarray, labels: np.ndarray | None = LABELS, **about: object) -> Path:
    folder.mkdir(exist_ok=True)
    np.save(folder / "input_0.npy", stored)
    if labels is not None:
        np.save(folder / "labels.npy", labels)
    (folder / "about.json").write_text(json.dumps(about))
    return folder


def expects(prepare: Declared, axis: int = 3):
    """A model for pixels that were prepared so: it undoes it, and believes nothing that isn't a pixel then."""

    def model(batch: Batch) -> Batch:
        pixels = np.moveaxis(prepare.undone(batch[0].astype(np.float64), axis), axis, 3)
        if prepare.bgr:
            pixels = pixels[..., ::-1]
        red, blue = pixels[..., 0].mean(axis=(1, 2)), pixels[..., 2].mean(axis=(1, 2))
        believed = (pixels.min(axis=(1, 2, 3)) > -20) & (pixels.max(axis=(1, 2, 3)) < 275)
        believed &= pixels.max(axis=(1, 2, 3)) > 20
        odds = np.where(believed, np.sign(blue - red), 0.0)
        return (np.stack([0.5 - odds / 4, 0.5 + odds / 4], axis=1),)

    return model


FORMS = {
    "0 to 255": RAW,
    "0 to 1 (÷255)": Declared(scale=1 / 255),
    "-1 to 1 (÷127.5 - 1)": Declared(scale=1 / 127.5, mean=(1.0,)),
    "mean and std of ImageNet": Declared(1 / 255, *preprocessing_variants.IMAGENET),
    "BGR, mean-subtracted (Caffe)": Declared(mean=preprocessing_variants.CAFFE, bgr=True),
    "RGB, mean-subtracted": Declared(mean=preprocessing_variants.CAFFE[::-1]),
}


def stored(form: Declared) -> np.ndarray:
    pixels = pictures()[..., ::-1] if form.bgr else pictures()
    return form.applied(pixels, 3).astype(np.float32)


def options(form: Declared) -> dict[str, object]:
    return {"scale": form.scale, "mean": list(form.mean), "std": list(form.std), "color": "bgr" if form.bgr else "rgb"}


def compare(
    model: Model, dataset: Path, labels: Path, parameters: Mapping[str, object], count: int
) -> PreprocessingVariants:
    """In this process, where a test sees what the model is asked."""
    if skipped := preprocessing_variants.find_obstacle(dataset, labels):
        return PreprocessingVariants(skipped=skipped)
    return preprocessing_variants.score_variants(
        preprocessing_variants.answer_variants(model, dataset, parameters, count), dataset, labels, parameters, count
    )


def better(found: PreprocessingVariants) -> list[str]:
    return [variant.name for variant in found.variants if variant.better]


def best(found: PreprocessingVariants) -> ScoredVariant:
    return max(found.variants, key=lambda variant: variant.score)


@pytest.mark.parametrize("trained", FORMS)
@pytest.mark.parametrize("declared", FORMS)
def test_the_form_that_the_model_was_trained_on_is_found(tmp_path: Path, trained: str, declared: str):
    folder = dataset(tmp_path / "set", stored(FORMS[declared]))
    comparison = compare(expects(FORMS[trained]), folder, folder, options(FORMS[declared]), 100)
    assert comparison.samples == 100
    if trained == declared:
        assert (comparison.declared, better(comparison)) == (1.0, [])
    else:
        score = {variant.name: variant.score for variant in comparison.variants}
        assert score[trained] == 1.0
        assert trained in better(comparison) or comparison.declared == 1.0


@pytest.mark.parametrize("form", ["0 to 255", "0 to 1 (÷255)", "-1 to 1 (÷127.5 - 1)"])
def test_undeclared_preprocessing_is_inferred_from_the_range(tmp_path: Path, form: str):
    folder = dataset(tmp_path / "set", stored(FORMS[form]))
    assert better(compare(expects(FORMS[form]), folder, folder, {}, 100)) == []
    other = "0 to 1 (÷255)" if form == "0 to 255" else "0 to 255"
    assert other in better(compare(expects(FORMS[other]), folder, folder, {}, 100))


def test_blue_before_red_is_found_with_channels_last_and_first(tmp_path: Path):
    swapped = dataset(tmp_path / "last", pictures()[..., ::-1])
    assert best(compare(expects(RAW), swapped, swapped, {}, 100)) == ScoredVariant("BGR", 1.0, True)
    first = dataset(tmp_path / "first", pictures()[..., ::-1].transpose(0, 3, 1, 2))
    assert best(compare(expects(RAW, axis=1), first, first, {}, 100)) == ScoredVariant("BGR", 1.0, True)


def test_a_variant_that_is_better_by_chance_does_not_count(tmp_path: Path):
    """For models that guess, some variant is mostly ahead."""
    folder = dataset(tmp_path / "set", pictures())
    ahead = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        comparison = compare(lambda batch: (random.random((len(batch[0]), 2)),), folder, folder, {}, 120)  # noqa: B023
        ahead += best(comparison).score > (comparison.declared or 0)
        assert better(comparison) == []
    assert ahead > 10


def test_inverted_grey_pictures(tmp_path: Path):
    dark = np.where(LABELS[:, None, None, None] == 1, 60, 10) * np.ones((120, SIDE, SIDE, 1), np.float32)
    folder = dataset(tmp_path / "set", 255 - dark)

    def model(batch: Batch) -> Batch:
        mean = batch[0].mean(axis=(1, 2, 3))
        odds = np.where(mean < 100, (mean > 30) * 2.0 - 1, 1.0)
        return (np.stack([-odds, odds], axis=1),)

    assert better(compare(model, folder, folder, {}, 100)) == ["inverted"]


def test_a_model_that_takes_bytes_has_variants_of_bytes_alone(tmp_path: Path):
    folder = dataset(tmp_path / "set", pictures().astype(np.uint8), dtypes=["uint8"])
    seen = []

    def model(batch: Batch) -> Batch:
        seen.append(batch[0].dtype)
        return expects(RAW)(batch)

    comparison = compare(model, folder, folder, {}, 100)
    assert [variant.name for variant in comparison.variants] == ["BGR"]
    assert set(seen) == {np.dtype(np.uint8)}


def test_other_inputs_are_left_as_they_are(tmp_path: Path):
    folder = dataset(tmp_path / "set", pictures() / 255)
    (folder / "input_0.npy").rename(folder / "input_1.npy")
    np.save(folder / "input_0.npy", np.arange(120, dtype=np.float32)[:, None])
    seen = []

    def model(batch: Batch) -> Batch:
        seen.append(batch[0])
        return expects(RAW)(batch[1:])

    assert "0 to 255" in better(compare(model, folder, folder, {}, 120))
    assert {tuple(np.unique(array)) for array in seen} == {
        tuple(range(0, 50)),
        tuple(range(50, 100)),
        tuple(range(100, 120)),
    }


def test_an_autoencoder_is_held_to_its_own_input(tmp_path: Path):
    folder = dataset(tmp_path / "set", pictures() / 255, None, task="reconstruction")

    def model(batch: Batch) -> Batch:
        return (np.where(batch[0].max() > 2, batch[0], batch[0] * 0.5),)

    assert "0 to 255" in better(compare(model, folder, folder, {}, 100))


@pytest.mark.parametrize("shape", [(7,), (5, 2), (4, 4, 2), (4, 4, 3, 3)])
def test_without_a_picture_among_the_inputs_there_are_no_variants(tmp_path: Path, shape: tuple[int, ...]):
    folder = dataset(tmp_path / "set", np.zeros((120, *shape), np.float32))
    assert compare(expects(RAW), folder, folder, {}, 100).skipped.startswith("no input is a picture")


def test_without_labels_there_are_no_variants(tmp_path: Path):
    folder = dataset(tmp_path / "set", pictures(), None, task="fidelity")
    assert compare(expects(RAW), folder, folder, {}, 100) == PreprocessingVariants(
        skipped="without labels there is nothing to score"
    )


def test_a_detector_of_swapped_channels(tmp_path: Path):
    """The object is in the left half where red is bright, in the right half where blue is."""
    boxes = np.array([[0, 0, 0.5, 1, 0], [0.5, 0, 1, 1, 0]], np.float32)
    options = {"scores": 0, "normalized": True}
    folder = dataset(
        tmp_path / "set", pictures()[..., ::-1], boxes[LABELS][:, None], task="detection", detection=options
    )

    def model(batch: Batch) -> Batch:
        means = batch[0].mean(axis=(1, 2))
        scores = numerics.sigmoid((means[:, 2] - means[:, 0])[:, None] * [0.1, -0.1])
        both = np.broadcast_to(boxes[::-1, :4], (len(means), 2, 4))
        return (np.concatenate([both, scores[..., None]], axis=2).astype(np.float32),)

    comparison = compare(model, folder, folder, {}, 100)
    assert ScoredVariant("BGR", 1.0, True) in comparison.variants
    assert comparison.declared is not None
    assert comparison.declared < 0.6
