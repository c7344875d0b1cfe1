"""The comparison as CSV for a spreadsheet."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields

from driver.analysis import metric_specs
from driver.analysis.results import Changed, Comparison, Emulated, Metric, Variant
from driver.report import columns, part_tables, phrases

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a formula begins with, in one spreadsheet or another


def csv_text(comparison: Comparison) -> str:
    """A line a variant, with all that is one number; what there is none of is empty."""
    names = columns.names(comparison.variants)
    rows = [
        row_cells(row, comparison.unit) | metric_cells(row.metrics, names) | output_cells(comparison, row)
        for row in comparison.variants
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["name"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it; numbers are as they are."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def row_cells(row: Variant, unit: str) -> dict[str, object]:
    accuracy, pairs, latency = row.metric("accuracy"), row.paired, row.latency_ms
    interval = accuracy and accuracy.interval
    drift, cold, draws = row.drift, row.cold, row.draws
    return {
        "name": row.name,
        "image": row.image,
        "recipe": row.recipe,
        "status": row.status,
        "reason": row.reason,
        "accuracy": accuracy and accuracy.value,
        "accuracy_low": interval and interval.low,
        "accuracy_high": interval and interval.high,
        "delta_pp": metric_specs.difference_in_points(accuracy),
        "delta_pp_low": pairs and pairs.interval_pp.low,
        "delta_pp_high": pairs and pairs.interval_pp.high,
        "p_value": pairs and pairs.p_value,
        **assessment_cells(row),
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
        "draws": draws and len(draws.values),
        "draws_mean": draws and draws.mean,
        "draws_sd": draws and draws.sd,
        "emulated": "; ".join(f"{run.cpu} {format_emulated(row, run)} of {run.images}" for run in row.emulated),
        "in_float": "; ".join(row.in_float),
        "warnings_and_notes": "; ".join(phrases.row_notes(row, unit)),
    }


def assessment_cells(row: Variant) -> dict[str, object]:
    """What is shown of the variant on this host, in the metric's own unit, and the outcome on every target."""
    item = row.assessment
    return {
        "assessed": item and item.quantity,
        "assessed_value": item and item.estimate,
        "assessed_low": item and item.low,
        "assessed_high": item and item.high,
        "limit": item and item.limit,
        "candidates": item and item.candidates,
        "outcomes": "; ".join(f"{each.target} {each.outcome}" for each in row.assessments),
        "samples_needed": item and item.needed,
    }


def format_emulated(row: Variant, run: Emulated) -> str:
    spec = metric_specs.spec_of(row.headline)
    return f"{100 * run.value:.1f}%" if spec.counted else spec.text(run.value)


def output_cells(comparison: Comparison, row: Variant) -> dict[str, object]:
    """The metrics of the other outputs that have labels: `boxes.mae`, and the same of each."""
    cells: dict[str, object] = {}
    for table in part_tables.list_output_tables(comparison):
        own = [item.metrics for item in row.further_outputs if item.output == table.output.output]
        names = [metric.name for metric in table.output.metrics]
        metrics = metric_cells(own[0] if own else (), names)
        cells |= {f"{table.name}.{name}": value for name, value in metrics.items()}
    return cells


def metric_cells(metrics_of: Sequence[Metric], names: Sequence[str]) -> dict[str, object]:
    """Each of these metrics, its interval, and the same of its difference to the reference."""
    metrics = {metric.name: metric for metric in metrics_of}
    cells: dict[str, object] = {}
    for name in names:
        metric = metrics.get(name)
        span, change = (metric and metric.interval), (metric and metric.delta_interval)
        cells |= {
            name: metric and metric.value,
            f"{name}_low": span and span.low,
            f"{name}_high": span and span.high,
            f"{name}_delta": metric and metric.delta,
            f"{name}_delta_low": change and change.low,
            f"{name}_delta_high": change and change.high,
            f"{name}_p_value": metric and metric.p_value,
        }
    return cells


def changed_text(changed: Mapping[str, Sequence[Changed]]) -> str:
    """A line for each variant and image whose top-1 is not the reference's, those the variant is surest of first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["variant", *(field.name for field in fields(Changed))], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"variant": name, **asdict(item)} for name, items in changed.items() for item in items)
    return text.getvalue()
