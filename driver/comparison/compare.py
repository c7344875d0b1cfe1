"""One comparison from the raw evidence: every metric of every framework by the same code."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from driver import __version__
from driver.analysis import (
    assessment,
    calibration_draws,
    calibration_error,
    classification,
    conversion_steps,
    cross_cpu,
    fingerprint,
    gates,
    saturation,
    siblings,
    speed,
    timing_summary,
)
from driver.analysis.artifacts import Evidence, recipe, variants
from driver.analysis.evaluation import Answer, Evaluation, Truth, compute_metrics, compute_output_metrics
from driver.analysis.facts import BusyMachine, Decision, LookedBefore, RunWarning, SharedMachine
from driver.analysis.results import (
    SCHEMA,
    Cold,
    Comparison,
    Gate,
    Noise,
    Origin,
    OutputMetrics,
    Timing,
    UncheckedGate,
    Variant,
)
from driver.decision import conversion_notes, decide, row_warnings
from driver.decision.criteria import TimingNoise
from driver.experiment.model import Experiment
from driver.host import checkout, facts
from shared.artifacts import store
from shared.contract import Manifest, Step, shown
from shared.data.samples import About
from shared.errors import CrossquantError
from shared.tasks import find_defect

Timings = Mapping[str, tuple[Timing, ...]]  # by variant


def compare(evaluation: Evaluation, experiment: Experiment, looks: int = 1) -> Comparison:
    """What the volume holds now, evaluated. A variant that isn't up to date is a row without metrics.

    `looks`: how often variants of this model have been compared on these test samples, this time included.
    """
    evidence = evaluation.evidence
    steps = variants(evidence.plan)
    truth = evaluation.truth()
    about = truth.about if truth else About()
    answered = [step.output for step in steps if evaluation.answer(step.output) is not None]
    if evaluation.misfits and not answered:  # then it isn't one variant that is wrong: another model's data, say
        raise CrossquantError(next(iter(evaluation.misfits.values())))
    passes = evidence.passes()
    tables = {image: timing_summary.summarize_timings(group) for image, group in passes.items()}
    rows = [build_row(evaluation, step) for step in steps]
    noise = tuple(item for image, table in tables.items() for item in speed.compute_noise(image, table))
    rows = [add_quantization_results(evaluation, item) for item in add_timings(rows, tables, evidence.cold())]
    rows = assessment.assess_variants(evaluation, rows, experiment)
    doubts = timing_summary.find_doubts(passes)
    rows = add_row_warnings(evidence, rows, noise, doubts)
    base = next((item for item in rows if item.name == experiment.reference), None)
    checked = tuple(gates.check_gates(experiment.gates, rows, about.task, base, evaluation.replicate))
    not_held = tuple(
        gate for item in rows for gate in gates.find_gates_not_held(experiment.gates, item, base, evaluation.replicate)
    )
    unchecked = tuple(gates.find_unchecked_gates(experiment.gates, rows, base))
    described = facts.describe()
    every: list[Gate | UncheckedGate] = [*checked, *not_held, *unchecked]
    decision = decide.decide(rows, every, describe_noise(noise, doubts), experiment, about.task)
    comparison = Comparison(
        schema=SCHEMA,
        experiment=experiment.name,
        reference=experiment.reference,
        dataset=evidence.dataset() | {"task": about.task} | describe_output(about, truth),
        variants=tuple(rows),
        host=described,
        versions=evidence.versions(),
        gates=checked,
        not_held=not_held,
        unchecked=unchecked,
        failures=evidence.failures(),
        conversion_steps=conversion_steps.compare_conversion_steps(evaluation),
        noise=noise,
        warnings=(*doubts, *saturation.find_other_cpus(evidence, rows, described["int8_instructions"])),
        decision=add_looks(add_calibration(evaluation, decision), looks),
        digests=fingerprint.list_digests(evidence.freshness),
        evidence=fingerprint.compute_fingerprint(evidence.freshness, experiment),
        targets=experiment.targets,
        smallest_loss=assessment.find_smallest_loss(rows),
        origin=describe_origin(evidence, experiment),
        require=experiment.require,
    )
    return shown(comparison, sys.maxsize)  # what is read is safe to show already; so is then whatever is made of it


def describe_noise(noise: Sequence[Noise], doubts: Sequence[RunWarning]) -> TimingNoise:
    """How far timings can be believed."""
    busy = any(isinstance(doubt, BusyMachine | SharedMachine) for doubt in doubts)
    return TimingNoise(max((item.share for item in noise), default=0.0), busy)


def describe_output(about: About, truth: Truth | None) -> dict[str, Any]:
    """Which output is evaluated, where that is not the first; of classes, whether it gives logits or probabilities."""
    described: dict[str, Any] = {"evaluated_output": about.evaluated_output} if about.evaluated_output else {}
    if truth is not None and truth.spec.has_classes and truth.logits is not None:
        described["outputs"] = "logits" if truth.logits else "probabilities"
    return described


def describe_origin(evidence: Evidence, experiment: Experiment) -> Origin:
    """The day of the newest timings, this crossquant, and the command of the run."""
    starts = [once.machine.started for group in evidence.passes().values() for once in group]
    measured = datetime.fromtimestamp(max(starts), UTC).date().isoformat() if starts else ""
    command = evidence.command(*(f"--with {image}" for image in experiment.images))
    return Origin(measured, __version__, checkout.read_commit(store.ROOT), command)


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
    variant = replace(
        add_metrics(variant, own, base), further_outputs=describe_further_outputs(evaluation, step.output)
    )
    if base is not None:
        variant = replace(variant, outputs=evaluation.compare_outputs(step.output))
    unsound = find_defect(own.outputs, float(own.right.mean()) if own.truth.spec.has_classes else None)
    return replace(variant, status="failed", reason=unsound) if unsound else variant


def describe_further_outputs(evaluation: Evaluation, variant: str) -> tuple[OutputMetrics, ...]:
    """The metrics of the other outputs that have labels."""
    return tuple(
        compute_output_metrics(further, own, base) for further, own, base in evaluation.further_answers(variant)
    )


def add_metrics(row: Variant, own: Answer, base: Answer | None) -> Variant:
    """The row with the metrics of the task."""
    row = replace(row, metrics=compute_metrics(own, base), breakdowns=own.breakdowns)
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


def add_calibration(evaluation: Evaluation, decision: Decision) -> Decision:
    """The decision with a caveat where the chosen variant's confidence is worse calibrated than the reference's."""
    own = evaluation.evaluated_answer(decision.variant) if decision.outcome == "ship" else None
    base = evaluation.evaluated_answer(evaluation.reference)
    if own is None or base is None or not own.truth.spec.has_classes:
        return decision
    return replace(decision, caveats=(*decision.caveats, *calibration_error.find_increase(own, base)))


def add_looks(decision: Decision, looks: int) -> Decision:
    """The decision with a caveat where the test samples have been looked at before."""
    return replace(decision, caveats=(*decision.caveats, LookedBefore(looks))) if looks > 1 else decision


def add_row_warnings(
    evidence: Evidence, rows: Sequence[Variant], noise: Sequence[Noise], doubts: Sequence[RunWarning]
) -> list[Variant]:
    """The rows with their warnings and conversion notes."""
    refused = {item.name: cross_cpu.read_refusals(evidence, item.name) for item in rows}
    whole = {item.name: evidence.whole(item.name) for item in rows if item.in_float}
    notes = {item.name: conversion_notes.read_notes(evidence, item.name) for item in rows if item.status == "ok"}
    remedies = {item.name: saturation.find_remedy(evidence, item.name) for item in rows if item.saturated}
    rounding = {item.name: siblings.rounds_all(evidence.plan.step(item.name)) for item in rows}
    return row_warnings.add_warnings(
        rows, noise, refused, whole, notes, remedies, rounding, describe_noise(noise, doubts).busy
    )


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
