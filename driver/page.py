"""`comparison.html`: the comparison as one file that needs nothing else, neither a network nor a script."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from driver import (
    columns,
    figures,
    measures,
    page_classes,
    page_draws,
    page_elsewhere,
    page_layers,
    page_metrics,
    page_parts,
    reporting,
)
from driver.results import Changed, Comparison
from shared.sensitivity import Sensitivity

TEMPLATES = Path(__file__).parent / "templates"
PARTS = {
    "parts": page_parts,
    "classes": page_classes,
    "draws": page_draws,
    "elsewhere": page_elsewhere,
    "layers": page_layers,
    "figures": page_metrics,
    "measures": measures,
    "columns": columns,
}


@dataclass(frozen=True)
class Material:
    """What the page shows of the raw evidence, beyond the comparison.

    `changed` by variant, the surest first; `seconds` by variant, of every call at batch 1 on one thread. Images are
    (n, height, width, channels), mapped; None where the samples are no pictures. `experiment_text` is the YAML;
    `explained` by variant.
    """

    changed: dict[str, tuple[Changed, ...]]
    seconds: dict[str, tuple[float, ...]]
    test_images: NDArray[Any] | None
    calibration_images: NDArray[Any] | None
    experiment_text: str
    explained: dict[str, Sensitivity] = field(default_factory=dict)


def html(comparison: Comparison, material: Material) -> str:
    """The whole page: the same bytes for the same data."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - for this alone

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.globals |= {"f": figures, "reporting": reporting, **PARTS}
    template = environment.get_template("comparison.html.j2")
    style = (TEMPLATES / "style.css").read_text()
    return template.render(c=comparison, m=material, style=style, **drawn(comparison, material))


def drawn(comparison: Comparison, material: Material) -> dict[str, Any]:
    """All that is not text: plots and pictures."""
    # Matplotlib takes a second to import
    from driver import pictures, plots_draws, plots_elsewhere, plots_front, plots_layers, plots_rows  # noqa: PLC0415

    calibration = material.calibration_images
    return {
        "front_latency": plots_front.latency(comparison),
        "front_size": plots_front.size(comparison),
        "spread": plots_rows.latency(comparison, material.seconds),
        "confidence": plots_rows.calibration(comparison),
        "strip": plots_draws.strip(comparison),
        "curve": plots_draws.curve(comparison),
        "cpus": plots_elsewhere.draw(comparison),
        "sensitivity": {name: plots_layers.draw(found) for name, found in material.explained.items()},
        "changed": galleries(comparison, material),
        "sheet": pictures.sheet(calibration) if calibration is not None and len(calibration) else None,
    }


@dataclass(frozen=True)
class Shown:
    """A changed image: its picture, "" where the test images aren't there, and what is said of it."""

    item: Changed
    picture: str
    alt: str
    classes: tuple[str, str, str]  # of the label, of the reference's answer, of the variant's

    @property
    def outcome(self) -> str:
        if self.item.variant_answer == self.item.label:
            return "now right"
        return "now wrong" if self.item.reference_answer == self.item.label else "still wrong"


def galleries(comparison: Comparison, material: Material) -> list[tuple[str, int, list[Shown]]]:
    """For each variant that changed answers its name, how many it changed, and the first of them."""
    names = comparison.dataset.get("classes", [])
    found = [(row.name, material.changed.get(row.name, ())) for row in comparison.variants]
    found = [(name, items) for name, items in found if items]
    most = page_parts.pictures_each(len(found))
    images, kind = material.test_images, measures.one(comparison.unit)
    return [(name, len(items), [shown(item, names, images, kind) for item in items[:most]]) for name, items in found]


def shown(item: Changed, names: Sequence[str], images: NDArray[Any] | None, kind: str = "image") -> Shown:
    from driver import pictures  # noqa: PLC0415 - Pillow is for pictures alone

    label, before, after = (
        page_parts.class_name(names, answer) for answer in (item.label, item.reference_answer, item.variant_answer)
    )
    picture = pictures.single(images[item.index]) if images is not None and item.index < len(images) else ""
    return Shown(item, picture, f"{kind} {item.index}: {label}, was {before}, now {after}", (label, before, after))
