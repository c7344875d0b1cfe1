"""The comparison as Markdown for a pull request, as CSV for a spreadsheet, and as JUnit XML for a CI server."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from xml.etree import ElementTree

from driver import reporting
from driver.results import Changed, Comparison, Variant


def markdown(comparison: Comparison) -> str:
    """A page that fits a pull request's comment: the verdict first."""
    first, *others = comparison.verdict.sentences or ("No verdict.",)
    lines = [f"# {reporting.title(comparison)}", ""]
    lines += [line for note in reporting.notes(comparison) for line in (f"> **{note}**", "")]
    lines += [f"**{first}**", ""]
    headings = [heading.replace("|", "\\|") for heading in reporting.HEADINGS]
    lines += ["| " + " | ".join(headings) + " |", "|---" + "|---:" * (len(headings) - 1) + "|"]
    lines += ["| " + " | ".join([f"`{row.name}`", *reporting.cells(row)]) + " |" for row in comparison.variants]
    said = [f"- `{name}` {status}: {reason}" for name, status, reason in reporting.reasons(comparison)]
    lines += ["", *said] if said else []
    broken = [f"- **gate fails**: {reporting.gate_sentence(gate)}" for gate in comparison.gates if not gate.holds]
    lines += ["", *(broken or [reporting.gates_hold(comparison)])]
    lines += details("Why not the others", [f"- {sentence}" for sentence in others])
    lines += details("What each leg lost", leg_table(comparison))
    return "\n".join([*lines, "", *provenance(comparison)]) + "\n"


def details(summary: str, lines: list[str]) -> list[str]:
    """Folded away: at most 25 lines, so that a hundred variants don't fill a pull request."""
    shown = lines[:25] + ([f"- … and {len(lines) - 25} more"] if len(lines) > 25 else [])
    return ["", f"<details><summary>{summary}</summary>", "", *shown, "", "</details>"] if lines else []


def leg_table(comparison: Comparison) -> list[str]:
    head = ["| leg | by | changed top-1 | Δ pp | SQNR dB |", "|---|---|---:|---:|---:|"]
    rows = []
    for leg in comparison.legs:
        sqnr = "–" if leg.drift.sqnr_db is None else f"{leg.drift.sqnr_db:.1f}"
        by = ", ".join(leg.tools)
        rows.append(
            f"| `{leg.before}` → `{leg.after}` | {by} | {leg.drift.changed} | {leg.paired.delta_pp:+.2f} | {sqnr} |"
        )
    return head + rows if rows else []


def provenance(comparison: Comparison) -> list[str]:
    machine = comparison.host
    int8 = ", ".join(machine["int8_instructions"]) or "no int8 instructions"
    lines = [f"Host: {machine['cpu']}, {machine['cores']} cores, {int8}. One thread; p50 and p90 at batch 1."]
    for image, versions in comparison.versions.items():
        named = ", ".join(f"{name} {version}" for name, version in versions.items())
        lines.append(f"{image}: {named}.")
    return ["  \n".join(lines)]


def csv_text(comparison: Comparison) -> str:
    """A line a variant, with every figure that is one number; what there is none of is empty."""
    rows = [flat(row) for row in comparison.variants]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["name"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def flat(row: Variant) -> dict[str, object]:
    interval, pairs, latency, drift, cold = row.interval, row.paired, row.latency_ms, row.drift, row.cold
    return {
        "name": row.name,
        "image": row.image,
        "recipe": row.recipe,
        "status": row.status,
        "reason": row.reason,
        "accuracy": row.accuracy,
        "accuracy_low": interval and interval.low,
        "accuracy_high": interval and interval.high,
        "delta_pp": row.delta_pp,
        "delta_pp_low": pairs and pairs.interval_pp.low,
        "delta_pp_high": pairs and pairs.interval_pp.high,
        "p_value": pairs and pairs.p_value,
        "p_holm": pairs and pairs.p_holm,
        "agreement": row.agreement,
        "max_abs_diff": row.max_abs_diff,
        "sqnr_db": drift and drift.sqnr_db,
        "ece": row.ece,
        "size_bytes": row.size_bytes,
        "p50_ms": latency and latency.p50,
        "p90_ms": latency and latency.p90,
        "p99_ms": latency and latency.p99,
        "images_per_second": row.images_per_second,
        "cold_start_seconds": cold and cold.answered,
        "peak_bytes": cold and cold.peak_bytes,
    }


def changed_text(changed: Mapping[str, Sequence[Changed]]) -> str:
    """A line for each variant and image whose top-1 is not the reference's, those the variant is surest of first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["variant", *(field.name for field in fields(Changed))], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"variant": name, **asdict(item)} for name, items in changed.items() for item in items)
    return text.getvalue()


def junit(comparison: Comparison) -> str:
    """A test case for each gate and for each variant or stage that has no result."""
    suite = ElementTree.Element("testsuite", name=f"crossquant.{comparison.experiment}")
    for gate in comparison.gates:
        case = ElementTree.SubElement(suite, "testcase", classname=gate.variant, name=f"{gate.figure} {gate.bound}")
        if not gate.holds:
            ElementTree.SubElement(case, "failure", message=reporting.gate_sentence(gate))
    for name, status, reason in reporting.reasons(comparison):
        case = ElementTree.SubElement(suite, "testcase", classname=name, name="result")
        kind = "skipped" if status in ("unsupported", "skipped") else "error"
        ElementTree.SubElement(case, kind, message=f"{status}: {reason}")
    for count, kind in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(len(list(suite.iter(kind)))))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
