"""The user's own data: read once, preprocessed once, and stored as arrays that every later stage reads."""

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from images.keras.data import task_labels
from images.keras.data.preprocessing import Preprocessing
from images.keras.data.sample_sets import TEST, ReaderOptions, SampleSets
from images.keras.data.split import save_splits
from images.keras.data.writer import WrittenSet, keep_nonempty, write_set
from shared.data.samples import ABOUT, Array
from shared.errors import CrossquantError

DYNAMIC_IMPORTS = ("images.keras.data.readers.*",)
UNITS = {"folder": "images", "table": "rows"}
DTYPES = ("float32", "float64", "float16", "uint8", "int8", "int16", "int32", "int64", "bool")


def run(
    source: Path,
    out: Path,
    *,
    kind: str,
    task: str,
    resize: list[int],
    interpolation: str,
    fit: str,
    color: str,
    scale: float,
    mean: list[float],
    std: list[float],
    layout: str,
    apply_to: list[int],
    dtype: list[str],
    labels: list[str],
    features: list[str],
    classes: list[str],
    script: str,
    header: bool,
    encoding: str,
    label_offset: int,
    test_share: float,
    seed: int,
    duplicates: str,
    unit: str,
    evaluated_output: int,
    group: str,
) -> None:
    """Write `x_train_0.npy` …, `y_train.npy`, the same for `test`, `train_indices.npy`, digests, and `about.json`.

    Memory doesn't grow with the number of samples. CrossquantError names the file, row or sample that is wrong.
    """
    preprocessing = Preprocessing(tuple(resize), interpolation, fit, color, scale, tuple(mean), tuple(std), layout)
    # Imported here, since pyarrow must not be loaded before the fork.
    reader = importlib.import_module(f"images.keras.data.readers.{kind}")
    out = out.resolve()
    options = ReaderOptions(tuple(labels), tuple(features), script, header, encoding, group)
    sets: SampleSets = reader.read((source / "files").resolve(), options)
    written = {split: write_set(out, split, samples, preprocessing, apply_to) for split, samples in sets.items()}
    written = keep_nonempty(written, out)
    first = next(iter(sets.values()))
    class_names = tuple(classes) or first.classes
    resolved = task_labels.resolve_labels(task, collect_labels(written, sets), class_names, label_offset)
    groups = {split: number_groups(part.groups) for split, part in written.items()}
    save_splits(out, resolved.arrays, groups, test_share, seed, duplicates)
    count = len(list(out.glob(f"x_{TEST}_*.npy")))
    about = {
        "name": source.name,
        "sample": False,
        "classes": list(resolved.classes),
        "task": resolved.task,
        "dtypes": resolve_dtypes(dtype, count),
        "evaluated_output": evaluated_output,
        "unit": unit or UNITS.get(kind, "samples"),
        "inputs": list(first.inputs),
        "label": first.label,
    }
    (out / ABOUT).write_text(json.dumps(about))


def number_groups(groups: Sequence[Any]) -> Array | None:
    """(samples,) int64: the number of each sample's group, from 0; None where no sample has one.

    CrossquantError where only some have one.
    """
    if all(group is None for group in groups):
        return None
    if any(group is None for group in groups):
        raise CrossquantError("some samples have a group and others have none: give each of them one")
    return np.unique([str(group) for group in groups], return_inverse=True)[1].astype(np.int64)


def collect_labels(written: dict[str, WrittenSet], sets: SampleSets) -> dict[str, task_labels.RawLabels]:
    """The labels of each set as the reader gave them. A single set is written as ALL, whatever the reader calls it."""
    return {
        split: task_labels.RawLabels(part.labels, sets[part.split].locate, sets[part.split].textual)
        for split, part in written.items()
    }


def resolve_dtypes(dtypes: Sequence[str], count: int) -> list[str]:
    """The type that each of `count` inputs is cast to when it is fed to a model; empty where the model decides."""
    for name in dtypes:
        if name not in DTYPES:
            raise CrossquantError(f"data.dtype: '{name}' is none of {', '.join(DTYPES)}")
    if len(dtypes) not in (0, 1, count):
        raise CrossquantError(f"data.dtype has {len(dtypes)} types, the data has {count} inputs")
    return list(dtypes) if len(dtypes) in (0, count) else list(dtypes) * count
