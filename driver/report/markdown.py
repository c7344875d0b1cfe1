"""The comparison as Markdown for a pull request's comment: the decision first, the long tables folded away."""

from driver.analysis import metric_specs
from driver.analysis.results import Comparison, Draws, Variant
from driver.report import columns, comment_limits, decision_phrases, part_tables, phrases

DRAW_HEAD = ["| variant | draws | mean % | sd pp | range % | Δ pp |", "|---|---:|---:|---:|---:|---:|"]
COLUMNS = 9  # of the main table
STEP_HEAD = ["| step | by | changed top-1 | Δ pp | SQNR dB |", "|---|---|---:|---:|---:|"]
OTHER_STEP_HEAD = ["| step | by | {difference} | SQNR dB | cosine |", "|---|---|---:|---:|---:|"]
OTHER_DRAW_HEAD = ["| variant | draws | mean {label} | sd | range | {difference} |", "|---|---:|---:|---:|---:|---:|"]


def markdown_text(comparison: Comparison) -> str:
    """A page that fits a pull request's comment, however many variants there are: the decision first."""
    above, below = beginning(comparison), rest(comparison)
    lines = [*above, *table(comparison, comment_limits.LINES - len(above) - len(below)), *below]
    return "\n".join(comment_limits.cut(line) for line in lines) + "\n"


def beginning(comparison: Comparison) -> list[str]:
    reasons = [f"- {comment_limits.escaped(reason)}" for reason in decision_phrases.decision_reasons(comparison)]
    notes = [f"> **{comment_limits.escaped(note)}**" for note in phrases.run_warnings(comparison)]
    noted = [line for note in comment_limits.first(notes, comment_limits.RUN_WARNINGS) for line in (note, "")]
    smallest = decision_phrases.smallest_loss_sentence(comparison.smallest_loss, comparison.unit)
    directions = [line for line in (phrases.direction(comparison),) if line]
    return [
        f"# {comment_limits.escaped(phrases.title(comparison))}",
        "",
        *(line for each in directions for line in (each, "")),
        *noted,
        *([smallest, ""] if smallest else []),
        f"**{comment_limits.escaped(decision_phrases.decision_line(comparison))}**",
        "",
        *([*comment_limits.first(reasons, comment_limits.DECISION), ""] if reasons else []),
    ]


def table(comparison: Comparison, room: int) -> list[str]:
    """In at most `room` lines, with the columns that GitHub has room for; the CSV has all."""
    kept = sorted(columns.order_columns(comparison)[: COLUMNS - 1])
    texts = columns.headings(comparison)
    headings = [texts[place].replace("|", "\\|") for place in (0, *kept)]
    head = ["| " + " | ".join(headings) + " |", "|---" + "|---:" * (len(headings) - 1) + "|"]
    rows, left_out = comment_limits.rows(comparison, room - len(head))
    lines = []
    for row in rows:
        cells = columns.cells(comparison, row)
        lines.append("| " + " | ".join([f"`{row.name}`", *(cells[place - 1] for place in kept)]) + " |")
    return [*head, *lines, *(["", f"… and {left_out} more rows in comparison.csv"] if left_out else [])]


def rest(comparison: Comparison) -> list[str]:
    """All that stands below the table."""
    reasons = [
        f"- `{name}` {status}: {comment_limits.escaped(reason)}"
        for name, status, reason in phrases.outcome_lines(comparison)
    ]
    broken = [f"- **{kind}**: {comment_limits.escaped(line)}" for kind, line in phrases.gate_lines(comparison)]
    lines = ["", legend] if (legend := phrases.legend(comparison)) else []
    lines += ["", *comment_limits.first(reasons, comment_limits.REASONS)] if reasons else []
    if sentence := phrases.not_held(comparison):
        lines += ["", f"- **{sentence}**"]
    lines += ["", phrases.gates_summary(comparison)]
    lines += ["", *comment_limits.first(broken, comment_limits.BROKEN)] if broken else []
    lines += baseline_lines(comparison)
    if sentence := decision_phrases.required_decision(comparison):
        lines += ["", f"**{sentence}**"]
    row_notes = [
        f"- `{row.name}`: {comment_limits.escaped(note)}"
        for row in comparison.variants
        for note in phrases.row_notes(row, comparison.unit)
    ]
    lines += ["", *comment_limits.first(row_notes, comment_limits.ROW_NOTES)] if row_notes else []
    lines += folded(comparison)
    return [*lines, "", *provenance(comparison)]


def baseline_lines(comparison: Comparison) -> list[str]:
    """What is worse than in the run that it is compared with."""
    if (baseline := comparison.baseline) is None:
        return []
    worse = [
        f"- **{comment_limits.escaped(kind)}**: {comment_limits.escaped(line)}"
        for kind, line in phrases.baseline_lines(comparison, baseline)
    ]
    listed = ["", *comment_limits.first(worse, comment_limits.BROKEN)] if worse else []
    return ["", comment_limits.escaped(phrases.baseline_summary(baseline)), *listed]


def provenance(comparison: Comparison) -> list[str]:
    machine = comparison.host
    int8 = ", ".join(machine["int8_instructions"]) or "no int8 instructions"
    lines = [f"Host: {machine['cpu']}, {machine['cores']} cores, {int8}. One thread; p50 and p90 at batch 1."]
    for image, versions in comparison.versions.items():
        named = ", ".join(f"{name} {version}" for name, version in versions.items())
        lines.append(f"{image}: {named}.")
    lines = [comment_limits.escaped(line) for line in lines]
    return [*(f"{line}  " for line in lines[:-1]), lines[-1]]


def folded(comparison: Comparison) -> list[str]:
    lines = details(
        "Why not the others",
        [],
        [f"- {comment_limits.escaped(sentence)}" for sentence in decision_phrases.other_sentences(comparison)],
    )
    for table in part_tables.list_output_tables(comparison):
        head = [
            "| variant | " + " | ".join(table.headings) + " |",
            "|---" + "|---:" * len(table.headings) + "|",
        ]
        rows = [f"| `{row.name}` | {' | '.join(cells)} |" for row, cells in table.rows]
        lines += details(comment_limits.escaped(table.title), head, rows)
    step_head, draw_head = heads(comparison)
    lines += details("What each conversion step lost", step_head, step_lines(comparison))
    return lines + details("Other draws of the calibration set", draw_head, draw_lines(comparison))


def heads(comparison: Comparison) -> tuple[list[str], list[str]]:
    """Of the conversion steps' table and of the draws', by the task."""
    if comparison.spec.has_classes:
        return STEP_HEAD, DRAW_HEAD
    first = metric_specs.spec_of(next((row.headline for row in comparison.variants if row.headline), None))
    named = {"label": first.heading, "difference": first.difference_heading}
    return [line.format(**named) for line in OTHER_STEP_HEAD], [line.format(**named) for line in OTHER_DRAW_HEAD]


def details(summary: str, head: list[str], lines: list[str]) -> list[str]:
    """Folded away; nothing where there are no lines."""
    shown = [*head, *comment_limits.first(lines, comment_limits.FOLDED)]
    return ["", f"<details><summary>{summary}</summary>", "", *shown, "", "</details>"] if lines else []


def step_lines(comparison: Comparison) -> list[str]:
    rows = []
    for step in comparison.conversion_steps:
        sqnr = "–" if step.drift.sqnr_db is None else f"{step.drift.sqnr_db:.1f}"
        by = comment_limits.escaped(", ".join(step.tools)).replace("|", "\\|")
        if step.paired is not None:
            cells = f"{step.drift.changed} | {step.paired.delta_pp:+.2f} | {sqnr}"
        else:
            cells = f"{columns.difference(step.metric)} | {sqnr} | {step.drift.cosine:.5f}"
        rows.append(f"| `{step.before}` → `{step.after}` | {by} | {cells} |")
    return rows


def draw_lines(comparison: Comparison) -> list[str]:
    """A difference that is rounded to nothing has no minus."""
    rows = []
    for row in comparison.variants:
        if (draws := row.draws) is not None and not metric_specs.spec_of(row.headline).counted:
            rows.append(metric_draw_line(row, draws))
        elif draws is not None:
            values = [100 * value for value in draws.values]
            mean = f"{100 * draws.mean:.2f} | {100 * draws.sd:.2f} | {min(values):.2f}…{max(values):.2f}"
            rows.append(f"| `{row.name}` | {len(values)} | {mean} | {round(100 * draws.delta, 2) + 0.0:+.2f} |")
    return rows


def metric_draw_line(row: Variant, draws: Draws) -> str:
    """Of a task without classes."""
    spec, values = metric_specs.spec_of(row.headline), draws.values
    spread = f"{spec.bare(min(values))}…{spec.bare(max(values))}"
    cells = (str(len(values)), spec.bare(draws.mean), spec.bare(draws.sd), spread)
    return f"| `{row.name}` | {' | '.join(cells)} | {spec.signed(draws.delta)} |"
