"""`comparison.html`: the comparison as one file that needs no network. Its script only sorts and filters a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from driver.analysis import metric_specs, numbers
from driver.analysis.results import Changed, Comparison
from driver.comparison.page_data import PageData
from driver.report import columns, decision_phrases, gate_format, layer_phrases, part_tables, phrases
from driver.report.glossary import Definitions
from driver.report.page import class_tables, cross_cpu, draws, layers, main_table, metrics, tables
from shared.command import COMMAND

TEMPLATES = Path(__file__).parent / "templates"
PARTS = {
    "parts": tables,
    "main": main_table,
    "classes": class_tables,
    "draws": draws,
    "cross_cpu": cross_cpu,
    "layers": layers,
    "metrics": metrics,
    "metric_specs": metric_specs,
    "columns": columns,
    "part_tables": part_tables,
}


def page_html(comparison: Comparison, page_data: PageData) -> str:
    """The whole page: the same bytes for the same data."""
    files = {name: (TEMPLATES / file).read_text() for name, file in (("style", "style.css"), ("script", "table.js"))}
    drawn = draw_plots(comparison, page_data)
    text: str = load_template().render(c=comparison, m=page_data, definitions=Definitions(), **files, **drawn)
    return text


@cache
def load_template() -> Any:
    """The compiled template: compiling takes a third of the time that a page takes."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - for this alone

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.globals |= {"f": numbers, "gate_texts": gate_format, "command": COMMAND, **PARTS}
    environment.globals |= {"phrases": phrases, "decision_phrases": decision_phrases, "layer_phrases": layer_phrases}
    return environment.get_template("comparison.html.j2")


@dataclass(frozen=True)
class Plot:
    """A plot as SVG, and the same drawn for a phone; `numbered` is what the numbers in the narrow one stand for."""

    wide: str
    narrow: str
    best: tuple[str, ...] = ()
    numbered: tuple[str, ...] = ()
    shown: int = 0


def draw_plots(comparison: Comparison, page_data: PageData) -> dict[str, Any]:
    """All that is not text: plots and pictures."""
    from driver.report.page import thumbnails  # noqa: PLC0415 - Matplotlib takes a second to import
    from driver.report.plots import draws, layers, rows  # noqa: PLC0415

    calibration = page_data.calibration_images
    return {
        **draw_fronts(comparison),
        "spread": draw_twice(partial(rows.latency, comparison, page_data.seconds)),
        "confidence": draw_twice(partial(rows.calibration, comparison)),
        "strip": draw_twice(partial(draws.strip, comparison)),
        "curve": draw_twice(partial(draws.curve, comparison)),
        "cpus": draw_cpus(comparison),
        "sensitivity": {
            name: draw_twice(partial(layers.draw, sensitivity)) for name, sensitivity in page_data.explained.items()
        },
        "changed": galleries(comparison, page_data),
        "sheet": thumbnails.sheet(calibration) if calibration is not None and len(calibration) else None,
    }


def draw_twice(draw: Callable[..., str]) -> Plot | None:
    """None where there is nothing to draw."""
    wide = draw()
    return Plot(wide, draw(narrow=True)) if wide else None


def draw_fronts(comparison: Comparison) -> dict[str, Plot | None]:
    from driver.report.plots import pareto  # noqa: PLC0415 - Matplotlib takes a second to import

    plots: dict[str, Plot | None] = {}
    for name, draw, price in (
        ("front_latency", pareto.latency, pareto.get_latency),
        ("front_size", pareto.size, pareto.get_size),
    ):
        (wide, best), (narrow, _) = draw(comparison), draw(comparison, narrow=True)
        numbered = tuple(pareto.list_numbered(comparison, price))
        plots[name] = Plot(wide, narrow, tuple(best), numbered) if wide else None
    return plots


def draw_cpus(comparison: Comparison) -> Plot | None:
    from driver.report.plots import cross_cpu as plot  # noqa: PLC0415 - Matplotlib takes a second to import

    (wide, shown), (narrow, _) = plot.draw(comparison), plot.draw(comparison, narrow=True)
    return Plot(wide, narrow, shown=shown) if wide else None


@dataclass(frozen=True)
class ChangedSample:
    """A changed image: its picture, "" where the test images aren't there, and its description."""

    item: Changed
    picture: str
    alt: str
    classes: tuple[str, str, str]  # of the label, of the reference's answer, of the variant's

    @property
    def outcome(self) -> str:
        if self.item.variant_answer == self.item.label:
            return "now right"
        return "now wrong" if self.item.reference_answer == self.item.label else "still wrong"


@dataclass(frozen=True)
class Gallery:
    """The answers that a variant changed: how many of them each way, and the first of them; `open` is the one that a
    reader wants to see.
    """

    variant: str
    lost: int  # right -> wrong
    won: int  # wrong -> right
    others: int  # wrong before and after
    shown: list[ChangedSample]
    open: bool

    @property
    def count(self) -> int:
        return self.lost + self.won + self.others


def galleries(comparison: Comparison, page_data: PageData) -> list[Gallery]:
    """For each variant that changed answers. That of the variant that is shipped is open."""
    names = comparison.dataset.get("classes", [])
    changed = [(row.name, page_data.changed.get(row.name, ())) for row in comparison.variants]
    changed = [(name, items) for name, items in changed if items]
    images, kind = page_data.test_images, metric_specs.singular_of(comparison.unit)
    return [
        Gallery(
            name,
            sum(item.reference_answer == item.label for item in items),
            sum(item.variant_answer == item.label for item in items),
            sum(item.label not in (item.reference_answer, item.variant_answer) for item in items),
            [
                describe_changed(item, names, images, kind)
                for item in items[: tables.count_thumbnails(len(changed), name == comparison.shipped)]
            ],
            name == comparison.shipped,
        )
        for name, items in changed
    ]


def describe_changed(
    item: Changed, names: Sequence[str], images: NDArray[Any] | None, kind: str = "image"
) -> ChangedSample:
    from driver.report.page import thumbnails  # noqa: PLC0415 - Pillow is for pictures alone

    label, before, after = (
        tables.class_name(names, answer) for answer in (item.label, item.reference_answer, item.variant_answer)
    )
    picture = thumbnails.single(images[item.index]) if images is not None and item.index < len(images) else ""
    return ChangedSample(
        item, picture, f"{kind} {item.index}: {label}, was {before}, now {after}", (label, before, after)
    )
