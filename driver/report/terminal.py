"""The comparison for people: a table on the terminal."""

from statistics import NormalDist

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driver.analysis import metric_specs
from driver.analysis.metric_specs import Measure
from driver.analysis.results import Comparison, Draws, Gate, Variant
from driver.decision.judgements import NO_VNNI, points
from driver.report import columns
from driver.report.styles import STYLES
from shared.contract import Status


def show(comparison: Comparison, console: Console) -> None:
    for line in notes(comparison):
        console.print(Text(line, "bold yellow"), soft_wrap=True)
    console.print(Text(title(comparison), "bold"), soft_wrap=True)
    if said := direction(comparison):
        console.print(Text(said), soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    first, *headings = columns.headings(comparison)
    table.add_column(first, no_wrap=True)
    for heading in headings:
        table.add_column(heading.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in comparison.variants:
        table.add_row(Text(row.name, STYLES[row.status] if row.status != "ok" else ""), *columns.cells(comparison, row))
    console.print(table)
    for name, status, reason in reasons(comparison):
        console.print(Text(f"{name} {status}: ", STYLES[status]).append(reason, "default"), soft_wrap=True)
    for line in remarks(comparison):
        console.print(Text(line), soft_wrap=True)
    show_verdict(comparison, console)


def show_verdict(comparison: Comparison, console: Console) -> None:
    """The verdict in words, then the gates: the last line is what the exit code says."""
    for number, sentence in enumerate(comparison.verdict.sentences):
        console.print(Text(sentence, "bold" if not number else ""), soft_wrap=True)
    if sentence := not_held(comparison):
        console.print(Text(sentence, "yellow"), soft_wrap=True)
    broken = [gate for gate in comparison.gates if not gate.holds]
    for gate in broken:
        console.print(Text(f"gate fails: {gate_sentence(gate)}", "bold red"), soft_wrap=True)
    if not broken:
        console.print(Text(gates_hold(comparison), "green" if comparison.gates else "yellow"))


def reasons(comparison: Comparison) -> list[tuple[str, Status, str]]:
    """(name, status, reason) of all that has no figures, or not all of them."""
    rows: list[tuple[str, Status, str]] = [
        (row.name, row.status, row.reason) for row in comparison.variants if row.reason
    ]
    return rows + [(failure.name, failure.status, failure.reason) for failure in comparison.failures]


def remarks(comparison: Comparison) -> list[str]:
    """What the rows' figures don't say."""
    drawn = [
        f"{row.name} over {len(row.draws.accuracies)} draws: {spread(row, row.draws)}"
        for row in comparison.variants
        if row.draws
    ]
    return drawn + [f"{row.name}: {remark}" for row in comparison.variants for remark in row.remarks]


def spread(row: Variant, draws: Draws) -> str:
    """`87.14 ± 0.04 %, 87.10…87.18 (−0.05 points)`: mean, standard deviation, range, difference of the mean."""
    low, high = 100 * min(draws.accuracies), 100 * max(draws.accuracies)
    if row.accuracy is None:
        return other_spread(metric_specs.of(row.headline), draws)
    return f"{100 * draws.mean:.2f} ± {100 * draws.sd:.2f} %, {low:.2f}…{high:.2f} ({points(draws.delta_pp)} points)"


def other_spread(measure: Measure, draws: Draws) -> str:
    """The same of what another task is judged by."""
    mean, sd, low, high = map(measure.bare, (draws.mean, draws.sd, min(draws.accuracies), max(draws.accuracies)))
    return f"{measure.label} {mean} ± {sd}, {low}…{high} ({measure.signed(draws.delta_pp)})"


def title(comparison: Comparison) -> str:
    images = comparison.dataset["test_images"]
    name = comparison.dataset["name"]
    split = comparison.dataset.get("split", "test")
    return f"{comparison.experiment}: {images:,} {split} {comparison.unit} of {name}, against {comparison.reference}"


def notes(comparison: Comparison) -> list[str]:
    """What the reader must know before the figures."""
    if not comparison.dataset["sample"] or comparison.task != "classification":
        return list(comparison.warnings)
    images = comparison.dataset["test_images"]
    return [
        f"Embedded sample: {images:,} test images instead of 10,000. An accuracy is known to "
        f"±{half_width(images):.1f} points here, to ±{half_width(10_000):.1f} on the full set (95%, at 87%).",
        *comparison.warnings,
    ]


def direction(comparison: Comparison) -> str:
    """What the figures are, where they are not the accuracy that everybody knows; "" for that."""
    names = columns.names(comparison.variants)
    if comparison.task == "classification" or not names:
        return ""
    if comparison.task == "fidelity":
        return f"No labels: how near each variant is to {comparison.reference}, not how often it is right."
    first = metric_specs.MEASURES[names[0]]
    return f"{first.label}, the {first.long}: {first.direction}."


def half_width(images: int, accuracy: float = 0.87) -> float:
    """Half the 95% interval of an accuracy, in points, by the normal approximation."""
    return 100 * NormalDist().inv_cdf(0.975) * float((accuracy * (1 - accuracy) / images) ** 0.5)


def gates_hold(comparison: Comparison) -> str:
    """For a comparison in which no gate fails."""
    count = len(comparison.gates)
    return f"All {count} gates hold." if count else "No gate was checked: there is no row that has figures, or no gate."


def not_held(comparison: Comparison) -> str:
    """Which rows aren't held to the gates on quantized ones; "" where all are."""
    names = list(dict.fromkeys(gate.variant for gate in comparison.not_held))
    if not names:
        return ""
    return f"Not held to gates.quantized on this CPU ({NO_VNNI}), but to gates.saturating: {', '.join(names)}."


def not_held_sentence(gate: Gate) -> str:
    return f"not held on this CPU ({NO_VNNI}): {gate_sentence(gate)}"


def gate_sentence(gate: Gate) -> str:
    most = "least" if gate.bound == "min" else "most"
    sure = f" with {gate.confidence:.0%} confidence" if gate.confidence is not None else ""
    return f"{gate.variant} has {gate.figure} {gate.value:g}{sure}, at {most} {gate.limit:g} is asked for"
