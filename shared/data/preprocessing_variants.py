"""Checks for a frequent mistake: the model was trained on pixels that were prepared in another way than declared.

The score with the declared preprocessing is compared with those of likely others, on a few test samples.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from shared import numerics, tasks
from shared.artifacts import store
from shared.data import samples
from shared.data.samples import About, Array, Batch, Indices
from shared.data.subset import Subset
from shared.errors import CrossquantError
from shared.measure.predictions import Model
from shared.runner.forks import run_in_fork
from shared.runner.progress import report

BATCH = 50  # samples
SURE = 0.01  # level: the probability that chance alone makes any variant look better (Bonferroni)
RESAMPLES, SEED = 400, 0
ALIKE = 1e-3  # of the range: variants that differ by less are the same
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and standard deviation, RGB, of pixels from 0 to 1
CAFFE = (103.939, 116.779, 123.68)  # mean, BGR, of pixels from 0 to 255


@dataclass(frozen=True)
class ScoredVariant:
    """`score` is the task's, 1 is perfect; `better`: than what is declared, by more than chance."""

    name: str
    score: float
    better: bool


@dataclass(frozen=True)
class PreprocessingVariants:
    """The scores on `samples` test samples: with the `declared` preprocessing, and with each of its `variants`.

    `skipped` says why there are none.
    """

    samples: int = 0
    declared: float | None = None
    variants: tuple[ScoredVariant, ...] = ()
    skipped: str = ""


@dataclass(frozen=True)
class Declared:
    """The declared preprocessing of pixels from 0 to 255: (pixels * scale - mean) / std, by channel."""

    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    bgr: bool = False

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> "Declared":
        """From the parameters of the stage that prepared the data; nothing is declared where they don't say."""
        mean, std = tuple(parameters.get("mean", ())), tuple(parameters.get("std", ()))
        return cls(parameters.get("scale", 1.0), mean, std, parameters.get("color") == "bgr")

    @property
    def silent(self) -> bool:
        return self.scale == 1 and not self.mean and not self.std

    def applied(self, pixels: Array, axis: int) -> Array:
        moved = pixels * self.scale - (along(self.mean, pixels.ndim, axis) if self.mean else 0)
        return moved / (along(self.std, pixels.ndim, axis) if self.std else 1)

    def undone(self, stored: Array, axis: int) -> Array:
        moved = stored * (along(self.std, stored.ndim, axis) if self.std else 1)
        return (moved + (along(self.mean, stored.ndim, axis) if self.mean else 0)) / self.scale


def along(values: tuple[float, ...], ndim: int, axis: int) -> Array:
    """`values` in an array that goes with one of `ndim` axes, along `axis`."""
    return np.array(values).reshape([-1 if place == axis else 1 for place in range(ndim)])


def compare(
    load: Callable[[], tuple[Model, int]], source: Path, dataset: Path, labels: Path, count: int
) -> PreprocessingVariants:
    """Score the model on `count` samples of `dataset`, as `source` prepared them and in variants of that.

    `load` returns the model and the bytes that it computes of a sample (shared/measure/sample_bytes.py). It is called
    in a process that can read neither labels nor `source`, and that hasn't read them before: code in a model could
    memorize them.
    """
    if skipped := find_obstacle(dataset, labels):
        return PreprocessingVariants(skipped=skipped)
    parameters = store.parameters(source)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)

        def work() -> None:
            model, each = load()
            for number, answers in enumerate(answer_variants(model, dataset, parameters, count, each)):
                np.save(folder / f"{number}.npy", answers)

        run_in_fork(work, hidden=(labels, source))
        answers = [np.load(folder / f"{number}.npy") for number in range(len(list(folder.glob("*.npy"))))]
    return score_variants(answers, dataset, labels, parameters, count)


@dataclass(frozen=True)
class PreparedSamples:
    """Samples as they are stored, and the same samples in each variant, by name; a `Batch` has an array per input."""

    about: About
    positions: Indices
    stored: Batch
    variants: dict[str, Batch]


def prepare_samples(dataset: Path, parameters: Mapping[str, Any], count: int) -> PreparedSamples:
    """Read `count` samples of `dataset`, which `parameters` prepared. No variants if no input is a picture."""
    about, subset = samples.about(dataset), Subset(dataset, count)
    arrays = (np.concatenate(parts) for parts in zip(*subset.batches(BATCH), strict=True))
    stored = tuple(
        array if about.declared(number) else array.astype(samples.FLOAT, copy=False)
        for number, array in enumerate(arrays)
    )
    picture = next((number for number, array in enumerate(stored) if find_channel_axis(array) is not None), None)
    if picture is None:
        return PreparedSamples(about, subset.positions, stored, {})
    variants = {
        name: (*stored[:picture], variant, *stored[picture + 1 :])
        for name, variant in iterate_distinct_variants(stored[picture], Declared.of(parameters))
    }
    return PreparedSamples(about, subset.positions, stored, variants)


def answer_variants(
    model: Model, dataset: Path, parameters: Mapping[str, Any], count: int, each: int = 0
) -> list[Array]:
    """Return the evaluated output of `model` for the samples as they are stored, and then for each variant of them.

    `each` is the number of bytes that the model computes of a sample (shared/measure/sample_bytes.py).
    """
    prepared, size = prepare_samples(dataset, parameters, count), samples.fitting(dataset, BATCH, each=each)
    answers = []
    for number, inputs in enumerate((prepared.stored, *prepared.variants.values())):
        batches = (tuple(array[start : start + size] for array in inputs) for start in range(0, len(inputs[0]), size))
        answers.append(np.concatenate([samples.select_evaluated(model(batch), prepared.about) for batch in batches]))
        report(number + 1, len(prepared.variants) + 1)
    return answers


def find_obstacle(dataset: Path, labels: Path) -> str:
    """Return why variants can't be scored, "" if they can. The labels are not read."""
    about = samples.about(dataset)
    if not any(find_channel_axis(samples.mapped(path)[:1]) is not None for path in samples.inputs(dataset)):
        return "no input is a picture (height, width and 1 or 3 channels)"
    if about.task == "embedding":
        return "some samples of an embedding, without those that they are compared with, tell no score"
    if about.task != "reconstruction" and not (labels / samples.LABELS).exists():
        return "without labels there is nothing to score"
    return ""


def score_variants(
    answers: Sequence[Array], dataset: Path, labels: Path, parameters: Mapping[str, Any], count: int
) -> PreprocessingVariants:
    """Score the answers that `answer_variants` returned. CrossquantError if some are missing."""
    prepared, all_labels = prepare_samples(dataset, parameters, count), samples.labels(labels)
    scorer = VariantScorer(prepared.about, None if all_labels is None else all_labels[prepared.positions])
    if len(answers) != len(prepared.variants) + 1:
        raise CrossquantError(f"the model answered {len(answers)} of {len(prepared.variants) + 1} preparations")
    declared, *others = answers
    reference = declared, prepared.stored[0]
    scores = []
    for (name, inputs), outputs in zip(prepared.variants.items(), others, strict=True):
        answered = outputs, inputs[0]
        is_better = scorer.is_better(answered, reference, SURE / len(others))
        scores.append(ScoredVariant(name, scorer.score(answered), is_better))
    return PreprocessingVariants(len(prepared.positions), scorer.score(reference), tuple(scores))


def find_channel_axis(batch: Array) -> int | None:
    """The axis of the channels of (n, height, width, channels) or (n, channels, height, width); None of others."""
    if batch.ndim != 4:
        return None
    return next((axis for axis in (3, 1) if batch.shape[axis] in (1, 3)), None)


def iterate_distinct_variants(stored: Array, declared: Declared) -> Iterator[tuple[str, Array]]:
    """Yield the variants that differ from `stored` and from each other, in the type of `stored`."""
    seen = [stored.astype(np.float64)]
    for name, variant in iterate_variants(stored, declared):
        if not is_representable(stored.dtype, variant):
            continue
        width = max(float(np.ptp(variant)), float(np.finfo(np.float32).tiny))
        if all(np.abs(variant - other).max() > ALIKE * width for other in seen):
            seen.append(variant)
            yield name, variant.astype(stored.dtype)


def is_representable(dtype: np.dtype[Any], values: Array) -> bool:
    """Can the type hold the values? One of whole numbers holds no fractions, and none beyond its limits."""
    if dtype.kind == "f":
        return True
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return bool((values == np.round(values)).all() and values.min() >= low and values.max() <= high)


def iterate_variants(stored: Array, declared: Declared) -> Iterator[tuple[str, Array]]:
    """Yield each likely preprocessing of the samples, with a name for people."""
    exact = stored.astype(np.float64)
    axis = find_channel_axis(stored)
    assert axis is not None
    to_pixels, from_pixels = conversions_to_pixels(exact, declared, axis)
    if to_pixels:
        yield from iterate_pixel_variants(to_pixels(exact), declared, axis)
    if stored.shape[axis] == 3:
        yield ("RGB" if declared.bgr else "BGR"), np.flip(exact, axis)
    elif from_pixels and to_pixels:
        yield "inverted", from_pixels(255 - to_pixels(exact))
    yield "÷255", exact / 255
    yield "×255", exact * 255


Way = Callable[[Array], Array]


def conversions_to_pixels(exact: Array, declared: Declared, axis: int) -> tuple[Way | None, Way | None]:
    """Return the conversions to pixels from 0 to 255 and back: as declared or, if nothing is, as the range suggests."""
    if not declared.silent:
        return (lambda x: declared.undone(x, axis)), (lambda x: declared.applied(x, axis))
    low, high = float(exact.min()), float(exact.max())
    if low >= 0 and high <= 1:
        return (lambda x: x * 255), (lambda x: x / 255)
    if low >= -1 and high <= 1:
        return (lambda x: (x + 1) * 127.5), (lambda x: x / 127.5 - 1)
    if low >= 0 and high <= 255:
        return (lambda x: x), (lambda x: x)
    return None, None


def iterate_pixel_variants(pixels: Array, declared: Declared, axis: int) -> Iterator[tuple[str, Array]]:
    """Yield the variants of `pixels`, from 0 to 255, whose channels are in the declared order."""
    yield from iterate_scalings(pixels, ", BGR" if declared.bgr else "")
    if pixels.shape[axis] != 3:
        return
    rgb = np.flip(pixels, axis) if declared.bgr else pixels
    if declared.bgr:
        yield from iterate_scalings(rgb, "")
    mean, std = (along(values, pixels.ndim, axis) for values in IMAGENET)
    yield "mean and std of ImageNet", (rgb / 255 - mean) / std
    yield "BGR, mean-subtracted (Caffe)", np.flip(rgb, axis) - along(CAFFE, pixels.ndim, axis)
    yield "RGB, mean-subtracted", rgb - along(CAFFE[::-1], pixels.ndim, axis)


def iterate_scalings(pixels: Array, order: str) -> Iterator[tuple[str, Array]]:
    yield f"0 to 255{order}", pixels
    yield f"0 to 1 (÷255){order}", pixels / 255
    yield f"-1 to 1 (÷127.5 - 1){order}", pixels / 127.5 - 1


@dataclass(frozen=True)
class VariantScorer:
    """Scores answers to some samples by the task.

    Answers are pairs of the evaluated output and the first input, which an autoencoder's output is compared with.
    """

    about: About
    labels: Array | None

    def score(self, answers: Batch) -> float:
        """Return the score of all samples; 1 is perfect."""
        return tasks.score_outputs(self.about, answers[0], self.labels, self.find_reference(answers))

    def find_reference(self, answers: Batch) -> Array | None:
        """Return what answers are compared with beside labels: the first input, where the task is to give it back."""
        score = tasks.find_score(self.about, self.labels)
        return answers[1] if score is not None and score.against == "inputs" else None

    def is_better(self, answers: Batch, declared: Batch, level: float) -> bool:
        """Are the answers better than those with the declared preprocessing, at this level?

        By an exact sign test on the samples that only one of them classifies correctly, or for other tasks by a paired
        bootstrap of the score.
        """
        if self.about.task == "classification":
            one, other = (
                numerics.class_probabilities(outputs).argmax(axis=1) == self.labels
                for outputs, _ in (answers, declared)
            )
            return sign_test(int((one & ~other).sum()), int((other & ~one).sum())) < level
        random, count = np.random.default_rng(SEED), len(answers[0])
        draws = (random.integers(0, count, count) for _ in range(RESAMPLES))
        one, other = (
            tasks.prepare_score(self.about, each[0], self.labels, self.find_reference(each))
            for each in (answers, declared)
        )
        worse = sum(one(where) <= other(where) for where in draws)
        return worse / RESAMPLES < level


def sign_test(wins: int, losses: int) -> float:
    """Return the probability of at least so many wins if each is as likely as a loss."""
    total = wins + losses
    return float(sum(comb(total, number) for number in range(wins, total + 1)) / 2**total)
