"""What is in a data set, and what may be wrong with it, for people: what the stage `check` found."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driver.cli.workflow import shown
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.contract import read_shown
from shared.data import data_report
from shared.data.data_report import Examination
from shared.data.preprocessing_variants import Twins
from shared.errors import CrossquantError

OUTPUT = "check"
MOST = 20  # classes in the table


def conclude(freshness: Freshness, console: Console) -> int:
    """Show it, and say where it is. 1 where something must be mended before any figure means something."""
    seal = freshness.current(OUTPUT)
    if seal is None or seal.status != "ok":
        raise CrossquantError(f"the data can't be looked at: {seal.reason if seal else 'the model was not loaded'}")
    path = store.artifact_path(freshness.plan, OUTPUT) / data_report.FILE
    found = read_shown(Examination, path)
    show(found, console)
    console.print(f"written to {shown(path)}", soft_wrap=True, highlight=False)
    return 1 if found.wrong else 0


def show(found: Examination, console: Console) -> None:
    """Tables, then the findings, the worst first. Names of classes are the user's: no markup in them is obeyed."""
    console.print(Text(f"{found.name}: {found.task}"), highlight=False)
    console.print(ranges(found))
    if found.classes:
        console.print(classes(found))
    console.print(
        f"duplicates: {found.repeated_train:,} within the training set, {found.repeated_test:,} within the test set, "
        f"{found.leaking:,} in both",
        soft_wrap=True,
        highlight=False,
    )
    if found.twins.skipped:
        console.print(
            f"no twins of the preprocessing: {found.twins.skipped}", soft_wrap=True, highlight=False, markup=False
        )
    else:
        console.print(twins(found.twins))
    for kind, style, lines in (("wrong", "bold red", found.wrong), ("look at", "yellow", found.warnings)):
        for line in lines:
            console.print(Text(f"{kind}: {line}", style), soft_wrap=True)
    if not found.wrong + found.warnings:
        console.print("nothing to complain of")


def table(*headings: str) -> Table:
    made = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, heading in enumerate(headings):
        made.add_column(heading, justify="right" if number else "left", overflow="fold")
    return made


def ranges(found: Examination) -> Table:
    made = table("set", "input", "samples", "shape", "dtype", "min", "max", "mean", "NaN")
    for one in found.ranges:
        shape = " × ".join(map(str, one.shape))
        values = (f"{value:.4g}" for value in (one.low, one.high, one.mean))
        cells = (one.split, str(one.input), f"{one.samples:,}", shape, one.dtype, *values, f"{one.unsound:,}")
        made.add_row(*map(Text, cells))
    return made


def classes(found: Examination) -> Table:
    """The largest ones and the smallest ones, where there are many."""
    made = table("class", "train", "test")
    rows = sorted(found.classes, key=lambda one: -one.train) if len(found.classes) > MOST else list(found.classes)
    for number, one in enumerate(rows):
        if len(rows) > MOST and number == MOST // 2:
            made.add_row(f"… {len(rows) - MOST} more", "", "")
        if len(rows) <= MOST or number < MOST // 2 or number >= len(rows) - MOST // 2:
            made.add_row(Text(printable(one.name)), f"{one.train:,}", f"{one.test:,}")
    return made


def printable(name: str) -> str:
    """In one line, without what a terminal would obey."""
    return "".join(char if char.isprintable() else "�" for char in name)


def twins(found: Twins) -> Table:
    made = table(f"prepared ({found.samples} test samples)", "score", "")
    made.add_row("as declared", percent(found.declared or 0.0), "")
    for twin in sorted(found.twins, key=lambda one: -one.score):
        made.add_row(Text(twin.name), percent(twin.score), Text("better", "yellow") if twin.better else "")
    return made


def percent(score: float) -> str:
    return f"{100 * score:.2f} %"
