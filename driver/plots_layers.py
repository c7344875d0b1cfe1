"""Which layers of a quantized variant lose how much, as a plot."""

from functools import partial
from pathlib import Path

from matplotlib.axes import Axes

from driver import plots
from driver.plots import INK, MUTED
from shared.sensitivity import Layer, Sensitivity

ROW, WIDTH, MOST = 22, 900, 40  # pixels; layers shown


def draw(found: Sensitivity) -> str:
    """Each layer's accuracy when it alone is kept in float, between those of the quantized and of the float model."""
    layers = found.layers[:MOST]
    left = 24 + 7 * max(len(layer.name) for layer in layers)
    told = f"Accuracy of {found.variant} with each layer alone kept in float, the most sensitive first"
    paint = partial(dots, found=found, layers=layers)
    return plots.draw(f"layers-{found.variant}", told, (WIDTH, len(layers) * ROW + 90), (left, 40, 64, 12), paint)


def alone(found: Sensitivity) -> str:
    """The plot as a file of its own, in light and dark like the page."""
    style = (Path(__file__).parent / "templates" / "style.css").read_text()
    colours = style[: style.index("body {")]
    return (
        draw(found)
        .replace(
            "<svg ",
            '<svg xmlns="http://www.w3.org/2000/svg" style="background:var(--card);font-family:sans-serif" ',
            1,
        )
        .replace(">", f"><style>{colours}</style>", 1)
    )


def dots(axes: Axes, found: Sensitivity, layers: tuple[Layer, ...]) -> list[str]:
    axes.set_yticks(range(len(layers)), [layer.name for layer in layers])
    axes.set_ylim(len(layers) - 0.5, -0.8)
    axes.axvline(100 * found.quantized_accuracy, color=INK, linewidth=1)
    axes.axvline(100 * found.float_accuracy, color=MUTED, linewidth=1, linestyle="--")
    titles = []
    for number, layer in enumerate(layers):
        axes.plot([100 * layer.kept], [number], "o", color=INK, markersize=6, gid=f"{plots.MARK}{number}")
        titles.append(f"{layer.name}: {100 * layer.kept:.2f} % with it in float, KL {layer.kept_kl:.4f}")
    plots.linear(axes)
    axes.set_xlabel("accuracy with this layer alone in float, %; line: all quantized, dashed: all in float")
    return titles
