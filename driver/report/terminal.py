"""The comparison on a terminal: a table of all variants, what must be known of them, and the decision."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driver.analysis.results import Comparison
from driver.report import columns, phrases
from driver.report.styles import STYLES


def show(comparison: Comparison, console: Console) -> None:
    for line in phrases.run_warnings(comparison):
        console.print(Text(line, "bold yellow"), soft_wrap=True)
    console.print(Text(phrases.title(comparison), "bold"), soft_wrap=True)
    if direction := phrases.direction(comparison):
        console.print(Text(direction), soft_wrap=True)
    if any(row.status == "ok" for row in comparison.variants):
        console.print(tabulate_variants(comparison))
    for name, status, reason in phrases.outcome_lines(comparison):
        console.print(Text(f"{name} {status}: ", STYLES[status]).append(reason, "default"), soft_wrap=True)
    for line in phrases.row_lines(comparison):
        console.print(Text(line), soft_wrap=True)
    show_decision(comparison, console)


def tabulate_variants(comparison: Comparison) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    first, *headings = columns.headings(comparison)
    table.add_column(first, no_wrap=True)
    for heading in headings:
        table.add_column(heading.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in comparison.variants:
        table.add_row(Text(row.name, STYLES[row.status] if row.status != "ok" else ""), *columns.cells(comparison, row))
    return table


def show_decision(comparison: Comparison, console: Console) -> None:
    """The decision in words, then the gates: the last line is what the exit code says."""
    for number, sentence in enumerate(phrases.decision_sentences(comparison)):
        console.print(Text(sentence, "bold" if not number else ""), soft_wrap=True)
    if sentence := phrases.not_held(comparison):
        console.print(Text(sentence, "yellow"), soft_wrap=True)
    broken = [gate for gate in comparison.gates if not gate.holds]
    for gate in broken:
        console.print(Text(f"gate fails: {phrases.gate_sentence(gate)}", "bold red"), soft_wrap=True)
    if not broken:
        console.print(Text(phrases.gates_hold(comparison), "green" if comparison.gates else "yellow"))
