"""One comparison from the raw evidence: every metric of every framework by the same code."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from driver.analysis import (
    calibration_draws,
    classification,
    conversion_steps,
    cross_cpu,
    gates,
    saturation,
    siblings,
    timing_summary,
)
from driver.analysis.artifacts import Evidence, recipe, variants
from driver.analysis.evaluation import Answer, Evaluation, compute_metrics, correct_family
from driver.analysis.results import SCHEMA, Cold, Comparison, Metric, Noise, Timing, Variant
from driver.decision import conversion_notes, decide, row_warnings
from driver.experiment.model import Experiment
from driver.host import facts
from shared.contract import Manifest, Step, shown
from shared.data.samples import About
from shared.errors import CrossquantError
from shared.tasks import find_defect

Timings = Mapping[str, tuple[Timing, ...]]  # by variant


def compare(evaluation: Evaluation, experiment: Experiment) -> Comparison:
    """What the volume holds now, evaluated. A variant that isn't up to date is a row without metrics."""
    evidence = evaluation.evidence
    steps = variants(evidence.plan)
    truth = evaluation.truth()
    about = truth.about if truth else About()
    answered = [step.output for step in steps if evaluation.answer(step.output) is not None]
    if evaluation.misfits and not answered:  # then it isn't one variant that is wrong: another model's data, say
        raise CrossquantError(next(iter(evaluation.misfits.values())))
    passes = evidence.passes()
    tables = {image: timing_summary.summarize_timings(group) for image, group in passes.items()}
    rows = correct_p_values([build_row(evaluation, step) for step in steps])
    noise = tuple(floor for image, table in tables.items() if (floor := timing_summary.compute_noise(image, table)))
    rows = [add_quantization_results(evaluation, item) for item in add_timings(rows, tables, evidence.cold())]
    rows = add_row_warnings(evidence, rows, noise)
    checked = tuple(gates.check_gates(experiment.gates, rows, about.task))
    not_held = tuple(gate for item in rows for gate in gates.find_gates_not_held(experiment.gates, item))
    every, limits, described = (*checked, *not_held), experiment.gates, facts.describe()
    doubts = (
        *timing_summary.find_doubts(passes),
        *saturation.find_other_cpus(evidence, rows, described["int8_instructions"]),
    )
    comparison = Comparison(
        schema=SCHEMA,
        experiment=experiment.name,
        reference=experiment.reference,
        dataset=evidence.dataset() | {"task": about.task} | describe_output(about),
        variants=tuple(rows),
        host=described,
        versions=evidence.versions(),
        gates=checked,
        not_held=not_held,
        failures=evidence.failures(),
        conversion_steps=conversion_steps.compare_conversion_steps(evaluation),
        noise=noise,
        warnings=doubts,
        decision=decide.decide(rows, experiment.reference, every, noise, limits, about.task),
        digests=evidence.digests(),
        evidence=evidence.fingerprint(experiment),
    )
    return shown(comparison, sys.maxsize)  # what is read is safe to show already; so is then whatever is made of it


def describe_output(about: About) -> dict[str, int]:
    """Which output is evaluated, where that is not the first."""
    return {"evaluated_output": about.evaluated_output} if about.evaluated_output else {}


def build_row(evaluation: Evaluation, step: Step) -> Variant:
    """The row of one variant without its timings, compared with the reference where that has answers."""
    evidence = evaluation.evidence
    status, reason = evidence.status(step)
    if status == "ok" and step.output in evaluation.misfits:
        status, reason = "failed", evaluation.misfits[step.output]
    variant = Variant(step.output, step.image, recipe(step), status, reason)
    if manifest := evidence.manifest(step.output):
        variant = replace(variant, size_bytes=compute_size(manifest))
    own, base = evaluation.answer(step.output), evaluation.answer(evaluation.reference)
    if own is None or not own.truth.can_evaluate:
        return variant
    variant = add_metrics(variant, own, base)
    if base is not None:
        variant = replace(variant, outputs=evaluation.compare_outputs(step.output))
    unsound = find_defect(own.outputs, own.value if own.truth.spec.has_classes else None)
    return replace(variant, status="failed", reason=unsound) if unsound else variant


def add_metrics(row: Variant, own: Answer, base: Answer | None) -> Variant:
    """The row with the metrics of the task."""
    row = replace(row, metrics=compute_metrics(own, base))
    if base is not None:
        row = replace(row, drift=own.drift_from(base))
    return classification.describe_classes(row, own, base) if own.truth.spec.has_classes else row


def add_quantization_results(evaluation: Evaluation, row: Variant) -> Variant:
    """The quantized row with its calibration draws, its runs on other CPUs and its layers in float."""
    if not row.quantized or row.status != "ok" or (headline := row.headline) is None:
        return row
    reference = None if headline.delta is None else headline.value - headline.delta
    in_float, limit_held = evaluation.evidence.in_float(row.name)
    return replace(
        saturation.add_saturation(evaluation.evidence, row),
        draws=calibration_draws.summarize_draws(evaluation, row.name, reference),
        curve=calibration_draws.collect_curve(evaluation, row.name),
        emulated=cross_cpu.compare_runs(evaluation, row.name),
        in_float=in_float,
        limit_held=limit_held,
    )


def correct_p_values(rows: Sequence[Variant]) -> list[Variant]:
    """Holm's correction over the rows of quantized variants, which are many tests; float ones are held to be equal."""
    family = correct_family({item.name: item.metrics for item in rows if item.quantized})
    return [with_metrics(item, family[item.name]) if item.name in family else item for item in rows]


def with_metrics(row: Variant, metrics: tuple[Metric, ...]) -> Variant:
    """The row with corrected metrics. Its pairs have the p-value of the headline metric, computed from them."""
    paired = row.paired and replace(row.paired, p_holm=metrics[0].p_holm)
    return replace(row, metrics=metrics, paired=paired)


def add_row_warnings(evidence: Evidence, rows: Sequence[Variant], noise: Sequence[Noise]) -> list[Variant]:
    """The rows with their warnings and conversion notes."""
    refused = {item.name: cross_cpu.read_refusals(evidence, item.name) for item in rows}
    whole = {item.name: evidence.whole(item.name) for item in rows if item.in_float}
    notes = {item.name: conversion_notes.read_notes(evidence, item.name) for item in rows if item.status == "ok"}
    remedies = {item.name: saturation.find_remedy(evidence, item.name) for item in rows if item.saturated}
    rounding = {item.name: siblings.rounds_all(evidence.plan.step(item.name)) for item in rows}
    return row_warnings.add_warnings(rows, noise, refused, whole, notes, remedies, rounding)


def add_timings(rows: Sequence[Variant], tables: Mapping[str, Timings], cold: Mapping[str, Cold]) -> list[Variant]:
    """The rows with their timings: only those whose answers are sound were timed."""
    return [
        replace(
            item,
            **timing_summary.select_columns(tables.get(item.image, {}).get(item.name, ())),
            cold=cold.get(item.name),
        )
        if item.status == "ok"
        else item
        for item in rows
    ]


def compute_size(manifest: Manifest) -> int:
    """The size of the file that is shipped, in bytes."""
    return sum(file.size for name, file in manifest.files.items() if name.startswith("model."))
