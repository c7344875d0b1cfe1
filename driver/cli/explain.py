"""`explain`: which layers of a quantized variant lose how much, as the stage `explain` measured it."""

from dataclasses import asdict
from pathlib import Path
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driver.analysis.artifacts import Evidence
from driver.analysis.explanations import read_explanation
from driver.cli.arguments import Explain
from driver.cli.console import Output, make_output, shorten_path
from driver.cli.workflow import list_explainable, load_experiment, make_artifacts, make_current_plan
from driver.report import layer_phrases
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.contract import Plan
from shared.errors import CrossquantError, StageError
from shared.sensitivity import layer_errors
from shared.sensitivity.layer_errors import Distance, Error, Layer, Sensitivity

EXPLANATIONS, PICTURE = "explanations", "sensitivity.svg"  # a folder for each variant
HEADINGS = ("layer", "operator", "SQNR dB", "cosine", "max |Δ|", "weight dB", "weights %", "activ. %", "kept %")

DISTANCES: dict[Distance, str] = {"KL divergence": "KL", "noise": "noise"}  # the heading of each


def run(arguments: Explain) -> int:
    """Measure what isn't measured yet, then show it."""
    output, options = make_output(arguments.display), arguments.engine_options
    experiment = load_experiment(arguments.experiment, options)
    target = find_target(arguments.variant, make_current_plan(experiment))
    freshness, failed, _ = make_artifacts(experiment, [target], options, output, sample=arguments.sample)
    if failed:
        return StageError.exit_code
    show_explanation(freshness, arguments.variant, output)
    return 0


def find_target(variant: str, plan: Plan) -> str:
    """The artifact that explains `variant`. CrossquantError where it is no quantized variant of this experiment."""
    variants = list_explainable(plan)
    if variant not in variants:
        raise CrossquantError(f"'{variant}' can't be explained: give a quantized variant, one of {', '.join(variants)}")
    return f"explain.{variant}"


def show_explanation(freshness: Freshness, variant: str, output: Output) -> None:
    """Show what was measured, and say where it is."""
    evidence = Evidence(freshness)
    measured = read_explanation(evidence, variant)
    if measured is None:  # the framework refused, in its own words
        manifest = evidence.current(f"explain.{variant}") or evidence.current(variant)
        why = evidence.problem(f"explain.{variant}") or (manifest.reason if manifest else "it was not made")
        raise CrossquantError(f"{variant} can't be explained: {why}")
    path = store.artifact_path(freshness.plan, f"explain.{variant}") / layer_errors.FILE
    picture = draw(measured, store.volumes() / freshness.plan.experiment / EXPLANATIONS / variant / PICTURE)
    if output.json:
        output.print_json(asdict(measured))
        return
    show(measured, output.answer, evidence.about().unit)
    output.print_line(f"written to {shorten_path(path)}")
    output.print_line(f"drawn in {shorten_path(picture)}")


def draw(measured: Sensitivity, path: Path) -> Path:
    """Write a plot of the layers to a file."""
    from driver.report.plots import layers

    store.write_atomically(path, layers.alone(measured))
    return path


def show(measured: Sensitivity, console: Console, unit: str = "images") -> None:
    """The summary, and the layers, the most sensitive first. A long name is broken, never cut: `exclude` takes it."""
    console.print(
        f"{measured.variant} on {measured.images:,} calibration {unit}: "
        f"{measured.score} {percent(measured.quantized_accuracy)} %, in float {percent(measured.float_accuracy)} %; "
        f"with its weights alone quantized {percent(measured.weights_only)} %, "
        f"with its activations alone {percent(measured.activations_only)} %",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for number, heading in enumerate((*HEADINGS, DISTANCES[measured.distance])):
        justify: Literal["left", "right"] = "left" if number < 2 else "right"
        table.add_column(heading.replace(" ", "\n"), justify=justify, no_wrap=number > 0, overflow="fold")
    for layer in measured.layers:
        table.add_row(*map(Text, cells(layer)))
    console.print(table)
    if diagnosis := layer_phrases.diagnosis_text(measured):
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
