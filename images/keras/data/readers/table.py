"""A CSV or Parquet table: features and labels by column. `train.csv` and `test.csv`, or one table to be split."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from images.keras.data.sample_sets import ALL, TEST, TRAIN, Asked, Found, Sample, Sets, root, shown, visible
from shared.data.samples import Array
from shared.errors import CrossquantError
from shared.quantization import layer_names

TEXT, PARQUET = (".csv", ".tsv"), (".parquet",)
BATCH = 4096  # rows
BLOCK = 1 << 20  # bytes of text
INVALID = re.compile(r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to double: invalid value '(.*)'")


def read(files: Path, asked: Asked) -> Sets:
    top = root(files)
    tables = {path.stem: path for path in visible(top) if path.suffix.lower() in TEXT + PARQUET}
    if len(tables) == 1:
        tables = {ALL: next(iter(tables.values()))}
    elif set(tables) != {TRAIN, TEST}:
        raise CrossquantError(
            f"give one table, or train and test; there are: {', '.join(map(shown, tables)) or 'no .csv or .parquet'}"
        )
    first = tables.get(TRAIN) or next(iter(tables.values()))
    chosen = choose(header(first), asked, first)
    return {split: found(path, *chosen) for split, path in tables.items()}


def found(path: Path, features: list[str], labels: list[str]) -> Found:
    there = header(path)
    check_columns(path, features + labels, there)
    textual = path.suffix.lower() in TEXT
    rows = of_text(path, there, features, labels) if textual else of_parquet(path, features, labels)
    classes = tuple(labels) if len(labels) > 1 else ()
    return Found(samples(rows, features, path), lambda number: place(path, number), classes, textual)


def place(path: Path, row: int) -> str:
    return f"{shown(path.name)}, row {row + 1}"


def choose(there: list[str], asked: Asked, path: Path) -> tuple[list[str], list[str]]:
    """The columns of features and of labels: without a word, the last column is the label."""
    twice = [name for name in there if there.count(name) > 1]
    if twice:
        raise CrossquantError(f"{shown(path.name)} has two columns '{shown(twice[0])}': rename one")
    check_columns(path, [*asked.labels, *asked.features], there)
    labels = list(asked.labels or there[-1:])
    features = list(asked.features) or [name for name in there if name not in labels]
    if not features or set(features) & set(labels):
        raise CrossquantError(f"{shown(path.name)}: there must be features beside the labels {shown(labels)}")
    return features, labels


def check_columns(path: Path, asked: list[str], there: list[str]) -> None:
    for name in asked:
        if name not in there:
            hint = shown(layer_names.suggestion(name, there))
            raise CrossquantError(f"{shown(path.name)} has no column '{shown(name)}': {hint}")


def header(path: Path) -> list[str]:
    try:
        if path.suffix.lower() in PARQUET:
            return list(pyarrow.parquet.read_schema(path).names)
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file, delimiter=delimiter(path)), [])
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path, error) from None


def delimiter(path: Path) -> str:
    """A tab, or of comma and semicolon the one that the first line has more of."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline(BLOCK)
    return max(",;", key=first.count)


def unreadable(path: Path, error: Exception) -> CrossquantError:
    return CrossquantError(f"{shown(path.name)} can't be read: {shown(str(error).strip().splitlines()[0])[:300]}")


Rows = Iterator[tuple[list[Array], list[list[object]]]]  # features by column, labels by column


def of_text(path: Path, there: list[str], features: list[str], labels: list[str]) -> Rows:
    """Features as numbers whatever the first rows look like, labels as they stand."""
    types = {**dict.fromkeys(features, pyarrow.float64()), **dict.fromkeys(labels, pyarrow.string())}
    convert = pyarrow.csv.ConvertOptions(column_types=types, include_columns=features + labels)
    convert.strings_can_be_null = False
    reading = pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK)
    parsing = pyarrow.csv.ParseOptions(delimiter=delimiter(path), newlines_in_values=True)
    try:
        with pyarrow.csv.open_csv(path, reading, parsing, convert) as batches:
            for batch in batches:
                yield columns(batch, features, labels)
    except (pyarrow.ArrowException, OSError) as error:
        match = INVALID.search(str(error))
        if not match:
            raise unreadable(path, error) from None
        row = f", row {int(match[2]) - 1}" if match[2] else ""
        raise no_number(path, row, there[int(match[1])], match[3]) from None


def no_number(path: Path, row: str, column: str, value: str) -> CrossquantError:
    return CrossquantError(
        f"{shown(path.name)}{row}: '{shown(value)}' in column '{shown(column)}' is no number: "
        "encode the column as numbers, or name the others in data.features"
    )


def of_parquet(path: Path, features: list[str], labels: list[str]) -> Rows:
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for name in features:
                kind = file.schema_arrow.field(name).type
                numeric = pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)
                if not (numeric or pyarrow.types.is_boolean(kind)):
                    raise no_number(path, "", name, str(kind))
            for batch in file.iter_batches(BATCH, columns=features + labels, use_threads=False):
                yield columns(batch, features, labels)
    except (pyarrow.ArrowException, OSError) as error:
        raise unreadable(path, error) from None


def columns(
    batch: pyarrow.RecordBatch, features: list[str], labels: list[str]
) -> tuple[list[Array], list[list[object]]]:
    values = [batch.column(name).cast(pyarrow.float64()).to_numpy(zero_copy_only=False) for name in features]
    return values, [batch.column(name).to_pylist() for name in labels]


def samples(rows: Rows, features: list[str], path: Path) -> Iterator[Sample]:
    """One input with all features, float32; the label of one column, or an array of several."""
    done = 0
    for values, labels in rows:
        table = np.stack(values, axis=1)
        wrong = np.argwhere(~np.isfinite(table))
        if len(wrong):
            row, column = wrong[0]
            raise CrossquantError(
                f"{place(path, done + int(row))}: column '{shown(features[column])}' has no finite number: "
                "fill it or leave the row out"
            )
        for row, label in zip(table, zip(*labels, strict=True), strict=True):
            yield (row,), label[0] if len(label) == 1 else label
        done += len(table)
