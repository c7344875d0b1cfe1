"""The page's plots: inline SVG whose colours are the page's CSS variables, the same bytes for the same data.

Matplotlib takes a second to import: import this module where plots are drawn, and nowhere else.
"""

import re
from collections.abc import Callable, Sequence
from html import escape
from io import StringIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

INK, MUTED, GRID, CARD = "#00000a", "#00000b", "#00000c", "#00000d"
IMAGES = tuple(f"#00002{number}" for number in range(6))  # a colour for each image, in the order of the variants
VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--line", CARD: "--card"}
VARIABLES |= {colour: f"--c{number}" for number, colour in enumerate(IMAGES)}
STYLE: dict[Any, Any] = {
    "text.parse_math": False,
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 11.0,
    "axes.titlelocation": "left",
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}
NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
MARK = "mark-"


Paint = Callable[[Axes], list[str]]


def draw(
    name: str, label: str, size: tuple[float, float], margins: tuple[float, float, float, float], paint: Paint
) -> str:
    """The SVG called `name`; `label` says what is drawn to who can't see it.

    `size` and `margins` (left, right, bottom, top) are in pixels. `paint` returns a title for each mark: the mark with
    the gid `mark-N` gets the N-th, which a browser shows when it is pointed at.
    """
    width, height = size
    left, right, bottom, top = margins
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure((width / 72, height / 72), dpi=72)
        box = (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
        titles = paint(figure.add_axes(box))
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata=NO_METADATA)
    return inline(text.getvalue(), name, label, titles)


def inline(svg: str, name: str, label: str, titles: Sequence[str]) -> str:
    """The `<svg>` alone, without what a page doesn't need: prolog, comments, style, fonts, names nothing refers to."""
    svg = re.sub(r"<!--.*?-->|<style.*?</style>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    opening = rf'<svg viewBox="\1" data-plot="{escape(name)}" role="img" aria-label="{escape(label)}">'
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', opening, svg)
    for number, title in enumerate(titles):
        marked = f'<g class="mark"><title>{escape(title)}</title>'
        svg = svg.replace(f'<g id="{MARK}{number}">', marked)
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", svg)
    svg = re.sub(r"; font-family: [^;\"]*", "", svg).replace("xlink:href", "href")
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return re.sub(r"\s*\n\s*", "\n", svg).strip()


def logarithmic(axes: Axes) -> None:
    """A logarithmic x axis with plain numbers: few enough of them not to touch."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    steps = (1.0, 2.0, 3.0, 5.0) if high / low < 20 else (1.0, 3.0) if high / low < 1000 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)


def linear(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(6))
