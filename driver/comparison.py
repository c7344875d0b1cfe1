"""One comparison from the raw evidence: every figure of every framework by the same code."""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver import draws, elsewhere, gates, host, legs, metrics, outputs, remarks, statistics, verdict
from driver.evidence import Evidence, recipe, variants
from driver.experiment import Experiment
from driver.results import SIGNIFICANT, Cold, Comparison, Losing, Timing, Variant
from driver.wording import p_value
from shared.contract import SCHEMA, Seal, Step
from shared.tasks import at_chance

Answers = dict[str, NDArray[np.float32]]
Labels = NDArray[np.uint8]
Timings = Mapping[str, tuple[Timing, ...]]  # by variant


def compare(evidence: Evidence, experiment: Experiment) -> Comparison:
    """What the volume holds now, judged. A variant that isn't up to date is a row without figures."""
    gc.freeze()  # statsmodels collects garbage in every Holm correction: 70 ms, unless there is little to look at
    steps, labels = variants(evidence.plan), evidence.labels()
    answers = {step.output: found for step in steps if (found := evidence.probabilities(step.output)) is not None}
    passes = evidence.passes()
    tables = {image: metrics.timings(group) for image, group in passes.items()}
    rows = corrected([row(evidence, step, answers, labels, experiment.reference) for step in steps])
    noise = tuple(floor for image, table in tables.items() if (floor := metrics.noise(image, table)))
    rows = [quantization(evidence, item) for item in timed(rows, tables, evidence.cold())]
    refused = {item.name: elsewhere.refusals(evidence, item.name) for item in rows}
    rows = remarks.add(rows, noise, refused, {item.name: evidence.whole(item.name) for item in rows if item.in_float})
    checked = tuple(gates.evaluate(experiment.gates, rows))
    return Comparison(
        schema=SCHEMA,
        experiment=experiment.name,
        reference=experiment.reference,
        dataset=evidence.dataset(),
        variants=tuple(rows),
        host=host.describe(),
        versions=evidence.versions(),
        gates=checked,
        failures=evidence.failures(),
        legs=() if labels is None else legs.compare(evidence, answers, labels),
        noise=noise,
        warnings=metrics.warnings(passes),
        verdict=verdict.judge(rows, experiment.reference, checked, noise, experiment.gates),
        digests=evidence.digests(),
        evidence=evidence.fingerprint(experiment),
    )


def row(evidence: Evidence, step: Step, answers: Answers, labels: Labels | None, reference: str) -> Variant:
    """All that is known of one variant but its timings; against the reference, where that has answers."""
    status, reason = evidence.status(step)
    known = Variant(step.output, step.image, recipe(step), status, reason)
    if seal := evidence.seal(step.output):
        known = replace(known, size_bytes=size(seal))
    own = answers.get(step.output)
    if own is None or labels is None:
        return known
    known = replace(known, **metrics.figures(own, labels, answers.get(reference)), **spread(own, labels))
    if (base := answers.get(reference)) is not None:
        known = against(known, base, own, labels)
    if at_chance(own, labels):
        return replace(known, status="failed", reason=chance_reason(own, labels))
    return known


def spread(own: NDArray[np.float32], labels: Labels) -> dict[str, Any]:
    """What the answers say by themselves: interval of the accuracy, calibration error, and a count for each class."""
    top = own.argmax(axis=1)
    return {
        "interval": statistics.wilson(int((top == labels).sum()), len(labels)),
        "ece": statistics.calibration_error(own, labels),
        "classes": tuple(statistics.per_class(top, labels, own.shape[1])),
        "confusion": tuple(map(tuple, statistics.confusion(top, labels, own.shape[1]).tolist())),
    }


def against(known: Variant, base: NDArray[np.float32], own: NDArray[np.float32], labels: Labels) -> Variant:
    """The row with its pairs, its drift and the classes that lose."""
    before, after = base.argmax(axis=1) == labels, own.argmax(axis=1) == labels
    losing = statistics.classes_that_lose(before, after, labels, own.shape[1])
    return replace(
        known,
        paired=statistics.paired(before, after),
        drift=outputs.drift(base, own),
        losing=tuple(Losing(label, pairs) for label, pairs in losing if p_value(pairs) < SIGNIFICANT),
    )


def quantization(evidence: Evidence, known: Variant) -> Variant:
    """The row with what other calibration sets and other CPUs make of it."""
    if not known.quantized or known.status != "ok" or known.accuracy is None:
        return known
    reference = None if known.delta_pp is None else known.accuracy - known.delta_pp / 100
    in_float, limit_held = evidence.in_float(known.name)
    return replace(
        known,
        draws=draws.spread(evidence, known.name, reference),
        curve=draws.curve(evidence, known.name),
        emulated=elsewhere.runs(evidence, known.name),
        in_float=in_float,
        limit_held=limit_held,
    )


def corrected(rows: Sequence[Variant]) -> list[Variant]:
    """Holm's correction over the rows of quantized variants, which are many tests; float ones are held to be equal."""
    family = [item for item in rows if item.paired is not None and item.quantized]
    pairs = statistics.holm([item.paired for item in family if item.paired is not None])
    found = {item.name: pair for item, pair in zip(family, pairs, strict=True)}
    return [replace(item, paired=found.get(item.name, item.paired)) for item in rows]


def timed(rows: Sequence[Variant], tables: Mapping[str, Timings], cold: Mapping[str, Cold]) -> list[Variant]:
    """The rows with their timings: only those whose answers are sound were timed."""
    return [
        replace(item, **metrics.row(tables.get(item.image, {}).get(item.name, ())), cold=cold.get(item.name))
        if item.status == "ok"
        else item
        for item in rows
    ]


def size(seal: Seal) -> int:
    """Bytes of the file that is shipped."""
    return sum(file.size for name, file in seal.files.items() if name.startswith("model."))


def chance_reason(answers: NDArray[np.float32], labels: Labels) -> str:
    accuracy = float((answers.argmax(axis=1) == labels).mean())
    return f"answers no better than chance: {accuracy:.2%} with {answers.shape[1]} classes"
