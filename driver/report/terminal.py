"""The comparison on a terminal: a table of all variants, the decision in one line, and at most four reasons.

The rest, which the page has too, is shown with `--verbose`. Every line fits the width of the console.
"""

import re
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driver.analysis.results import Comparison
from driver.report import columns, decision_phrases, part_tables, phrases
from driver.report.fitting import fit_columns
from driver.report.styles import PROBLEM, STYLES, WARNING

REASONS = 4  # beside the decision
LONGEST_REASON = 300  # characters: a framework's words may be many
BEFORE_UNIT, GLUE = (
    re.compile(r"(?<=[0-9=]) (?=[%0-9]|(?:points|pp|ms|s|KB|MB|dB)\b)|(?<=p) (?==)|(?<=[✓?✗]) "),
    "\ue000",
)
INDENT = 2  # of a line that goes on


def show(comparison: Comparison, console: Console, *, verbose: bool = False) -> None:
    for line in phrases.run_warnings(comparison):
        print_wrapped(console, Text(line, WARNING))
    print_wrapped(console, Text(phrases.title(comparison), "bold"))
    if direction := phrases.direction(comparison):
        print_wrapped(console, Text(direction))
    if smallest := decision_phrases.smallest_loss_sentence(comparison.smallest_loss, comparison.unit):
        print_wrapped(console, Text(smallest))
    if any(row.status == "ok" for row in comparison.variants):
        console.print(tabulate_variants(comparison, console.width))
    if legend := phrases.legend(comparison):
        print_wrapped(console, Text(legend, "dim"))
    for table in part_tables.list_output_tables(comparison):
        console.print()
        print_wrapped(console, Text(table.title))
        console.print(tabulate_output(table, console.width))
    if verbose:
        show_rows(comparison, console)
    show_decision(comparison, console, verbose)
    show_checks(comparison, console)


def print_wrapped(console: Console, text: Text, lead: str = "") -> None:
    """Print a paragraph behind `lead`, its further lines indented. A number and its unit stay together."""
    indent = " " * max(INDENT, len(lead))
    text.plain = BEFORE_UNIT.sub(GLUE, text.plain)
    for number, line in enumerate(text.wrap(console, max(console.width - len(indent), 1))):
        line.rstrip()
        line.plain = line.plain.replace(GLUE, " ")
        console.print(Text(indent if number else lead).append_text(line), soft_wrap=True)


# The table.


def tabulate_variants(comparison: Comparison, width: int) -> Table:
    """All variants, with the columns that fit into `width`; the most important ones stay."""
    headings = columns.headings(comparison)
    rows = [(row.name, *columns.cells(comparison, row)) for row in comparison.variants]
    room = [column_width(heading, [row[number] for row in rows]) for number, heading in enumerate(headings)]
    groups = [(place,) for place in columns.order_columns(comparison)]
    kept, names = fit_columns(room, [row.name for row in comparison.variants], groups, width)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    table.add_column(headings[0], no_wrap=True)
    for place in kept:
        table.add_column(headings[place].replace(" ", "\n"), justify="right", no_wrap=True)
    for row, name, cells in zip(comparison.variants, names, rows, strict=True):
        style = STYLES[row.status] if row.status != "ok" else ""
        table.add_row(Text(name, style), *(cells[place] for place in kept))
    return table


def tabulate_output(output: part_tables.OutputTable, width: int) -> Table:
    """The metrics of another output that has labels, as far as `width` has room for them."""
    rows = [cells for _, cells in output.rows]
    headings = ("variant", *output.headings)
    room = [max((cell_len(row.name) for row, _ in output.rows), default=0)]
    room += [column_width(heading, [cells[place] for cells in rows]) for place, heading in enumerate(output.headings)]
    groups = [(place,) for place in range(1, len(headings))]
    kept, names = fit_columns(room, [row.name for row, _ in output.rows], groups, width)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    table.add_column(headings[0], no_wrap=True)
    for place in kept:
        table.add_column(headings[place].replace(" ", "\n"), justify="right", no_wrap=True)
    for name, cells in zip(names, rows, strict=True):
        table.add_row(Text(name), *(cells[place - 1] for place in kept))
    return table


def column_width(heading: str, cells: Sequence[str]) -> int:
    return max(map(cell_len, (*heading.split(" "), *cells)), default=0)


# What is said below it.


def show_rows(comparison: Comparison, console: Console) -> None:
    """What has no metrics, and what the metrics don't say."""
    for name, status, reason in phrases.outcome_lines(comparison):
        print_wrapped(console, Text.assemble((f"{name} {status}: ", STYLES[status]), reason))
    for line in phrases.row_lines(comparison):
        print_wrapped(console, Text(line))


def show_decision(comparison: Comparison, console: Console, verbose: bool) -> None:
    """One sentence, then why, the most important first: what fails before everything else."""
    console.print()
    print_wrapped(console, Text(decision_phrases.decision_line(comparison), "bold"))
    reasons = list_reasons(comparison, whole=verbose)
    shown = [*reasons, *map(Text, decision_phrases.other_sentences(comparison))] if verbose else reasons[:REASONS]
    for reason in shown:
        print_wrapped(console, reason, "- ")
    if len(reasons) > len(shown):
        print_wrapped(console, Text(f"… and {len(reasons) - len(shown)} more: --verbose or the page"))


def list_reasons(comparison: Comparison, *, whole: bool) -> list[Text]:
    """What fails, then what goes with the decision. Not `whole`: without the end of a long one, or of what has failed
    already.
    """
    fails = [*phrases.gate_lines(comparison), *phrases.baseline_lines(comparison, comparison.baseline)]
    reasons = [Text(f"{kind}: {sentence}", PROBLEM) for kind, sentence in fails]
    if not whole:
        reasons += [
            Text.assemble((f"{name} {status}: ", STYLES[status]), cut(reason))
            for name, status, reason in phrases.outcome_lines(comparison)
            if status in ("failed", "skipped")
        ]
    reasons += [Text(phrases.not_held(comparison), WARNING)] if comparison.not_held else []
    return reasons + [Text(sentence) for sentence in decision_phrases.decision_reasons(comparison)]


def cut(reason: str) -> str:
    reason = " ".join(reason.split())
    return reason if len(reason) <= LONGEST_REASON else f"{reason[: LONGEST_REASON - 1]}…"


def show_checks(comparison: Comparison, console: Console) -> None:
    """What the exit code says: the decision that is required, another run, and last the gates."""
    if sentence := decision_phrases.required_decision(comparison):
        print_wrapped(console, Text(sentence, PROBLEM))
    if (baseline := comparison.baseline) is not None:
        print_wrapped(console, Text(phrases.baseline_summary(baseline), "green" if baseline.holds else PROBLEM))
    style = "green" if comparison.gates else WARNING
    print_wrapped(
        console, Text(phrases.gates_summary(comparison), PROBLEM if phrases.gate_lines(comparison) else style)
    )
