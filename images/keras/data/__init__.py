"""The user's own data: read once, preprocessed once, and stored as arrays that every later stage reads."""

import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from images.keras import sampling
from images.keras.data import detection_labels, embedding_labels, label_outputs
from images.keras.data.class_weights import resolve_class_weights
from images.keras.data.label_outputs import Declared
from images.keras.data.preprocessing import Preprocessing
from images.keras.data.sample_sets import TEST, ReaderOptions, SampleSets
from images.keras.data.split import save_splits
from images.keras.data.task_labels import DETECTION, EMBEDDING, InputForm, LabelOptions, RawLabels, TaskLabels
from images.keras.data.writer import WrittenSet, keep_nonempty, write_set
from images.keras.label_files import GROUPS_FILE, LABELS_FILE, name_labels
from shared.data import samples
from shared.data.samples import ABOUT, About, Array
from shared.detector_outputs import Detection
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
    class_weights: list[float] | dict[str, float] | str,
    script: str,
    header: bool,
    encoding: str,
    label_offset: int,
    test_share: float,
    seed: int,
    duplicates: str,
    unit: str,
    evaluated_output: int,
    outputs: list[int],
    output_tasks: list[str],
    ignored_label: int,
    group: str,
    detection: dict[str, Any],
) -> None:
    """Write `x_train_0.npy` …, `y_train.npy`, the same for `test`, `train_indices.npy`, digests, and `about.json`.

    Labels of another output than the evaluated one are `y_train_1.npy` …, by the output's number.
    Memory doesn't grow with the number of samples. CrossquantError names the file, row or sample that is wrong.
    """
    preprocessing = Preprocessing(tuple(resize), interpolation, fit, color, scale, tuple(mean), tuple(std), layout)
    # Imported here, since pyarrow must not be loaded before the fork.
    reader = importlib.import_module(f"images.keras.data.readers.{kind}")
    out = out.resolve()
    options = ReaderOptions(tuple(labels), tuple(features), script, header, encoding, group)
    boxes = read_detection(task, detection, source / "files")
    sets: SampleSets = reader.read((source / "files").resolve(), options)
    written = {split: write_set(out, split, samples, preprocessing, apply_to) for split, samples in sets.items()}
    written = keep_nonempty(written, out)
    first = next(iter(sets.values()))
    headline, *further = label_outputs.resolve_outputs(
        collect_labels(written, sets),
        first.labels,
        first.outputs,
        Declared(evaluated_output, task, tuple(classes) or first.classes, tuple(output_tasks), tuple(outputs)),
        LabelOptions(label_offset, ignored_label, boxes, fit if resize and 0 in apply_to else ""),
        read_form(out, next(iter(written))),
    )
    given = {split: number_groups(part.groups) for split, part in written.items()}
    groups = group_samples(headline.labels, given)
    arrays = {LABELS_FILE: headline.labels.arrays, GROUPS_FILE: groups} | {
        name_labels(item.output): item.labels.arrays for item in further
    }
    stratify = headline.labels.task != EMBEDDING or all(group is None for group in groups.values())
    save_splits(out, arrays, test_share, seed, duplicates, stratify=stratify)
    about = About(
        name=source.name,
        classes=headline.labels.classes,
        task=headline.labels.task,
        dtypes=resolve_dtypes(dtype, len(list(out.glob(f"x_{TEST}_*.npy")))),
        evaluated_output=evaluated_output,
        unit=unit or UNITS.get(kind, "samples"),
        inputs=tuple(first.inputs),
        label=headline.name,
        further_outputs=tuple(
            samples.LabelledOutput(item.output, item.name, item.labels.task, item.labels.classes) for item in further
        ),
        detection=boxes,
        class_weights=resolve_class_weights(class_weights, headline.labels),
    )
    (out / ABOUT).write_text(json.dumps(asdict(about)))


def read_detection(task: str, settings: dict[str, Any], files: Path) -> Detection | None:
    """How boxes and scores are read, of a detection. CrossquantError for settings of another task."""
    if task == DETECTION:
        return detection_labels.parse_detection(settings, files.resolve())
    if settings:
        raise CrossquantError(f"data.detection is there, and data.task is {task}: set data.task: detection")
    return None


def read_form(out: Path, split: str) -> InputForm:
    """Of the first input, from the array that was written."""
    array = samples.mapped(sampling.array_paths(out, split)[0])
    return InputForm(array.shape[1:], array.dtype.kind)


def number_groups(groups: Sequence[Any]) -> Array | None:
    """(samples,) int64: the number of each sample's group, from 0; None where no sample has one.

    CrossquantError where only some have one.
    """
    if all(group is None for group in groups):
        return None
    if any(group is None for group in groups):
        raise CrossquantError("some samples have a group and others have none: give each of them one")
    return np.unique([str(group) for group in groups], return_inverse=True)[1].astype(np.int64)


def group_samples(labels: TaskLabels, groups: dict[str, Array | None]) -> dict[str, Array | None]:
    """The groups of each set's samples: those that the data has, and of an embedding those that its labels make."""
    if labels.task != EMBEDDING:
        return groups
    return {
        split: given if (own := labels.arrays[split]) is None else embedding_labels.group_samples(own, given)
        for split, given in groups.items()
    }


def collect_labels(written: dict[str, WrittenSet], sets: SampleSets) -> dict[str, RawLabels]:
    """The labels of each set as the reader gave them. A single set is written as ALL, whatever the reader calls it."""
    return {
        split: RawLabels(part.labels, sets[part.split].locate, sets[part.split].textual)
        for split, part in written.items()
    }


def resolve_dtypes(dtypes: Sequence[str], count: int) -> tuple[str, ...]:
    """The type that each of `count` inputs is cast to when it is fed to a model; empty where the model decides."""
    for name in dtypes:
        if name not in DTYPES:
            raise CrossquantError(f"data.dtype: '{name}' is none of {', '.join(DTYPES)}")
    if len(dtypes) not in (0, 1, count):
        raise CrossquantError(f"data.dtype has {len(dtypes)} types, the data has {count} inputs")
    return tuple(dtypes) if len(dtypes) in (0, count) else tuple(dtypes) * count
