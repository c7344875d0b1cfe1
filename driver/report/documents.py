"""The comparison as Markdown for a pull request, as CSV for a spreadsheet, and as JUnit XML for a CI server."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from xml.etree import ElementTree

from driver.analysis import metric_specs
from driver.analysis.results import Changed, Comparison, Emulated, Variant
from driver.report import columns, comment_limits, folded_tables, terminal

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a formula begins with, in one spreadsheet or another


def texts(comparison: Comparison) -> dict[str, str]:
    """The contents of `comparison.json`, `.md` and `.csv`, by their names."""
    return {
        "comparison.json": json.dumps(asdict(comparison), indent=1, ensure_ascii=False) + "\n",
        "comparison.md": markdown(comparison),
        "comparison.csv": csv_text(comparison),
    }


def markdown(comparison: Comparison) -> str:
    """A page that fits a pull request's comment, however many variants there are: the verdict first."""
    above, below = beginning(comparison), rest(comparison)
    lines = [*above, *table(comparison, comment_limits.LINES - len(above) - len(below)), *below]
    return "\n".join(comment_limits.cut(line) for line in lines) + "\n"


def beginning(comparison: Comparison) -> list[str]:
    first, *_ = comparison.verdict.sentences or ("No verdict.",)
    notes = [f"> **{comment_limits.escaped(note)}**" for note in terminal.notes(comparison)]
    noted = [line for note in comment_limits.first(notes, comment_limits.NOTES) for line in (note, "")]
    said = [line for line in (terminal.direction(comparison),) if line]
    return [
        f"# {comment_limits.escaped(terminal.title(comparison))}",
        "",
        *(line for each in said for line in (each, "")),
        *noted,
        f"**{comment_limits.escaped(first)}**",
        "",
    ]


def table(comparison: Comparison, room: int) -> list[str]:
    """In at most `room` lines."""
    headings = [heading.replace("|", "\\|") for heading in columns.headings(comparison)]
    head = ["| " + " | ".join(headings) + " |", "|---" + "|---:" * (len(headings) - 1) + "|"]
    rows, left_out = comment_limits.rows(comparison, room - len(head))
    lines = ["| " + " | ".join([f"`{row.name}`", *columns.cells(comparison, row)]) + " |" for row in rows]
    return [*head, *lines, *(["", f"… and {left_out} more rows in comparison.csv"] if left_out else [])]


def rest(comparison: Comparison) -> list[str]:
    """All that stands below the table."""
    said = [
        f"- `{name}` {status}: {comment_limits.escaped(reason)}"
        for name, status, reason in terminal.reasons(comparison)
    ]
    broken = [f"- **gate fails**: {terminal.gate_sentence(gate)}" for gate in comparison.gates if not gate.holds]
    lines = ["", *comment_limits.first(said, comment_limits.REASONS)] if said else []
    if sentence := terminal.not_held(comparison):
        lines += ["", f"- **{sentence}**"]
    lines += ["", *(comment_limits.first(broken, comment_limits.BROKEN) or [terminal.gates_hold(comparison)])]
    remarked = [
        f"- `{row.name}`: {comment_limits.escaped(remark)}" for row in comparison.variants for remark in row.remarks
    ]
    lines += ["", *comment_limits.first(remarked, comment_limits.REMARKS)] if remarked else []
    lines += folded_tables.folded(comparison)
    return [*lines, "", *provenance(comparison)]


def provenance(comparison: Comparison) -> list[str]:
    machine = comparison.host
    int8 = ", ".join(machine["int8_instructions"]) or "no int8 instructions"
    lines = [f"Host: {machine['cpu']}, {machine['cores']} cores, {int8}. One thread; p50 and p90 at batch 1."]
    for image, versions in comparison.versions.items():
        named = ", ".join(f"{name} {version}" for name, version in versions.items())
        lines.append(f"{image}: {named}.")
    lines = [comment_limits.escaped(line) for line in lines]
    return [*(f"{line}  " for line in lines[:-1]), lines[-1]]


def csv_text(comparison: Comparison) -> str:
    """A line a variant, with every figure that is one number; what there is none of is empty."""
    names = columns.names(comparison.variants)
    rows = [flat(row) | figures(row, names) for row in comparison.variants]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["name"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it; numbers are as they are."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def flat(row: Variant) -> dict[str, object]:
    interval, pairs, latency = row.interval, row.paired, row.latency_ms
    drift, cold, draws = row.drift, row.cold, row.draws
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
        "draws": draws and len(draws.accuracies),
        "draws_mean": draws and draws.mean,
        "draws_sd": draws and draws.sd,
        "emulated": "; ".join(f"{run.cpu} {there(row, run)} of {run.images}" for run in row.emulated),
        "in_float": "; ".join(row.in_float),
        "remarks": "; ".join(row.remarks),
    }


def there(row: Variant, run: Emulated) -> str:
    return (
        f"{100 * run.accuracy:.1f}%" if row.accuracy is not None else metric_specs.of(row.headline).text(run.accuracy)
    )


def figures(row: Variant, names: Sequence[str]) -> dict[str, object]:
    """Each figure of the task, its interval, and the same of its difference to the reference."""
    known = {metric.name: metric for metric in row.metrics}
    found: dict[str, object] = {}
    for name in names:
        metric = known.get(name)
        span, change = (metric and metric.interval), (metric and metric.delta_interval)
        found |= {
            name: metric and metric.value,
            f"{name}_low": span and span.low,
            f"{name}_high": span and span.high,
            f"{name}_delta": metric and metric.delta,
            f"{name}_delta_low": change and change.low,
            f"{name}_delta_high": change and change.high,
            f"{name}_p_value": metric and metric.p_value,
            f"{name}_p_holm": metric and metric.p_holm,
        }
    return found


def changed_text(changed: Mapping[str, Sequence[Changed]]) -> str:
    """A line for each variant and image whose top-1 is not the reference's, those the variant is surest of first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["variant", *(field.name for field in fields(Changed))], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"variant": name, **asdict(item)} for name, items in changed.items() for item in items)
    return text.getvalue()


def junit(comparison: Comparison) -> str:
    """A test case for each gate, for each that isn't held, and for each variant or stage that has no result."""
    suite = ElementTree.Element("testsuite", name=f"crossquant.{comparison.experiment}")
    for gate in comparison.gates:
        case = ElementTree.SubElement(suite, "testcase", classname=gate.variant, name=f"{gate.figure} {gate.bound}")
        if not gate.holds:
            ElementTree.SubElement(case, "failure", message=terminal.gate_sentence(gate))
    for gate in comparison.not_held:
        name = f"{gate.figure} {gate.bound} of gates.quantized"
        case = ElementTree.SubElement(suite, "testcase", classname=gate.variant, name=name)
        ElementTree.SubElement(case, "skipped", message=terminal.not_held_sentence(gate))
    for name, status, reason in terminal.reasons(comparison):
        case = ElementTree.SubElement(suite, "testcase", classname=name, name="result")
        kind = "skipped" if status in ("unsupported", "skipped") else "error"
        ElementTree.SubElement(case, kind, message=f"{status}: {reason}")
    for count, kind in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(len(list(suite.iter(kind)))))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
