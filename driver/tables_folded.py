"""What the Markdown has folded away: why not the others, what each leg lost, what other draws gave."""

from driver import excerpt
from driver.results import Comparison

DRAW_HEAD = ["| variant | draws | mean % | sd pp | range % | Δ pp |", "|---|---:|---:|---:|---:|---:|"]
LEG_HEAD = ["| leg | by | changed top-1 | Δ pp | SQNR dB |", "|---|---|---:|---:|---:|"]


def folded(comparison: Comparison) -> list[str]:
    lines = details("Why not the others", [], [f"- {sentence}" for sentence in comparison.verdict.sentences[1:]])
    lines += details("What each leg lost", LEG_HEAD, leg_lines(comparison))
    return lines + details("Other draws of the calibration set", DRAW_HEAD, draw_lines(comparison))


def details(summary: str, head: list[str], lines: list[str]) -> list[str]:
    """Folded away; nothing where there are no lines."""
    shown = [*head, *excerpt.first(lines, excerpt.FOLDED)]
    return ["", f"<details><summary>{summary}</summary>", "", *shown, "", "</details>"] if lines else []


def leg_lines(comparison: Comparison) -> list[str]:
    rows = []
    for leg in comparison.legs:
        sqnr = "–" if leg.drift.sqnr_db is None else f"{leg.drift.sqnr_db:.1f}"
        by = ", ".join(leg.tools)
        rows.append(
            f"| `{leg.before}` → `{leg.after}` | {by} | {leg.drift.changed} | {leg.paired.delta_pp:+.2f} | {sqnr} |"
        )
    return rows


def draw_lines(comparison: Comparison) -> list[str]:
    """A difference that is rounded to nothing has no minus."""
    rows = []
    for row in comparison.variants:
        if (found := row.draws) is not None:
            values = [100 * value for value in found.accuracies]
            mean = f"{100 * found.mean:.2f} | {100 * found.sd:.2f} | {min(values):.2f}…{max(values):.2f}"
            rows.append(f"| `{row.name}` | {len(values)} | {mean} | {round(found.delta_pp, 2) + 0.0:+.2f} |")
    return rows
