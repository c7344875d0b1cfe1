"""`comparison.html`: the comparison as one file that needs nothing else, neither a network nor a script."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from driver.analysis import metric_specs, numbers
from driver.analysis.results import Changed, Comparison
from driver.comparison.page_data import PageData
from driver.report import columns, gate_format, phrases
from driver.report.page import class_tables, cross_cpu, draws, layers, metrics, tables
from shared.command import COMMAND

TEMPLATES = Path(__file__).parent / "templates"
PARTS = {
    "parts": tables,
    "classes": class_tables,
    "draws": draws,
    "cross_cpu": cross_cpu,
    "layers": layers,
    "metrics": metrics,
    "metric_specs": metric_specs,
    "columns": columns,
}


def page_html(comparison: Comparison, page_data: PageData) -> str:
    """The whole page: the same bytes for the same data."""
    style = (TEMPLATES / "style.css").read_text()
    text: str = load_template().render(c=comparison, m=page_data, style=style, **draw_plots(comparison, page_data))
    return text


@cache
def load_template() -> Any:
    """The compiled template: compiling takes a third of the time that a page takes."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - for this alone

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.globals |= {"f": numbers, "gate_texts": gate_format, "phrases": phrases, "command": COMMAND, **PARTS}
    return environment.get_template("comparison.html.j2")


def draw_plots(comparison: Comparison, page_data: PageData) -> dict[str, Any]:
    """All that is not text: plots and pictures."""
    from driver.report.page import thumbnails  # noqa: PLC0415 - Matplotlib takes a second to import
    from driver.report.plots import cross_cpu, draws, layers, pareto, rows  # noqa: PLC0415

    calibration = page_data.calibration_images
    return {
        "front_latency": pareto.latency(comparison),
        "front_size": pareto.size(comparison),
        "spread": rows.latency(comparison, page_data.seconds),
        "confidence": rows.calibration(comparison),
        "strip": draws.strip(comparison),
        "curve": draws.curve(comparison),
        "cpus": cross_cpu.draw(comparison),
        "sensitivity": {name: layers.draw(sensitivity) for name, sensitivity in page_data.explained.items()},
        "changed": galleries(comparison, page_data),
        "sheet": thumbnails.sheet(calibration) if calibration is not None and len(calibration) else None,
    }


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


def galleries(comparison: Comparison, page_data: PageData) -> list[tuple[str, int, list[ChangedSample]]]:
    """For each variant that changed answers its name, how many it changed, and the first of them."""
    names = comparison.dataset.get("classes", [])
    changed = [(row.name, page_data.changed.get(row.name, ())) for row in comparison.variants]
    changed = [(name, items) for name, items in changed if items]
    most = tables.thumbnails_each(len(changed))
    images, kind = page_data.test_images, metric_specs.singular_of(comparison.unit)
    return [
        (name, len(items), [describe_changed(item, names, images, kind) for item in items[:most]])
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
