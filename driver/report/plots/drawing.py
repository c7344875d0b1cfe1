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
GOOD, BAD, WARN, BAD_SOFT = "#00003a", "#00003b", "#00003c", "#00003d"
VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--line", CARD: "--card"}
VARIABLES |= {GOOD: "--good", BAD: "--bad", WARN: "--warn", BAD_SOFT: "--bad-soft"}
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
WIDE, NARROW = 760, 320  # pixels: of a desktop and of paper, and of a phone
ROOMY = 360  # pixels of an axis that has room for all its numbers
SMALL = 11.0  # pixels of the smallest text
NARROW_SUFFIX = "-narrow"  # of the name of a plot that is drawn for a phone
FIGURE = re.compile(r"(\d+\.\d)\d+")  # a tenth of a pixel is enough
PLACES = re.compile(r' (?:d|x|y|width|height|transform|points)="[^"]*"')


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
    svg = shorten(svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return re.sub(r"\s*\n\s*", "\n", svg).strip()


def shorten(svg: str) -> str:
    """The same drawing in half the bytes: rounded, without spaces, without what is the page's default anyway."""
    svg = PLACES.sub(lambda match: FIGURE.sub(r"\1", match[0]), svg)
    svg = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", svg)
    svg = re.sub(rf"font-size: {SMALL:g}px;? ?", "", svg)
    svg = re.sub(r' style="([^"]*)"', lambda match: f' style="{match[1].replace(": ", ":").replace("; ", ";")}"', svg)
    svg = re.sub(r' d="([^"]*)"', lambda match: f' d="{" ".join(match[1].split())}"', svg)
    return unwrap_groups(re.sub(r"<g\b[^>]*/>", "", svg))  # such a group is of a mark that lies beyond the axes


def unwrap_groups(svg: str) -> str:
    """Without the groups that have no attribute."""
    kept: list[bool] = []
    parts = []
    for part in re.split(r"(<g\b[^>]*>|</g>)", svg):
        if part.startswith("<g"):
            kept.append(part != "<g>")
        is_kept = kept.pop() if part == "</g>" else kept[-1] if part.startswith("<g") else True
        parts.append(part if is_kept else "")
    return "".join(parts)


def logarithmic(axes: Axes) -> None:
    """A logarithmic x axis with plain numbers: few enough of them not to touch."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    room = 1.0 if axes.bbox.width >= ROOMY else 3.0
    steps = (1.0, 2.0, 3.0, 5.0) if high / low < 20 / room else (1.0, 3.0) if high / low < 1000 / room**2 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)


def linear(axes: Axes, steps: int = 6) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(steps))
