"""The look at the data, as a person reads it."""

import io

from rich.console import Console

from driver.cli import check_data
from shared.data.data_report import ClassCount, DataReport, ValueRange
from shared.data.preprocessing_variants import PreprocessingVariants, ScoredVariant

SCORED = PreprocessingVariants(300, 0.098, (ScoredVariant("BGR", 0.1, False), ScoredVariant("0 to 255", 0.87, True)))


def make_report(**change: object) -> DataReport:
    base: dict[str, object] = {
        "name": "my-data",
        "task": "classification",
        "ranges": (ValueRange("train", 0, "uint8", (32, 32, 3), 1234, 0, 255, 120.7076, 0),),
        "classes": (ClassCount("[red]cat[/red] \x1b[2J", 900, 30), ClassCount("<b>", 334, 10)),
        "repeated_train": 2,
        "repeated_test": 1,
        "leaking": 0,
        "leaks": (),
        "preprocessing": PreprocessingVariants(
            300, 0.098, (ScoredVariant("BGR", 0.1, False), ScoredVariant("0 to 255", 0.87, True))
        ),
    }
    return DataReport(**(base | change))


def text(report: DataReport) -> str:
    file = io.StringIO()
    check_data.show(report, Console(file=file, width=120))
    return file.getvalue()


def test_everything_is_shown():
    shown = text(make_report(warnings=("[b]look here",), wrong=("[i]leakage",)))
    assert "train 0 1,234 32 × 32 × 3 uint8 0 255 120.7 0" in " ".join(shown.split())
    assert "duplicates: 2 within the training set, 1 within the test set, 0 in both" in shown
    assert shown.index("0 to 255") < shown.index("BGR"), "the best variant first"
    assert "87.00 % better" in " ".join(shown.split())
    assert shown.index("wrong: [i]leakage") < shown.index("look at: [b]look here")


def test_names_of_classes_are_neither_markup_nor_orders_to_the_terminal():
    assert "[red]cat[/red] �[2J" in text(make_report())
    assert "\x1b" not in text(make_report())


def test_many_classes_are_cut_in_the_middle():
    many = tuple(ClassCount(f"class {number}", 1000 - number, 5) for number in range(50))
    shown = text(make_report(classes=many))
    assert "… 30 more" in shown
    assert "class 0 " in shown
    assert "class 49" in shown
    assert "class 25" not in shown


def test_nothing_wrong_is_shown_too():
    assert "nothing to complain of" in text(make_report())
    assert "no variants of the preprocessing: no input" in text(
        make_report(preprocessing=PreprocessingVariants(skipped="no input is a picture"))
    )
