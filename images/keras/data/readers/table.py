"""A CSV or Parquet table: features and labels by column. `train.csv` and `test.csv`, or one table to be split."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet

from images.keras import framework_messages
from images.keras.data.sample_sets import (
    ALL,
    TEST,
    TRAIN,
    ReaderOptions,
    Sample,
    SampleSet,
    SampleSets,
    find_root,
    list_entries,
    printable_name,
)
from shared.data.samples import Array
from shared.errors import CrossquantError
from shared.quantization import layer_names
from shared.text import first_line

TEXT, PARQUET = (".csv", ".tsv"), (".parquet",)
BATCH = 4096  # rows
BLOCK = 1 << 20  # bytes of text


def read(files: Path, options: ReaderOptions) -> SampleSets:
    """The rows of one table, or of `train` and `test`. CrossquantError for other tables or missing columns."""
    tables = {path.stem: path for path in list_entries(find_root(files)) if path.suffix.lower() in TEXT + PARQUET}
    if len(tables) == 1:
        tables = {ALL: next(iter(tables.values()))}
    elif set(tables) != {TRAIN, TEST}:
        names = ", ".join(map(printable_name, tables)) or "no .csv or .parquet"
        raise CrossquantError(f"give one table, or train and test; there are: {names}")
    first = tables.get(TRAIN) or next(iter(tables.values()))
    features, labels = choose_columns(read_column_names(first), options, first)
    return {split: make_set(path, features, labels) for split, path in tables.items()}


def make_set(path: Path, features: list[str], labels: list[str]) -> SampleSet:
    """The rows of one table. CrossquantError where it lacks one of the columns."""
    names = read_column_names(path)
    check_columns(path, features + labels, names)
    textual = path.suffix.lower() in TEXT
    batches = read_text(path, names, features, labels) if textual else read_parquet(path, features, labels)
    classes = tuple(labels) if len(labels) > 1 else ()
    samples = iterate_samples(batches, features, path)
    return SampleSet(samples, lambda number: locate_row(path, number), classes, textual)


def locate_row(path: Path, row: int) -> str:
    """The place of the row with this index, counted from 1 as spreadsheets do."""
    return f"{printable_name(path.name)}, row {row + 1}"


def choose_columns(names: list[str], options: ReaderOptions, path: Path) -> tuple[list[str], list[str]]:
    """The columns of features and of labels: where the experiment names none, the last column is the label."""
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise CrossquantError(
            f"{printable_name(path.name)} has two columns '{printable_name(repeated[0])}': rename one"
        )
    check_columns(path, [*options.labels, *options.features], names)
    labels = list(options.labels or names[-1:])
    features = list(options.features) or [name for name in names if name not in labels]
    if not features or set(features) & set(labels):
        raise CrossquantError(
            f"{printable_name(path.name)}: there must be features beside the labels {printable_name(labels)}"
        )
    return features, labels


def check_columns(path: Path, columns: list[str], names: list[str]) -> None:
    """CrossquantError for the first of `columns` that is not among the table's `names`."""
    for name in columns:
        if name not in names:
            hint = printable_name(layer_names.suggest_names(name, names))
            raise CrossquantError(f"{printable_name(path.name)} has no column '{printable_name(name)}': {hint}")


def read_column_names(path: Path) -> list[str]:
    try:
        if path.suffix.lower() in PARQUET:
            return list(pyarrow.parquet.read_schema(path).names)
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file, delimiter=find_delimiter(path)), [])
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, csv.Error) as error:
        raise make_read_error(path, error) from None


def find_delimiter(path: Path) -> str:
    """A tab for .tsv; else comma or semicolon, whichever the first line has more of."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline(BLOCK)
    return max(",;", key=first.count)


def make_read_error(path: Path, error: Exception) -> CrossquantError:
    return CrossquantError(f"{printable_name(path.name)} can't be read: {printable_name(first_line(error))[:300]}")


Columns = tuple[list[Array], list[list[object]]]  # features by column, labels by column


def read_text(path: Path, names: list[str], features: list[str], labels: list[str]) -> Iterator[Columns]:
    """Batches of a text file's rows: features as numbers, whatever the first rows look like, and labels as texts."""
    types = {**dict.fromkeys(features, pyarrow.float64()), **dict.fromkeys(labels, pyarrow.string())}
    convert = pyarrow.csv.ConvertOptions(column_types=types, include_columns=features + labels)
    convert.strings_can_be_null = False
    reading = pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK)
    parsing = pyarrow.csv.ParseOptions(delimiter=find_delimiter(path), newlines_in_values=True)
    try:
        with pyarrow.csv.open_csv(path, reading, parsing, convert) as batches:
            for batch in batches:
                yield convert_batch(batch, features, labels)
    except (pyarrow.ArrowException, OSError) as error:
        match = framework_messages.INVALID_NUMBER.search(str(error))
        if not match:
            raise make_read_error(path, error) from None
        row = f", row {int(match['row']) - 1}" if match["row"] else ""
        raise make_number_error(path, row, names[int(match["column"])], match["value"]) from None


def make_number_error(path: Path, row: str, column: str, value: str) -> CrossquantError:
    where = f"{printable_name(path.name)}{row}"
    return CrossquantError(
        f"{where}: '{printable_name(value)}' in column '{printable_name(column)}' is not a number: "
        "encode the column as numbers, or name the others in data.features"
    )


def read_parquet(path: Path, features: list[str], labels: list[str]) -> Iterator[Columns]:
    """Batches of a Parquet file's rows. CrossquantError for a feature whose column is not of numbers."""
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for name in features:
                kind = file.schema_arrow.field(name).type
                numeric = pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)
                if not (numeric or pyarrow.types.is_boolean(kind)):
                    raise make_number_error(path, "", name, str(kind))
            for batch in file.iter_batches(BATCH, columns=features + labels, use_threads=False):
                yield convert_batch(batch, features, labels)
    except (pyarrow.ArrowException, OSError) as error:
        raise make_read_error(path, error) from None


def convert_batch(batch: pyarrow.RecordBatch, features: list[str], labels: list[str]) -> Columns:
    values = [batch.column(name).cast(pyarrow.float64()).to_numpy(zero_copy_only=False) for name in features]
    return values, [batch.column(name).to_pylist() for name in labels]


def iterate_samples(batches: Iterator[Columns], features: list[str], path: Path) -> Iterator[Sample]:
    """One input (k,) of all features; the label of one column, or a tuple of several. CrossquantError for NaN."""
    done = 0
    for values, labels in batches:
        table = np.stack(values, axis=1)
        wrong = np.argwhere(~np.isfinite(table))
        if len(wrong):
            row, column = wrong[0]
            where = f"{locate_row(path, done + int(row))}: column '{printable_name(features[column])}'"
            raise CrossquantError(f"{where} has no finite number: fill it or leave the row out")
        for row, label in zip(table, zip(*labels, strict=True), strict=True):
            yield (row,), label[0] if len(label) == 1 else label
        done += len(table)
