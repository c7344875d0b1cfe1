"""A CSV or Parquet table: features and labels by column. `train.csv` and `test.csv`, or one table to be split.

Columns of numbers form one input. In a Parquet file a column may have lists of one length, such as token ids: each is
an input of its own.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet
from pyarrow import compute

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
from shared.text import first_line, suggest_names

TEXT, PARQUET = (".csv", ".tsv"), (".parquet",)
BATCH = 4096  # rows
BLOCK = 1 << 20  # bytes of text
UTF8 = "utf-8"
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+")  # with a decimal comma
ROW = "features"  # the name of the input that all columns of numbers form, beside columns of lists


@dataclass(frozen=True)
class Table:
    """One table: its columns by name and, of a text file, how it is written. `first_row`: the number of its header.

    Without a header, columns are named by their numbers, from 0. `lists` are the columns whose cells are lists.
    """

    path: Path
    names: list[str]
    textual: bool = False
    encoding: str = UTF8
    delimiter: str = ","
    decimal: str = "."
    header: bool = True
    lists: frozenset[str] = frozenset()

    def locate(self, row: int) -> str:
        """The place of the row with this index, counted from 1 as spreadsheets do, without the header."""
        return f"{printable_name(self.path.name)}, row {row + 1}"


def read(files: Path, options: ReaderOptions) -> SampleSets:
    """The rows of one table, or of `train` and `test`. CrossquantError for other tables or missing columns."""
    paths = {path.stem: path for path in list_entries(find_root(files)) if path.suffix.lower() in TEXT + PARQUET}
    if len(paths) == 1:
        paths = {ALL: next(iter(paths.values()))}
    elif set(paths) != {TRAIN, TEST}:
        names = ", ".join(map(printable_name, paths)) or "no .csv or .parquet"
        raise CrossquantError(f"give one table, or train and test; there are: {names}")
    tables = {split: open_table(path, options) for split, path in paths.items()}
    features, labels = choose_columns(tables.get(TRAIN) or next(iter(tables.values())), options)
    return {split: make_set(table, features, labels, options.group) for split, table in tables.items()}


def open_table(path: Path, options: ReaderOptions) -> Table:
    """The table with the names of its columns. CrossquantError where it can't be read, or seems to have no header."""
    try:
        if path.suffix.lower() in PARQUET:
            schema = pyarrow.parquet.read_schema(path)
            return Table(path, list(schema.names), lists=frozenset(each.name for each in schema if is_list(each.type)))
        check_encoding(path, options.encoding)
        return open_text(path, options)
    except (pyarrow.ArrowException, OSError, UnicodeError, csv.Error) as error:
        raise make_read_error(path, error) from None


def open_text(path: Path, options: ReaderOptions) -> Table:
    """The text file as a table: the form of numbers follows from its first rows."""
    encoding = "utf-8-sig" if options.encoding == UTF8 else options.encoding
    with path.open(encoding=encoding, newline="") as file:
        start = file.read(BLOCK)
    delimiter = find_delimiter(path, start)
    rows = list(csv.reader(io.StringIO(start), delimiter=delimiter))
    first = rows[0] if rows else []
    if options.header and looks_like_a_sample(first):
        raise CrossquantError(
            f"{printable_name(path.name)}: its first row has only numbers ({printable_name(', '.join(first))[:60]}): "
            "set data.header: false if it is a sample, or name the columns in it"
        )
    names = first if options.header else [str(number) for number in range(len(first))]
    decimal = "," if delimiter == ";" and has_decimal_commas(rows[1:]) else "."
    return Table(path, names, True, options.encoding, delimiter, decimal, options.header)


def check_encoding(path: Path, encoding: str) -> None:
    """CrossquantError, with the row, where the text file isn't in this encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    rows = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            try:
                rows += decoder.decode(block).count("\n")
            except UnicodeDecodeError as error:
                row = rows + block[: max(0, error.start)].count(b"\n") + 1
                raise CrossquantError(
                    f"{printable_name(path.name)}: its line {row} is not {encoding.upper()}: save it as UTF-8, or name "
                    "its encoding, such as data.encoding: cp1252"
                ) from None


def looks_like_a_sample(cells: list[str]) -> bool:
    """Are all cells numbers? Numbers that count from 0 are names of columns, as pandas writes them."""
    numbers = bool(cells) and all(NUMBER.fullmatch(cell.strip()) for cell in cells)
    return numbers and [cell.strip() for cell in cells] != [str(number) for number in range(len(cells))]


def has_decimal_commas(rows: list[list[str]]) -> bool:
    return any(COMMA_NUMBER.fullmatch(cell.strip()) for row in rows for cell in row)


def is_list(kind: pyarrow.DataType) -> bool:
    types = pyarrow.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def make_set(table: Table, features: list[str], labels: list[str], group: str) -> SampleSet:
    """The rows of one table, grouped by a column, "" for none. CrossquantError where it lacks one of the columns."""
    plain = [*labels, group] if group else labels  # what may be any text
    check_columns(table, features + plain)
    batches = read_text(table, features, plain) if table.textual else read_parquet(table, features, plain)
    classes = tuple(labels) if len(labels) > 1 else ()
    samples = iterate_samples(batches, features, table, grouped=bool(group))
    return SampleSet(samples, table.locate, classes, table.textual, name_inputs(table, features))


def name_inputs(table: Table, features: list[str]) -> tuple[str, ...]:
    """The names of the inputs, where columns of lists are among them: the others form one, in the place of the first.

    That one has the name of its column, or ROW where it has several.
    """
    numbers = [name for name in features if name not in table.lists]
    if len(numbers) == len(features):
        return ()
    row = numbers[0] if len(numbers) == 1 else ROW
    return tuple(dict.fromkeys(name if name in table.lists else row for name in features))


def choose_columns(table: Table, options: ReaderOptions) -> tuple[list[str], list[str]]:
    """The columns of features and of labels: where the experiment names none, the last column is the label."""
    names = table.names
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise CrossquantError(
            f"{printable_name(table.path.name)} has two columns '{printable_name(repeated[0])}': rename one"
        )
    check_columns(table, [*options.labels, *options.features, *filter(None, [options.group])])
    names = [name for name in names if name != options.group]
    labels = list(options.labels or names[-1:])
    features = list(options.features) or [name for name in names if name not in labels]
    if not features or set(features) & {*labels, options.group}:
        raise CrossquantError(
            f"{printable_name(table.path.name)}: there must be features beside the labels {printable_name(labels)}"
        )
    return features, labels


def check_columns(table: Table, columns: list[str]) -> None:
    """CrossquantError for the first of `columns` that is not among the table's."""
    for name in columns:
        if name not in table.names:
            hint = printable_name(suggest_names(name, table.names))
            raise CrossquantError(f"{printable_name(table.path.name)} has no column '{printable_name(name)}': {hint}")


def find_delimiter(path: Path, text: str) -> str:
    """A tab for .tsv; else comma or semicolon, whichever the first line has more of."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    return max(",;", key=(text.splitlines() or [""])[0].count)


def make_read_error(path: Path, error: Exception) -> CrossquantError:
    return CrossquantError(f"{printable_name(path.name)} can't be read: {printable_name(first_line(error))[:300]}")


Columns = tuple[list[Array], list[list[object]]]  # features by column, (rows, …) each, and labels by column


def read_text(table: Table, features: list[str], labels: list[str]) -> Iterator[Columns]:
    """Batches of a text file's rows: features as numbers, whatever the first rows look like, and labels as texts."""
    path = table.path
    types = {**dict.fromkeys(features, pyarrow.float64()), **dict.fromkeys(labels, pyarrow.string())}
    convert = pyarrow.csv.ConvertOptions(
        column_types=types, include_columns=features + labels, decimal_point=table.decimal
    )
    convert.strings_can_be_null = False
    reading = pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK, encoding=table.encoding)
    if not table.header:
        reading.column_names = table.names
    parsing = pyarrow.csv.ParseOptions(delimiter=table.delimiter, newlines_in_values=True)
    try:
        with pyarrow.csv.open_csv(path, reading, parsing, convert) as batches:
            for batch in batches:
                values, texts = convert_batch(batch, features, labels)
                yield (
                    values,
                    [list(map(write_with_point, column)) for column in texts] if table.decimal == "," else texts,
                )
    except (pyarrow.ArrowException, OSError) as error:
        match = framework_messages.INVALID_NUMBER.search(str(error))
        if not match:
            raise make_read_error(path, error) from None
        row = f", row {int(match['row']) - table.header}" if match["row"] else ""
        raise make_number_error(path, row, table.names[int(match["column"])], match["value"]) from None


def write_with_point(label: object) -> object:
    """The label with a decimal point, where it is a number with a decimal comma."""
    return (
        label.strip().replace(",", ".") if isinstance(label, str) and COMMA_NUMBER.fullmatch(label.strip()) else label
    )


def make_number_error(path: Path, row: str, column: str, value: str) -> CrossquantError:
    where = f"{printable_name(path.name)}{row}"
    return CrossquantError(
        f"{where}: '{printable_name(value)}' in column '{printable_name(column)}' is not a number: "
        "encode the column as numbers, or name the others in data.features"
    )


def read_parquet(table: Table, features: list[str], labels: list[str]) -> Iterator[Columns]:
    """Batches of a Parquet file's rows. CrossquantError for a feature that is neither a number nor a list of numbers,
    and for lists that are of different lengths.
    """
    lengths: dict[tuple[str, int], int] = {}
    done = 0
    try:
        with pyarrow.parquet.ParquetFile(table.path) as file:
            for name in features:
                kind = file.schema_arrow.field(name).type
                while is_list(kind):
                    kind = kind.value_type
                numeric = pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)
                if not (numeric or pyarrow.types.is_boolean(kind)):
                    raise make_number_error(table.path, "", name, str(kind))
            for batch in file.iter_batches(BATCH, columns=features + labels, use_threads=False):
                values = [
                    unpack_lists(batch.column(name), name, lengths, partial(locate_from, table, done))
                    if name in table.lists
                    else to_doubles(batch.column(name))
                    for name in features
                ]
                yield values, list_labels(batch, labels)
                done += len(batch)
    except (pyarrow.ArrowException, OSError) as error:
        raise make_read_error(table.path, error) from None


def locate_from(table: Table, start: int, row: int) -> str:
    """The place of a row that is counted from `start`."""
    return table.locate(start + row)


def unpack_lists(
    column: pyarrow.Array, name: str, lengths: dict[tuple[str, int], int], locate: Callable[[int], str]
) -> Array:
    """The lists of a column as one array, (rows, length, …), of their own type.

    `lengths` has those of the first row, by column and by how many lists are around a list; this adds what it lacks.
    CrossquantError, with the row, for other lengths and for missing values.
    """
    where, shape, values = f"column '{printable_name(name)}'", [len(column)], column
    while is_list(values.type):
        found = compute.fill_null(compute.list_value_length(values), -1).to_numpy(zero_copy_only=False)
        expected = lengths.setdefault((name, len(shape)), int(found[0]) if len(found) else 0)
        wrong = np.flatnonzero((found != expected) | (found < 1))
        if len(wrong):
            length, inside = int(found[wrong[0]]), int(np.prod(shape[1:]))
            place = f"{locate(int(wrong[0]) // inside)}: {where}"
            if length < 1:
                raise CrossquantError(f"{place} has no list with values: fill it or leave the row out")
            raise CrossquantError(f"{place} has a list of {length}, the first row of {expected}: pad all to one length")
        shape.append(expected)
        values = values.flatten()
    if values.null_count:
        row = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0]) // int(np.prod(shape[1:]))
        raise CrossquantError(f"{locate(row)}: {where} has a list with a missing value: fill it or leave the row out")
    unpacked: Array = values.to_numpy(zero_copy_only=False).reshape(shape)
    return unpacked


def convert_batch(batch: pyarrow.RecordBatch, features: list[str], labels: list[str]) -> Columns:
    return [to_doubles(batch.column(name)) for name in features], list_labels(batch, labels)


def to_doubles(column: pyarrow.Array) -> Array:
    doubles: Array = column.cast(pyarrow.float64()).to_numpy(zero_copy_only=False)
    return doubles


def list_labels(batch: pyarrow.RecordBatch, labels: list[str]) -> list[list[object]]:
    """The labels by column; what is a list in its cell is an array."""
    columns = (batch.column(name).to_pylist() for name in labels)
    return [[np.array(label) if isinstance(label, list) else label for label in column] for column in columns]


def iterate_samples(
    batches: Iterator[Columns], features: list[str], table: Table, *, grouped: bool
) -> Iterator[Sample]:
    """One input (k,) of all columns of numbers, and one of each column of lists; the label of one column, or a tuple of
    several. CrossquantError for NaN.

    `grouped`: does the last column beside the features group the rows?
    """
    done = 0
    numbers = [position for position, name in enumerate(features) if name not in table.lists]
    for values, labels in batches:
        inputs = list(values)
        if numbers:
            inputs[numbers[0]] = rows = np.stack([values[position] for position in numbers], axis=1)
            wrong = np.argwhere(~np.isfinite(rows))
            if len(wrong):
                row, column = wrong[0]
                name = printable_name(features[numbers[column]])
                where = f"{table.locate(done + int(row))}: column '{name}'"
                raise CrossquantError(f"{where} has no finite number: fill it or leave the row out")
        inputs = [array for position, array in enumerate(inputs) if position not in numbers[1:]]
        groups = labels.pop() if grouped else [None] * len(inputs[0])
        for arrays, label, group in zip(zip(*inputs, strict=True), zip(*labels, strict=True), groups, strict=True):
            yield Sample(arrays, label[0] if len(label) == 1 else label, group)
        done += len(inputs[0])
