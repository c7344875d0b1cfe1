"""Reports what is in a data set, and what may be wrong with it: ranges, classes, duplicates, preprocessing."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared import detection, numerics, tasks
from shared.data import leakage, samples
from shared.data.preprocessing_variants import PreprocessingVariants
from shared.data.samples import Array, LabelledOutput

FILE = "data_report.json"
BLOCK = 1 << 24  # bytes
UNEVEN = 10  # times as many samples of one class as of another
UNLIKE = 20  # times as wide a range in one set as in the other
NAMED = 20  # pairs that are kept
PER_POSITION = ("segmentation", "tagging")  # tasks whose labels are classes of positions
PARTS_COUNTED = (*PER_POSITION, "detection")  # tasks of whose classes places or objects are counted, not samples
COUNTED = ("classification", "multilabel", *PARTS_COUNTED)


@dataclass(frozen=True)
class ValueRange:
    """The values of one input in one set; `shape` is that of one sample, `unsound` counts NaN and infinity."""

    split: str
    input: int
    dtype: str
    shape: tuple[int, ...]
    samples: int
    low: float
    high: float
    mean: float
    unsound: int


@dataclass(frozen=True)
class ClassCount:
    """Samples of one class, or with one label; of masks and tags the positions, of a detection the objects."""

    name: str
    train: int
    test: int


@dataclass(frozen=True)
class DataReport:
    """`wrong` must be fixed, `warnings` should be read. `leaks`: (train, test) of the first pairs.

    `preprocessing` has the scores of other preprocessings. `outputs` are the further outputs of the model that have
    labels.
    """

    name: str
    task: str
    ranges: tuple[ValueRange, ...]
    classes: tuple[ClassCount, ...]
    repeated_train: int
    repeated_test: int
    leaking: int
    leaks: tuple[tuple[int, int], ...]
    preprocessing: PreprocessingVariants
    warnings: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    outputs: tuple[LabelledOutput, ...] = ()


def make_data_report(source: Path, variants: PreprocessingVariants) -> DataReport:
    """Report on the data set whose arrays are in `source`, with the scores of `variants`; reads each array once."""
    about = samples.about(source)
    arrays = {split: list_arrays(source, split) for split in ("train", "test")}
    ranges = tuple(
        measure_range(split, number, path) for split, paths in arrays.items() for number, path in enumerate(paths)
    )
    train, test = (leakage.digests(source, split, paths) for split, paths in arrays.items())
    pairs = leakage.pairs(train, test)
    classes = tuple(count_classes(source, about)) if about.task in COUNTED else ()
    repeated_test = leakage.count_repeated(test)
    return DataReport(
        name=about.name,
        task=about.task,
        ranges=ranges,
        classes=classes,
        repeated_train=leakage.count_repeated(train),
        repeated_test=repeated_test,
        leaking=len(pairs),
        leaks=tuple(pairs[:NAMED]),
        preprocessing=variants,
        warnings=tuple(
            list_warnings(ranges, () if about.task in PARTS_COUNTED else classes, repeated_test, variants, about.unit)
        ),
        wrong=tuple(list_faults(ranges, pairs, classes if about.task == "classification" else (), variants))
        + tuple(list_blind_detectors(about, variants)),
        outputs=about.further_outputs,
    )


def list_arrays(source: Path, split: str) -> list[Path]:
    """Return the arrays of `train` or `test`, in the order of the model's inputs."""
    return [source / f"x_{split}_{number}.npy" for number in range(len(list(source.glob(f"x_{split}_*.npy"))))]


def measure_range(split: str, number: int, path: Path) -> ValueRange:
    """Measure the values of one array, which is input `number` of the split."""
    array = samples.mapped(path)
    low, high, total, finite = math.inf, -math.inf, 0.0, 0
    for block in iterate_blocks(path, array):
        values = block[np.isfinite(block)] if block.dtype.kind == "f" else block
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            total += float(values.sum(dtype=np.float64))
            finite += values.size
    return ValueRange(
        split=split,
        input=number,
        dtype=str(array.dtype),
        shape=array.shape[1:],
        samples=len(array),
        low=low,
        high=high,
        mean=total / max(1, finite),
        unsound=array.size - finite,
    )


def iterate_blocks(path: Path, array: Array) -> Iterator[Array]:
    """Yield the array at `path` in blocks of about BLOCK bytes, each with a mapping of its own."""
    step = max(1, BLOCK // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        yield samples.mapped(path)[start : start + step]


def count_classes(source: Path, about: samples.About) -> Iterator[ClassCount]:
    """Yield the number of samples, positions or objects of each class, also of classes that have none."""
    names = about.classes
    label_counts = {split: count_labels(source / f"y_{split}.npy", about.task) for split in ("train", "test")}
    for number in range(max(len(names), *map(len, label_counts.values()))):
        train, test = (int(counts[number]) if number < len(counts) else 0 for counts in label_counts.values())
        yield ClassCount(names[number] if number < len(names) else str(number), train, test)


def count_labels(path: Path, task: str) -> Array:
    """Count the samples by class, or by label of a multi-label task: (classes,); empty without labels.

    Of classes by position the positions that count, of a detection the objects.
    """
    if not path.exists():
        return np.zeros(0, np.int64)
    labels = np.load(path, mmap_mode="r")
    if task == "detection":
        return detection.count_objects(labels)
    if task in PER_POSITION:
        most = max(0, int(labels.max(initial=0)) + 1)
        blocks = (block[block != samples.IGNORED] for block in numerics.iterate_blocks(labels))
        return np.asarray(sum((np.bincount(block, minlength=most) for block in blocks), np.zeros(most, np.int64)))
    return np.bincount(labels) if labels.ndim == 1 else labels.sum(axis=0, dtype=np.int64)


def list_faults(
    ranges: Sequence[ValueRange],
    pairs: Sequence[tuple[int, int]],
    classes: Sequence[ClassCount],
    variants: PreprocessingVariants,
) -> Iterator[str]:
    """Describe what must be fixed: values that are not finite, samples in both sets, given as (train, test), and an
    accuracy at or below chance that no other preprocessing explains. `classes` are those of a classification.
    """
    for values in ranges:
        if values.unsound:
            yield f"input {values.input} of the {values.split} set has {values.unsound} values that are NaN or infinite"
    if pairs:
        named = ", ".join(f"{train} = {test}" for train, test in pairs[: leakage.SHOWN])
        yield (
            f"leakage: {len(pairs)} training samples are test samples too (train = test: {named}"
            f"{', …' if len(pairs) > leakage.SHOWN else ''}): take them out of one set, or set data.duplicates: skip"
        )

    scored = len(classes) > 1 and variants.declared is not None
    chance = tasks.describe_chance(variants.declared or 0.0, len(classes), variants.samples) if scored else ""
    if chance and not any(variant.better for variant in variants.variants):
        yield f"the model {chance}"


def list_blind_detectors(about: samples.About, variants: PreprocessingVariants) -> Iterator[str]:
    """Describe a detector that finds nothing: its outputs are read in another way than they are meant."""
    if about.detection is not None and variants.declared == 0:
        yield (
            "the model finds no object of the test samples: are detection.decoder and detection.normalized those of "
            "its outputs?"
        )


def list_warnings(
    ranges: Sequence[ValueRange],
    classes: Sequence[ClassCount],
    repeated: int,
    variants: PreprocessingVariants,
    unit: str,
) -> Iterator[str]:
    """Describe what may be wrong; `repeated` counts repeated test samples, `unit` is what samples are called."""
    yield from list_unlike_ranges(ranges)
    for split in ("train", "test"):
        yield from describe_imbalance(split, {count.name: getattr(count, split) for count in classes}, unit)
    if repeated:
        yield f"{repeated} test {unit} are there more than once: each counts as often"
    better = [variant for variant in variants.variants if variant.better]
    if better:
        best = max(better, key=lambda variant: variant.score)
        yield (
            f"prepared as '{best.name}' the data scores {best.score:.2%} instead of {variants.declared:.2%} on "
            f"{variants.samples} test {unit}: the model seems to be trained so; look at what `data` declares"
        )


def list_unlike_ranges(ranges: Sequence[ValueRange]) -> Iterator[str]:
    """Describe the inputs whose range differs between the sets, or that have a single value."""
    for number in sorted({values.input for values in ranges}):
        sets = [values for values in ranges if values.input == number]
        widths = [max(abs(values.low), abs(values.high)) for values in sets]
        if max(widths) > UNLIKE * min(widths):
            limits = " and ".join(f"{values.low:.4g} to {values.high:.4g} in the {values.split} set" for values in sets)
            yield f"input {number} is {limits}: are both prepared alike?"
        if any(values.low == values.high for values in sets):
            yield f"input {number} has one value everywhere"


def describe_imbalance(split: str, counts: Mapping[str, int], unit: str) -> Iterator[str]:
    """Describe classes without samples, and classes of very different size; `counts` has the samples by class."""
    absent = [name for name, count in counts.items() if not count]
    present = [count for count in counts.values() if count]
    if absent and present:
        yield f"the {split} set has no {unit} of {len(absent)} classes: {', '.join(absent[:5])}"
    if present and max(present) > UNEVEN * min(present):
        sizes = f"from {min(present):,} to {max(present):,} {unit}"
        yield f"the {split} set has {sizes} a class: look at each class by itself"
