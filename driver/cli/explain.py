"""Which layers of a quantized variant lose how much, for people: what the stage `explain` measured."""

from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driver.analysis.artifacts import Evidence
from driver.analysis.explanations import find
from driver.cli.workflow import shown
from driver.report import phrases
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.contract import Plan
from shared.errors import CrossquantError
from shared.sensitivity import layer_errors
from shared.sensitivity.layer_errors import Distance, Error, Layer, Sensitivity

EXPLANATIONS, PICTURE = "explanations", "sensitivity.svg"  # a folder for each variant
HEADINGS = ("layer", "operator", "SQNR dB", "cosine", "max |Δ|", "weight dB", "weights %", "activ. %", "kept %")

DISTANCES: dict[Distance, str] = {"KL divergence": "KL", "noise": "noise"}  # the heading of each


def target(variant: str, plan: Plan) -> str:
    """The artifact that explains `variant`. CrossquantError where it is no quantized variant of this experiment."""
    known = [step.inputs[0] for step in plan.steps if step.run == "explain" and not step.inputs[0].endswith(".fp32")]
    if variant not in known:
        raise CrossquantError(f"'{variant}' can't be explained: give a quantized variant, one of {', '.join(known)}")
    return f"explain.{variant}"


def conclude(freshness: Freshness, variant: str, console: Console) -> int:
    """Show what was measured, and say where it is. 0, for nothing here can fail."""
    evidence = Evidence(freshness)
    found = find(evidence, variant)
    if found is None:  # the framework refused, in its own words
        seal = evidence.current(f"explain.{variant}") or evidence.current(variant)
        why = evidence.problem(f"explain.{variant}") or (seal.reason if seal else "it was not made")
        raise CrossquantError(f"{variant} can't be explained: {why}")
    show(found, console, evidence.about().unit)
    path = store.artifact_path(freshness.plan, f"explain.{variant}") / layer_errors.FILE
    console.print(f"written to {shown(path)}", soft_wrap=True, highlight=False)
    picture = draw(found, store.volumes() / freshness.plan.experiment / EXPLANATIONS / variant / PICTURE)
    console.print(f"drawn in {shown(picture)}", soft_wrap=True, highlight=False)
    return 0


def draw(found: Sensitivity, path: Path) -> Path:
    """A plot of the layers as a file."""
    from driver.report.plots import layers  # noqa: PLC0415 - Matplotlib takes a second to import

    store.write_atomically(path, layers.alone(found))
    return path


def show(found: Sensitivity, console: Console, unit: str = "images") -> None:
    """The summary, and the layers, the most sensitive first. A long name is broken, never cut: `exclude` takes it."""
    console.print(
        f"{found.variant} on {found.images:,} calibration {unit}: "
        f"{found.score} {percent(found.quantized_accuracy)} %, in float {percent(found.float_accuracy)} %; "
        f"with its weights alone quantized {percent(found.weights_only)} %, "
        f"with its activations alone {percent(found.activations_only)} %",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for number, heading in enumerate((*HEADINGS, DISTANCES[found.distance])):
        justify: Literal["left", "right"] = "left" if number < 2 else "right"
        table.add_column(heading.replace(" ", "\n"), justify=justify, no_wrap=number > 0, overflow="fold")
    for layer in found.layers:
        table.add_row(*map(Text, cells(layer)))
    console.print(table)
    if diagnosis := phrases.diagnosis_text(found):
        console.print(Text(diagnosis, "bold"), soft_wrap=True)


def cells(layer: Layer) -> list[str]:
    """The layer's figures as text, in the order of HEADINGS, and the distance."""
    return [
        layer.name,
        layer.operator,
        decibels(layer.activation),
        f"{layer.activation.cosine:.5f}",
        f"{layer.activation.max_abs:.3g}",
        decibels(layer.weight),
        "–" if layer.only_weights is None else percent(layer.only_weights),
        percent(layer.only_activations),
        percent(layer.kept),
        f"{layer.kept_kl:.4f}",
    ]


def decibels(error: Error | None) -> str:
    if error is None:
        return "–"
    return "exact" if error.sqnr_db is None else f"{error.sqnr_db:.1f}"


def percent(share: float) -> str:
    return f"{100 * share:.2f}"
