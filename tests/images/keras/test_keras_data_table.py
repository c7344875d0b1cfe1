"""CSV and Parquet tables: features as numbers, labels by column, errors with column and row."""

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tests.images.keras.data_makers import User, read_about

WINE = {"acid": [1.5, 2.0, 3.25, 4.0] * 5, "sugar": [*range(19, -1, -1)], "kind": ["red", "white"] * 10}


def write(user: User, name: str, columns: dict) -> None:
    if name.endswith(".parquet"):
        pyarrow.parquet.write_table(pyarrow.table(columns), user.files / name, row_group_size=7)
        return
    between = {"csv": ",", "tsv": "\t"}[name[-3:]]
    lines = [between.join(columns), *(between.join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    user.text(name, "\n".join(lines) + "\n")


def shift_acid(columns: dict, by: float) -> dict:
    return columns | {"acid": [value + by for value in columns["acid"]]}


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "CSV"])
def test_a_training_and_a_test_table(user: User, suffix: str):
    write(user, f"train.{suffix.lower()}", WINE)
    write(user, f"test.{suffix.lower()}", shift_acid(WINE, 10))
    if suffix == "CSV":
        (user.files / "train.csv").rename(user.files / "train.CSV")
    out = user.run("table")
    assert np.load(out / "x_train_0.npy").tolist() == [
        list(row) for row in zip(WINE["acid"], WINE["sugar"], strict=True)
    ]
    assert np.load(out / "x_train_0.npy").dtype == np.float32
    assert np.load(out / "x_test_0.npy")[0].tolist() == [11.5, 19]
    assert np.load(out / "y_train.npy").tolist() == [0, 1] * 10
    assert (read_about(out)["classes"], read_about(out)["task"], read_about(out)["unit"]) == (
        ["red", "white"],
        "classification",
        "rows",
    )


def test_one_table_is_split(user: User):
    write(user, "wine data.csv", WINE)
    out = user.run("table")
    assert np.bincount(np.load(out / "y_test.npy")).tolist() == [2, 2]
    assert len(np.load(out / "x_train_0.npy")) == 16


def test_columns_by_name(user: User):
    write(user, "wine.parquet", WINE | {"id": [f"n{number}" for number in range(20)]})
    out = user.run("table", labels=["acid"], features=["sugar"])
    assert np.load(out / "x_train_0.npy").shape == (16, 1)
    assert read_about(out)["task"] == "regression"


def test_several_labels_are_named(user: User):
    write(user, "wine.csv", WINE | {"kind": [0, 1] * 10, "good": [1, 1] * 10, "old": [0, 0] * 10})
    out = user.run("table", labels=["kind", "good", "old"])
    assert (read_about(out)["task"], read_about(out)["classes"]) == ("multilabel", ["kind", "good", "old"])
    assert np.load(out / "y_test.npy").shape == (4, 3)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize(("values", "task"), [([0, 1, 2, 1] * 5, "classification"), ([0.5, 1, 2, 3] * 5, "regression")])
def test_numbers_as_labels(user: User, suffix: str, values: list, task: str):
    write(
        user, f"wine.{suffix}", WINE | {"kind": [float(value) if task == "regression" else value for value in values]}
    )
    assert read_about(user.run("table"))["task"] == task


def test_semicolons_quotes_a_byte_order_mark_and_lines_within_a_cell(user: User):
    names = ("a; b", "c\nd")
    rows = "".join(f'{number};"{names[number % 2]}"\n' for number in range(20))
    user.text("train.csv", f'\ufeff"size; cm";kind\n{rows}')
    out = user.run("table")
    assert read_about(out)["classes"] == ["a; b", "c\nd"]


def test_a_number_that_comes_late_in_a_large_file_has_the_type_of_all(user: User):
    """Types are guessed from the first block by many readers."""
    whole = {"acid": [*range(200_000), 0.5, 0.25], "kind": [0, 1] * 100_001}
    write(user, "wine.csv", whole)
    out = user.run("table", test_share=0.01)
    assert {0.5, 0.25} & set(np.load(out / "x_train_0.npy")[:, 0].tolist())


def with_value(column: str, value: object, row: int = 12) -> dict:
    return WINE | {column: [value if number == row else old for number, old in enumerate(WINE[column])]}


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (
            with_value("acid", "much"),
            {},
            "wine.csv, row 13: 'much' in column 'acid' is not a number: encode the column",
        ),
        (
            with_value("acid", ""),
            {},
            "wine.csv, row 13: column 'acid' has no finite number: fill it or leave the row out",
        ),
        (with_value("acid", "nan"), {}, "wine.csv, row 13: column 'acid' has no finite number"),
        (with_value("acid", "inf"), {}, "wine.csv, row 13: column 'acid' has no finite number"),
        (with_value("kind", ""), {}, "wine.csv, row 13 has no label, others have one"),
        (WINE, {"labels": ["knd"]}, "wine.csv has no column 'knd': did you mean kind?"),
        (WINE, {"labels": ["kind"], "features": ["kind"]}, "wine.csv: there must be features beside the labels"),
        (WINE, {"classes": ["red"]}, "wine.csv, row 2: its label 'white' is none of the 1 classes"),
        ({"kind": ["a", "b"]}, {}, "wine.csv: there must be features beside the labels"),
        (with_value("acid", "1,2"), {}, "wine.csv can't be read: CSV parse error: "),
        (WINE, {"task": "regression"}, "data.task"),
    ],
)
def test_tables_that_are_wrong(user: User, columns: dict, options: dict, message: str):
    write(user, "wine.csv", columns)
    if options == {"task": "regression"}:
        assert "regression" in user.run("table", **options).joinpath("about.json").read_text()
        return
    assert user.error_of("table", **options).startswith(message)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (WINE | {"acid": ["a"] * 20}, "wine.parquet: 'string' in column 'acid' is not a number: encode the column"),
        (with_value("acid", None), "wine.parquet, row 13: column 'acid' has no finite number"),
        (with_value("kind", None), "wine.parquet, row 13 has no label, others have one"),
    ],
)
def test_parquet_tables_that_are_wrong(user: User, columns: dict, message: str):
    write(user, "wine.parquet", columns)
    assert user.error_of("table").startswith(message)


def test_two_columns_of_one_name(user: User):
    user.text("wine.csv", "acid,acid,kind\n1,2,a\n3,4,b\n")
    assert user.error_of("table") == "wine.csv has two columns 'acid': rename one"


@pytest.mark.parametrize("name", ["wine.csv", "wine.parquet"])
@pytest.mark.parametrize("damage", ["cut", "noise", "empty"])
def test_damaged_tables(user: User, name: str, damage: str):
    write(user, name, WINE)
    whole = (user.files / name).read_bytes()
    (user.files / name).write_bytes({"cut": whole[: len(whole) // 2], "noise": b"\xff\xfe\x00", "empty": b""}[damage])
    if damage == "cut" and name.endswith("csv"):  # half a line at the end is all that can be seen of it
        (user.files / name).write_bytes(whole[: whole.rindex(b",")])
    message = user.error_of("table")
    assert message.startswith(name), message


def test_tables_by_other_names(user: User):
    write(user, "one.csv", WINE)
    write(user, "two.csv", WINE)
    assert user.error_of("table") == "give one table, or train and test; there are: one, two"


def test_a_test_table_without_a_column(user: User):
    write(user, "train.csv", WINE)
    write(user, "test.csv", {name: WINE[name] for name in ("acid", "kind")})
    assert user.error_of("table") == "test.csv has no column 'sugar': known are acid, kind"


def test_a_first_row_of_numbers_is_no_header(user: User):
    user.text("train.csv", "".join(f"{number},{number * 2},{number % 2}\n" for number in range(7, 27)))
    message = user.error_of("table")
    assert message == (
        "train.csv: its first row has only numbers (7, 14, 1): set data.header: false if it is a sample, or name the "
        "columns in it"
    )
    out = user.run("table", header=False)
    samples = np.concatenate([np.load(out / f"x_{split}_0.npy") for split in ("train", "test")])
    assert sorted(samples[:, 0].tolist()) == list(range(7, 27)), "the first row is a sample"
    assert np.load(user.run("table", header=False, labels=["2"], features=["0"]) / "x_test_0.npy").shape[1:] == (1,)


def test_names_that_are_numbers_from_0_are_a_header(user: User):
    user.text("train.csv", "0,1,2\n" + "".join(f"{number},{number * 2},{number % 2}\n" for number in range(7, 27)))
    out = user.run("table")
    assert sum(len(np.load(out / f"x_{split}_0.npy")) for split in ("train", "test")) == 20


def test_without_a_header_the_rows_are_counted_from_the_first(user: User):
    user.text("train.csv", "".join(f"{number},{'much' if number == 9 else 2},{number % 2}\n" for number in range(20)))
    assert user.error_of("table", header=False).startswith("train.csv, row 10: 'much' in column '1' is not a number")


@pytest.mark.parametrize(("decimal", "encoding"), [(",", "utf-8"), (".", "cp1252"), (",", "utf-16")])
def test_semicolons_with_decimal_commas_in_any_encoding(user: User, decimal: str, encoding: str):
    rows = [(number + 0.5, number, number * 1.25) for number in range(20)]
    text = "Größe;Zimmer;Preis\n" + "".join(";".join(map(str, row)) + "\n" for row in rows).replace(".", decimal)
    (user.files / "flats.csv").write_text(text, encoding=encoding)
    out = user.run("table", encoding=encoding, features=["Größe", "Zimmer"])
    assert read_about(out)["task"] == "regression"
    features, labels = (
        np.concatenate([np.load(out / name.format(split)) for split in ("train", "test")])
        for name in ("x_{}_0.npy", "y_{}.npy")
    )
    read = sorted(
        (float(size), int(rooms), float(price)) for (size, rooms), (price,) in zip(features, labels, strict=True)
    )
    assert read == rows


def test_an_encoding_that_is_not_named(user: User):
    text = "Größe;Preis\n" + "1;2\n" * 9 + "ü;2\n"
    (user.files / "flats.csv").write_text(text, encoding="cp1252")
    hint = "save it as UTF-8, or name its encoding, such as data.encoding: cp1252"
    assert user.error_of("table") == f"flats.csv: its line 1 is not UTF-8: {hint}"
    (user.files / "flats.csv").write_text(text.replace("öß", "os"), encoding="cp1252")
    assert user.error_of("table") == f"flats.csv: its line 11 is not UTF-8: {hint}"


@pytest.mark.parametrize("missing", ["NA", "?", "n/a"])
def test_a_label_that_is_missing_is_named_by_its_row(user: User, missing: str):
    prices = [f"{number * 1.5}" for number in range(20)]
    prices[17] = missing
    write(user, "flats.csv", {"size": range(20), "price": prices})
    assert user.error_of("table") == (
        f"flats.csv, row 18: its label '{missing}' is not a number, as those of most rows are: fix it or leave the row "
        "out; if labels are names of classes, list them in data.classes"
    )


def test_names_of_classes_may_be_numbers_in_part(user: User):
    write(user, "wine.csv", WINE | {"kind": ["1", "2", "3", "many"] * 5})
    names = ["1", "2", "3", "many"]
    assert read_about(user.run("table", classes=names))["classes"] == names


def test_as_many_labels_as_samples_are_no_classes(user: User):
    write(user, "wine.csv", {"acid": range(30), "name": [f"wine {number}" for number in range(30)]})
    assert user.error_of("table") == (
        "30 samples can't be split into a training and a test set: each has a label of its own: set data.task if they "
        "are no classes"
    )


# Columns of lists, in Parquet.

TOKENS = {"input_ids": [[101, number, 102, 0] for number in range(20)], "attention_mask": [[1, 1, 1, 0]] * 20}


@pytest.mark.parametrize("kind", ["list", "large list", "fixed list"])
def test_columns_of_lists_are_inputs_of_their_own(user: User, kind: str):
    types = {"list": pyarrow.list_(pyarrow.int64()), "large list": pyarrow.large_list(pyarrow.int64())}
    types["fixed list"] = pyarrow.list_(pyarrow.int64(), 4)
    columns = {name: pyarrow.array(cells, types[kind]) for name, cells in TOKENS.items()}
    write(user, "texts.parquet", columns | {"kind": [0, 1] * 10})
    out = user.run("table", test_share=0.5)
    about = read_about(out)
    assert (about["inputs"], about["task"]) == (["input_ids", "attention_mask"], "classification")
    ids = np.concatenate([np.load(out / f"x_{split}_0.npy") for split in ("train", "test")])
    masks = np.load(out / "x_test_1.npy")
    assert (ids.dtype, masks.shape) == (np.int64, (10, 4))
    assert sorted(ids.tolist()) == TOKENS["input_ids"]
    assert masks.tolist() == TOKENS["attention_mask"][:10]


def test_numbers_beside_lists_are_one_input(user: User):
    columns = {"sugar": WINE["sugar"], "ids": TOKENS["input_ids"], "acid": WINE["acid"]}
    write(user, "train.parquet", columns | {"kind": WINE["kind"]})
    write(user, "test.parquet", shift_acid(columns, 10) | {"kind": WINE["kind"]})
    out = user.run("table")
    assert read_about(out)["inputs"] == ["features", "ids"]
    assert np.load(out / "x_test_0.npy")[0].tolist() == [19, 11.5]
    assert np.load(out / "x_test_1.npy")[3].tolist() == [101, 3, 102, 0]
    assert read_about(user.run("table", features=["ids", "acid"]))["inputs"] == ["ids", "acid"]


def test_lists_of_lists_and_floats(user: User):
    cells = [[[number, 0.5], [1.0, 2.0], [3.0, 4.0]] for number in range(20)]
    write(user, "windows.parquet", {"window": cells, "kind": [0, 1] * 10})
    window = np.load(user.run("table") / "x_test_0.npy")
    assert (window.shape, window.dtype, window[0, 1].tolist()) == ((4, 3, 2), np.float32, [1.0, 2.0])


@pytest.mark.parametrize(
    ("row", "cell", "message"),
    [
        (11, [1, 2, 3], "texts.parquet, row 12: column 'ids' has a list of 3, the first row of 4: pad all to one"),
        (11, [], "texts.parquet, row 12: column 'ids' has no list with values: fill it or leave the row out"),
        (3, None, "texts.parquet, row 4: column 'ids' has no list with values: fill it or leave the row out"),
        (8, [1, 2, None, 4], "texts.parquet, row 9: column 'ids' has a list with a missing value: fill it or leave"),
    ],
)
def test_lists_that_are_no_array_are_refused(user: User, row: int, cell: list | None, message: str):
    cells: list = list(TOKENS["input_ids"])
    cells[row] = cell
    write(user, "texts.parquet", {"ids": cells, "kind": [0, 1] * 10})
    assert message in user.error_of("table")


def test_a_later_batch_has_lists_of_the_first_one_s_length(user: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("images.keras.data.readers.table.BATCH", 7)
    write(user, "texts.parquet", {"ids": [[1, 2]] * 7 + [[1, 2, 3]] * 13, "kind": [0, 1] * 10})
    assert "texts.parquet, row 8: column 'ids' has a list of 3, the first row of 2: pad" in user.error_of("table")


def test_lists_within_lists_of_two_lengths_name_the_row(user: User):
    cells = [[[1, 2], [3, 4]]] * 5 + [[[1, 2], [3]]] * 15
    write(user, "texts.parquet", {"ids": cells, "kind": [0, 1] * 10})
    assert "texts.parquet, row 6: column 'ids' has a list of 1, the first row of 2: pad" in user.error_of("table")


def test_lists_of_texts_are_no_features(user: User):
    write(user, "texts.parquet", {"ids": [["a", "b"]] * 20, "kind": [0, 1] * 10})
    assert "texts.parquet: 'string' in column 'ids' is not a number" in user.error_of("table")


@pytest.mark.parametrize(("tags", "task"), [([0, 2, 1, -100], "tagging"), ([0, 1, 1], "multilabel")])
def test_labels_may_be_lists(user: User, tags: list, task: str):
    write(user, "texts.parquet", {"ids": TOKENS["input_ids"], "tags": [tags] * 20})
    out = user.run("table")
    assert (read_about(out)["task"], np.load(out / "y_test.npy").shape) == (task, (4, len(tags)))


def test_labels_of_two_lengths_are_refused(user: User):
    cells = [[0, 1, 1, 0]] * 19 + [[0, 1, 1]]
    write(user, "texts.parquet", {"ids": TOKENS["input_ids"], "tags": cells})
    assert "texts.parquet, row 20: its label [0 1 1] is unlike the first one's" in user.error_of("table")
