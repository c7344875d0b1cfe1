"""The user's own data: read once, preprocessed once, and kept as arrays that every later stage reads."""

import importlib
import json
from collections.abc import Sequence
from pathlib import Path

from images.keras.data import label_readers
from images.keras.data.preprocessing import Preprocessing
from images.keras.data.sample_sets import TEST, Asked, Sets
from images.keras.data.split import finish
from images.keras.data.writer import Written, keep, write
from shared.data import samples
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
    test_share: float,
    seed: int,
    duplicates: str,
    unit: str,
    judged: int,
) -> None:
    """Write `x_train_0.npy` …, `y_train.npy`, the same of `test`, `train_indices.npy`, digests, and `about.json`.

    Memory doesn't grow with the number of samples. CrossquantError names the file, row or sample that is wrong.
    """
    done = Preprocessing(tuple(resize), interpolation, fit, color, scale, tuple(mean), tuple(std), layout)
    reader = importlib.import_module(
        f"images.keras.data.readers.{kind}"
    )  # here, since pyarrow must not be there at the fork
    out = out.resolve()
    sets: Sets = reader.read((source / "files").resolve(), Asked(tuple(labels), tuple(features), script))
    written = keep({split: write(out, split, found, done, apply_to) for split, found in sets.items()}, out)
    known = label_readers.resolve(task, given(written, sets), tuple(classes) or next(iter(sets.values())).classes)
    finish(out, known.arrays, test_share, seed, duplicates)
    count = len(list(out.glob(f"x_{TEST}_*.npy")))
    about = {
        "name": source.name,
        "sample": False,
        "classes": list(known.classes),
        "task": known.task,
        "dtypes": types(dtype, count),
        "judged": judged,
        "unit": unit or UNITS.get(kind, "samples"),
    }
    (out / samples.ABOUT).write_text(json.dumps(about))


def given(written: dict[str, Written], sets: Sets) -> dict[str, label_readers.Given]:
    return {
        split: label_readers.Given(one.labels, sets[one.split].where, sets[one.split].textual)
        for split, one in written.items()
    }


def types(asked: Sequence[str], count: int) -> list[str]:
    """What each input is cast to when it is fed to a model; nothing where the model decides."""
    for name in asked:
        if name not in DTYPES:
            raise CrossquantError(f"data.dtype: '{name}' is none of {', '.join(DTYPES)}")
    if len(asked) not in (0, 1, count):
        raise CrossquantError(f"data.dtype has {len(asked)} types, the data has {count} inputs")
    return list(asked) if len(asked) in (0, count) else list(asked) * count
