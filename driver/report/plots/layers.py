"""Which layers of a quantized variant lose how much, as a plot."""

from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from driver.report.plots import drawing
from driver.report.plots.drawing import CARD, INK, MUTED, SMALL
from driver.report.plots.rows import LINE, NAME_HEIGHT, NAME_LINE, SIDES, write_name
from shared.sensitivity.layer_errors import Layer, Sensitivity

ROW, MOST = 22, 80  # pixels; layers shown
NAME = 32  # characters of a layer's name that are shown
GAP = 36  # pixels between the two panels
TALL = 25  # layers from which on the numbers of the axes stand above too
STYLE = f"background:var(--card);font-family:var(--sans);font-size:{SMALL:g}px"
Layers = tuple[Layer, ...]


def draw(sensitivity: Sensitivity, narrow: bool = False) -> str:
    """For each layer what of the distance from float is left with it alone in float, and the scores.

    "" where there are no layers. Of more than MOST layers, the most sensitive.
    """
    layers = sensitivity.layers[:MOST]
    if not layers:
        return ""
    names = [short(layer.name) for layer in layers]
    above = 52 if len(layers) > TALL else 34
    description = (
        f"What each layer of {sensitivity.variant} loses, the most sensitive first; the table below has the figures"
    )
    titles = f"{sensitivity.distance} from float that is left, {sensitivity.unit}", f"{sensitivity.score}, %"
    name = f"layers-{sensitivity.variant}"
    if narrow:
        paint = partial(narrow_panels, sensitivity=sensitivity, layers=layers, names=names, headings=titles)
        below = 42 + LINE * 5
        size = (drawing.NARROW, len(layers) * (ROW + NAME_LINE) + below + above + LINE)
        margins = (SIDES[0], SIDES[1], below, above + LINE)
        return drawing.draw(name + drawing.NARROW_SUFFIX, description, size, margins, paint)
    left = 24 + 7 * max(map(len, names))
    paint = partial(panels, sensitivity=sensitivity, layers=layers, names=names, headings=titles)
    size = (drawing.WIDE, len(layers) * ROW + 100 + above)
    return drawing.draw(name, description, size, (left, 24, 100, above), paint)


def short(name: str) -> str:
    """Without the middle where it is long: names of layers differ at their ends."""
    half = (NAME - 1) // 2
    return name if len(name) <= NAME else f"{name[:half]}…{name[-(NAME - 1 - half) :]}"


def alone(sensitivity: Sensitivity) -> str:
    """The plot as a file of its own, in light and dark like the page."""
    style = (Path(__file__).parents[1] / "page" / "templates" / "style.css").read_text()
    colours = style[: style.index("* {")]
    svg = draw(sensitivity) or '<svg viewBox="0 0 1 1"></svg>'
    width, height = svg.split('viewBox="')[1].split('"')[0].split()[2:]
    own = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" style="{STYLE}" '
    return svg.replace("<svg ", own, 1).replace(">", f"><style>{colours}</style>", 1) + "\n"


def panels(
    axes: Axes, sensitivity: Sensitivity, layers: Layers, names: list[str], headings: tuple[str, str]
) -> list[str]:
    """The distance on the left, the scores on the right."""
    axes.set_yticks(range(len(layers)), names)
    titles = fill_panels(axes, sensitivity, layers, headings, GAP / drawing.WIDE)
    legend(axes, 2)
    return titles


def narrow_panels(
    axes: Axes, sensitivity: Sensitivity, layers: Layers, names: list[str], headings: tuple[str, str]
) -> list[str]:
    """The same with each layer's name above its row."""
    axes.set_yticks(range(len(layers)), [""] * len(layers))
    distance, score = headings
    titles = fill_panels(
        axes, sensitivity, layers, (distance.replace(" from float that", "\nthat"), score), GAP / 2 / drawing.NARROW
    )
    for number, name in enumerate(names):
        write_name(axes, number - NAME_HEIGHT, name)
    for panel in axes.figure.axes:
        panel.set_ylim(len(layers) - 0.6, -1.0)
        panel.xaxis.set_major_locator(MaxNLocator(3))
    legend(axes, 1)
    return titles


def fill_panels(
    axes: Axes, sensitivity: Sensitivity, layers: Layers, headings: tuple[str, str], gap: float
) -> list[str]:
    box = axes.get_position()
    width = (box.width - gap) / 2
    axes.set_position((box.x0, box.y0, width, box.height))
    right = axes.figure.add_axes((box.x1 - width, box.y0, width, box.height))
    right.set_yticks(range(len(layers)), [""] * len(layers))
    titles = distances(axes, sensitivity, layers)
    scores(right, sensitivity, layers)
    for panel, title in zip((axes, right), headings, strict=True):
        frame(panel, title, len(layers))
    return titles


def frame(axes: Axes, title: str, count: int) -> None:
    axes.set_title(title, pad=8)
    axes.set_ylim(count - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.10g}"))
    axes.tick_params(axis="x", labeltop=count > TALL)


def distances(axes: Axes, sensitivity: Sensitivity, layers: Layers) -> list[str]:
    """From what the whole quantized model has, to what is left: the longer the line, the more the layer loses."""
    axes.axvline(sensitivity.float_kl, color=INK, linewidth=1.2)
    titles = []
    for number, layer in enumerate(layers):
        axes.plot([sensitivity.float_kl, layer.kept_kl], [number] * 2, color=drawing.IMAGES[1], linewidth=3, alpha=0.45)
        axes.plot([layer.kept_kl], [number], "o", color=INK, markersize=6, zorder=4, gid=f"{drawing.MARK}{number}")
        titles.append(
            f"{layer.name}: {100 * layer.kept:.2f} % with it in float, {sensitivity.distance} {layer.kept_kl:.4f}"
        )
    axes.set_xlim(0, 1.08 * max(sensitivity.float_kl, *(layer.kept_kl for layer in layers), 1e-12))
    return titles


def scores(axes: Axes, sensitivity: Sensitivity, layers: Layers) -> None:
    axes.axvline(100 * sensitivity.quantized_accuracy, color=INK, linewidth=1.2)
    axes.axvline(100 * sensitivity.float_accuracy, color=MUTED, linewidth=1.2, linestyle=(0, (5, 3)))
    for number, layer in enumerate(layers):
        axes.plot([100 * layer.only_activations], [number], "D", **hollow(6))
        if layer.only_weights is not None:
            axes.plot([100 * layer.only_weights], [number], "s", **hollow(4.5))
        axes.plot([100 * layer.kept], [number], "o", color=INK, markersize=6, zorder=4)


def hollow(size: float) -> dict[str, Any]:
    return {
        "color": drawing.IMAGES[0],
        "markerfacecolor": CARD,
        "markersize": size,
        "markeredgewidth": 1.3,
        "zorder": 3,
    }


def legend(axes: Axes, columns: int) -> None:
    """Of both panels, below them."""
    axes.plot([], [], "o", color=INK, label="this layer alone in float")
    axes.plot([], [], color=INK, linewidth=1.2, label="all quantized")
    axes.plot([], [], "D", **hollow(6), label="its activations alone quantized")
    axes.plot([], [], color=MUTED, linewidth=1.2, linestyle=(0, (5, 3)), label="all in float")
    axes.plot([], [], "s", **hollow(4.5), label="its weights alone quantized")
    below = -30 / axes.bbox.height
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, below), "ncols": columns}
    axes.legend(**place, fontsize=SMALL, borderpad=0, columnspacing=1.2, labelspacing=0.35)
