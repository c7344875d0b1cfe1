"""`check-data`: what is in a data set, and what may be wrong with it, as the stage `check` found it."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driver.cli.arguments import CheckData
from driver.cli.console import Output, make_output, print_line, shorten_path
from driver.cli.workflow import describe_power, load_experiment, make_artifacts
from driver.plan.expand import DATASET
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.contract import read_shown
from shared.data import data_report, samples
from shared.data.data_report import DataReport
from shared.data.preprocessing_variants import PreprocessingVariants
from shared.errors import CrossquantError, StageError

OUTPUT, LABELS = "check", "labels"
DRAWN = ("segmentation", "detection")  # tasks whose labels are drawn over pictures
PICTURE_AXES, LABEL_AXES = 4, 3  # of arrays of pictures, of masks and of objects, with that of the samples
MOST_CHANNELS = 4  # of a picture: a smaller axis before the last one has the channels
MOST = 20  # classes in the table


def run(arguments: CheckData) -> int:
    """Look at the data, and show the findings. 1 where one must be fixed before any metric means something."""
    output, options = make_output(arguments.display), arguments.engine_options
    experiment = load_experiment(arguments.experiment, options)
    freshness, failed, _ = make_artifacts(experiment, [OUTPUT], options, output, sample=arguments.sample)
    if failed:
        return StageError.exit_code
    return 1 if show_examination(freshness, output).wrong else 0


def show_examination(freshness: Freshness, output: Output) -> DataReport:
    """Show what the stage found, and say where it is."""
    manifest = freshness.current(OUTPUT)
    if manifest is None or manifest.status != "ok":
        raise CrossquantError(
            f"the data can't be looked at: {manifest.reason if manifest else 'the model was not loaded'}"
        )
    path = store.artifact_path(freshness.plan, OUTPUT) / data_report.FILE
    report = read_shown(DataReport, path)
    if output.json:
        output.print_json(asdict(report))
        return report
    show(report, output.answer)
    if drawn := draw_labels(freshness):
        output.print_line(f"test samples with their labels: {shorten_path(drawn)}")
    tested = next((item.samples for item in report.ranges if item.split == "test"), 0)
    about = samples.about(store.artifact_path(freshness.plan, DATASET))
    if power := describe_power(freshness.plan, tested, "samples", about):
        output.print_line(power)
    output.print_line(f"written to {shorten_path(path)}")
    return report


def draw_labels(freshness: Freshness) -> Path | None:
    """Draw some test samples with their masks or boxes into a PNG on the volume; None where there are none to draw."""
    if any(freshness.current(name) is None for name in (DATASET, LABELS)):
        return None
    folder, labels_folder = (store.artifact_path(freshness.plan, name) for name in (DATASET, LABELS))
    labels, pictures = samples.labels(labels_folder), samples.mapped(samples.inputs(folder)[0])
    about = samples.about(folder)
    if about.task not in DRAWN or labels is None or pictures.ndim != PICTURE_AXES or len(labels) != len(pictures):
        return None
    if labels.ndim != LABEL_AXES or (about.task == "detection") != (about.detection is not None):
        return None
    if pictures.shape[1] <= MOST_CHANNELS < pictures.shape[-1]:
        pictures = np.moveaxis(pictures, 1, -1)
    from driver.report import label_pictures

    path = store.volumes() / freshness.plan.experiment / "check-data.png"
    first, own = np.asarray(pictures[: label_pictures.MOST]), labels[: label_pictures.MOST]
    if about.detection is None:
        content = label_pictures.draw_masks(first, own)
    else:
        content = label_pictures.draw_boxes(first, own, normalized=about.detection.normalized)
    store.write_atomically(path, content)
    return path


def show(report: DataReport, console: Console) -> None:
    """Tables, then the findings, the worst first. Names of classes are the user's: no markup in them is obeyed."""
    console.print(Text(f"{report.name}: {report.task}"), highlight=False)
    for item in report.outputs:
        name = f", {printable(item.name)}" if item.name else ""
        console.print(Text(f"output {item.output}{name}: {item.task}"), highlight=False)
    console.print(tabulate_ranges(report))
    if report.classes:
        console.print(tabulate_classes(report))
    print_line(
        console,
        f"duplicates: {report.repeated_train:,} within the training set, "
        f"{report.repeated_test:,} within the test set, {report.leaking:,} in both",
    )
    if report.preprocessing.skipped:
        print_line(console, f"no variants of the preprocessing: {report.preprocessing.skipped}")
    else:
        console.print(tabulate_preprocessing(report.preprocessing))
    for kind, style, lines in (("wrong", "bold red", report.wrong), ("look at", "yellow", report.warnings)):
        for line in lines:
            console.print(Text(f"{kind}: {line}", style), soft_wrap=True)
    if not report.wrong + report.warnings:
        console.print("nothing to complain of")


def make_table(*headings: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", overflow="fold")
    return table


def tabulate_ranges(report: DataReport) -> Table:
    table = make_table("set", "input", "samples", "shape", "dtype", "min", "max", "mean", "NaN")
    for one in report.ranges:
        shape = " × ".join(map(str, one.shape))
        values = (f"{value:.4g}" for value in (one.low, one.high, one.mean))
        cells = (one.split, str(one.input), f"{one.samples:,}", shape, one.dtype, *values, f"{one.unsound:,}")
        table.add_row(*map(Text, cells))
    return table


def tabulate_classes(report: DataReport) -> Table:
    """The largest ones and the smallest ones, where there are many."""
    counted = "positions of the class" if report.task in data_report.PER_POSITION else "class"
    table, classes = make_table(counted, "train", "test"), report.classes
    rows = sorted(classes, key=lambda one: -one.train) if len(classes) > MOST else list(classes)
    for number, one in enumerate(rows):
        if len(rows) > MOST and number == MOST // 2:
            table.add_row(f"… {len(rows) - MOST} more", "", "")
        if len(rows) <= MOST or number < MOST // 2 or number >= len(rows) - MOST // 2:
            table.add_row(Text(printable(one.name)), f"{one.train:,}", f"{one.test:,}")
    return table


def printable(name: str) -> str:
    """`name` in one line, without control characters."""
    return "".join(char if char.isprintable() else "�" for char in name)


def tabulate_preprocessing(variants: PreprocessingVariants) -> Table:
    table = make_table(f"prepared ({variants.samples} test samples)", "score", "")
    table.add_row("as declared", percent(variants.declared or 0.0), "")
    for variant in sorted(variants.variants, key=lambda one: -one.score):
        table.add_row(Text(variant.name), percent(variant.score), Text("better", "yellow") if variant.better else "")
    return table


def percent(score: float) -> str:
    return f"{100 * score:.2f} %"
