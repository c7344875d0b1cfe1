"""What the Markdown has folded away: why not the others, what each leg lost, what other draws gave."""

from driver.analysis import metric_specs
from driver.analysis.results import Comparison, Draws, Variant
from driver.report import columns, comment_limits

DRAW_HEAD = ["| variant | draws | mean % | sd pp | range % | Δ pp |", "|---|---:|---:|---:|---:|---:|"]
LEG_HEAD = ["| leg | by | changed top-1 | Δ pp | SQNR dB |", "|---|---|---:|---:|---:|"]
OTHER_LEG_HEAD = ["| leg | by | {difference} | SQNR dB | cosine |", "|---|---|---:|---:|---:|"]
OTHER_DRAW_HEAD = ["| variant | draws | mean {label} | sd | range | {difference} |", "|---|---:|---:|---:|---:|---:|"]


def folded(comparison: Comparison) -> list[str]:
    lines = details(
        "Why not the others",
        [],
        [f"- {comment_limits.escaped(sentence)}" for sentence in comparison.verdict.sentences[1:]],
    )
    leg_head, draw_head = heads(comparison)
    lines += details("What each leg lost", leg_head, leg_lines(comparison))
    return lines + details("Other draws of the calibration set", draw_head, draw_lines(comparison))


def heads(comparison: Comparison) -> tuple[list[str], list[str]]:
    """Of the legs' table and of the draws', by the task."""
    if comparison.task == "classification":
        return LEG_HEAD, DRAW_HEAD
    first = metric_specs.of(next((row.headline for row in comparison.variants if row.headline), None))
    named = {"label": first.heading, "difference": first.difference_heading}
    return [line.format(**named) for line in OTHER_LEG_HEAD], [line.format(**named) for line in OTHER_DRAW_HEAD]


def details(summary: str, head: list[str], lines: list[str]) -> list[str]:
    """Folded away; nothing where there are no lines."""
    shown = [*head, *comment_limits.first(lines, comment_limits.FOLDED)]
    return ["", f"<details><summary>{summary}</summary>", "", *shown, "", "</details>"] if lines else []


def leg_lines(comparison: Comparison) -> list[str]:
    rows = []
    for leg in comparison.legs:
        sqnr = "–" if leg.drift.sqnr_db is None else f"{leg.drift.sqnr_db:.1f}"
        by = comment_limits.escaped(", ".join(leg.tools)).replace("|", "\\|")
        if leg.paired is not None:
            figures = f"{leg.drift.changed} | {leg.paired.delta_pp:+.2f} | {sqnr}"
        else:
            figures = f"{columns.difference(leg.metric)} | {sqnr} | {leg.drift.cosine:.5f}"
        rows.append(f"| `{leg.before}` → `{leg.after}` | {by} | {figures} |")
    return rows


def draw_lines(comparison: Comparison) -> list[str]:
    """A difference that is rounded to nothing has no minus."""
    rows = []
    for row in comparison.variants:
        if (found := row.draws) is not None and row.accuracy is None:
            rows.append(other_draw_line(row, found))
        elif found is not None:
            values = [100 * value for value in found.accuracies]
            mean = f"{100 * found.mean:.2f} | {100 * found.sd:.2f} | {min(values):.2f}…{max(values):.2f}"
            rows.append(f"| `{row.name}` | {len(values)} | {mean} | {round(found.delta_pp, 2) + 0.0:+.2f} |")
    return rows


def other_draw_line(row: Variant, found: Draws) -> str:
    """Of a task without classes."""
    measure, values = metric_specs.of(row.headline), found.accuracies
    spread = f"{measure.bare(min(values))}…{measure.bare(max(values))}"
    figures = (str(len(values)), measure.bare(found.mean), measure.bare(found.sd), spread)
    return f"| `{row.name}` | {' | '.join(figures)} | {measure.signed(found.delta_pp)} |"
