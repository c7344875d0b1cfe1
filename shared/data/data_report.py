"""What is in a data set, and what may be wrong with it: ranges, classes, duplicates, and twins of its preprocessing."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.data import leakage, samples
from shared.data.preprocessing_variants import PreprocessingVariants
from shared.data.samples import Array

FILE = "examination.json"
BLOCK = 1 << 24  # bytes
UNEVEN = 10  # times as many samples of one class as of another
UNLIKE = 20  # times as wide a range in one set as in the other
NAMED = 20  # pairs that are kept


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
    """Samples of one class, or with one label."""

    name: str
    train: int
    test: int


@dataclass(frozen=True)
class DataReport:
    """`wrong` must be mended, `warnings` should be looked at. `leaks`: (train, test) of the first pairs."""

    name: str
    task: str
    ranges: tuple[ValueRange, ...]
    classes: tuple[ClassCount, ...]
    repeated_train: int
    repeated_test: int
    leaking: int
    leaks: tuple[tuple[int, int], ...]
    twins: PreprocessingVariants
    warnings: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


def make_data_report(source: Path, twins: PreprocessingVariants) -> DataReport:
    """All of it, of the data set whose arrays lie in `source`; reads each array once."""
    about = samples.about(source)
    arrays = {split: files(source, split) for split in ("train", "test")}
    ranges = tuple(
        measure_range(split, number, path) for split, paths in arrays.items() for number, path in enumerate(paths)
    )
    train, test = (leakage.digests(source, split, paths) for split, paths in arrays.items())
    pairs = leakage.pairs(train, test)
    classes = tuple(count_classes(source, about.classes)) if about.task in ("classification", "multilabel") else ()
    repeated = leakage.repeated(train), leakage.repeated(test)
    found = (about.name, about.task, ranges, classes, *repeated, len(pairs), tuple(pairs[:NAMED]), twins)
    wrong, warnings = (
        tuple(list_faults(ranges, pairs)),
        tuple(list_doubts(ranges, classes, repeated[1], twins, about.unit)),
    )
    return DataReport(*found, warnings=warnings, wrong=wrong)


def files(source: Path, split: str) -> list[Path]:
    return [source / f"x_{split}_{number}.npy" for number in range(len(list(source.glob(f"x_{split}_*.npy"))))]


def measure_range(split: str, number: int, path: Path) -> ValueRange:
    like = samples.mapped(path)
    low, high, total, sound = math.inf, -math.inf, 0.0, 0
    for block in blocks(path, like):
        values = block[np.isfinite(block)] if block.dtype.kind == "f" else block
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
            total += float(values.sum(dtype=np.float64))
            sound += values.size
    mean = total / max(1, sound)
    return ValueRange(split, number, str(like.dtype), like.shape[1:], len(like), low, high, mean, like.size - sound)


def blocks(path: Path, like: Array) -> Iterator[Array]:
    step = max(1, BLOCK // max(1, like[:1].nbytes))
    for start in range(0, len(like), step):
        yield samples.mapped(path)[start : start + step]


def count_classes(source: Path, names: Sequence[str]) -> Iterator[ClassCount]:
    """The samples of each class, also of those that have none."""
    found = {split: read_labels(source / f"y_{split}.npy") for split in ("train", "test")}
    for number in range(max(len(names), *(len(counts) for counts in found.values()))):
        train, test = (int(counts[number]) if number < len(counts) else 0 for counts in found.values())
        yield ClassCount(names[number] if number < len(names) else str(number), train, test)


def read_labels(path: Path) -> Array:
    if not path.exists():
        return np.zeros(0, np.int64)
    labels = np.load(path)
    return np.bincount(labels) if labels.ndim == 1 else labels.sum(axis=0, dtype=np.int64)


def list_faults(ranges: Sequence[ValueRange], pairs: Sequence[tuple[int, int]]) -> Iterator[str]:
    for found in ranges:
        if found.unsound:
            yield f"input {found.input} of the {found.split} set has {found.unsound} values that are NaN or infinite"
    if pairs:
        named = ", ".join(f"{train} = {test}" for train, test in pairs[: leakage.SHOWN])
        yield (
            f"leakage: {len(pairs)} training samples are test samples too (train = test: {named}"
            f"{', …' if len(pairs) > leakage.SHOWN else ''}): take them out of one set, or set data.duplicates: skip"
        )


def list_doubts(
    ranges: Sequence[ValueRange], classes: Sequence[ClassCount], repeated: int, twins: PreprocessingVariants, unit: str
) -> Iterator[str]:
    yield from list_unlike_ranges(ranges)
    for split in ("train", "test"):
        yield from describe_imbalance(split, {found.name: getattr(found, split) for found in classes}, unit)
    if repeated:
        yield f"{repeated} test {unit} are there more than once: each counts as often"
    better = [twin for twin in twins.twins if twin.better]
    if better:
        best = max(better, key=lambda twin: twin.score)
        yield (
            f"prepared as '{best.name}' the data scores {best.score:.2%} instead of {twins.declared:.2%} on "
            f"{twins.samples} test {unit}: the model seems to be trained so; look at what `data` declares"
        )


def list_unlike_ranges(ranges: Sequence[ValueRange]) -> Iterator[str]:
    """Inputs that have another range in one set than in the other, or no range."""
    for number in sorted({found.input for found in ranges}):
        sets = [found for found in ranges if found.input == number]
        widths = [max(abs(found.low), abs(found.high)) for found in sets]
        if max(widths) > UNLIKE * min(widths):
            told = " and ".join(f"{found.low:.4g} to {found.high:.4g} in the {found.split} set" for found in sets)
            yield f"input {number} is {told}: are both prepared alike?"
        if any(found.low == found.high for found in sets):
            yield f"input {number} has one value everywhere"


def describe_imbalance(split: str, counts: Mapping[str, int], unit: str) -> Iterator[str]:
    absent = [name for name, count in counts.items() if not count]
    there = [count for count in counts.values() if count]
    if absent and there:
        yield f"the {split} set has no {unit} of {len(absent)} classes: {', '.join(absent[:5])}"
    if there and max(there) > UNEVEN * min(there):
        each = f"from {min(there):,} to {max(there):,} {unit}"
        yield f"the {split} set has {each} a class: look at each class by itself"
