"""The same files on other CPUs as a plot: accuracy here and there."""

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes

from driver.analysis.results import Comparison, Emulated, Variant
from driver.report import columns
from driver.report.page import cross_cpu
from driver.report.plots import drawing
from driver.report.plots.colours import colour_of
from driver.report.plots.drawing import CARD, INK, MUTED
from driver.report.plots.rows import annotate_row, by_row, legend, set_rows

ROW, MOST = 26, 60  # pixels; runs shown
Run = tuple[Variant, Emulated]


def draw(comparison: Comparison, narrow: bool = False) -> tuple[str, int]:
    """The plot, "" where nothing ran on another CPU, and how many runs it shows: of many those that lose most."""
    rows = cross_cpu.runs(comparison)
    if not rows:
        return "", 0
    worst = sorted(rows, key=lambda item: -item[1].lost)[:MOST]
    shown = [item for item in rows if item in worst] if len(rows) > MOST else rows
    by = columns.headline(comparison).title
    description = f"{by} of each variant here and on other CPUs; the table below has the figures"
    paint = partial(dumbbells, comparison=comparison, rows=shown, narrow=narrow)
    names = [name(item) for item in shown]
    return by_row("cpus", description, names, 130, paint, height=ROW, lines=2, narrow=narrow), len(shown)


def name(item: Run) -> str:
    row, run = item
    return f"{row.name} on {run.cpu}"


def dumbbells(axes: Axes, comparison: Comparison, rows: Sequence[Run], narrow: bool) -> list[str]:
    set_rows(axes, [name(item) for item in rows], 0.7, narrow)
    titles, spec = [], columns.headline(comparison)
    scale = spec.scale
    for number, (row, run) in enumerate(rows):
        here, there, colour = scale * run.here, scale * run.value, colour_of(comparison, row)
        axes.plot(
            [scale * run.interval.low, scale * run.interval.high], [number] * 2, color=colour, linewidth=1, alpha=0.5
        )
        axes.plot([here, there], [number] * 2, color=colour, linewidth=3, alpha=0.5)
        axes.plot([here], [number], "o", color=INK, markerfacecolor=CARD, markersize=8, markeredgewidth=1.4, zorder=3)
        axes.plot([there], [number], "o", color=colour, markersize=5.5, zorder=4, gid=f"{drawing.MARK}{number}")
        lost = f"▼ loses {spec.bare(run.lost)} {spec.difference_unit}".rstrip()
        word, tone = (lost, INK) if run.loses else ("no loss", MUTED)
        annotate_row(axes, number, word, tone, narrow)
        titles.append(f"{name((row, run))}: {spec.text(run.here)} here, {spec.text(run.value)} there")
    drawing.linear(axes, 4 if narrow else 6)
    axes.set_xlabel(f"{spec.label} on the same {comparison.unit}{', %' if spec.unit == '%' else ''}")
    legend(axes, [("o", CARD, "here"), ("o", INK, "there, line: 95 % interval")], narrow)
    return titles
