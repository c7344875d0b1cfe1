"""Is each variant shown to be good enough? Its loss against the reference is bounded, and held against the tolerance.

A loss of a metric that is a share of right answers has the bounds of a score test (driver/analysis/paired_shares.py),
at a level that is divided by the number of candidates (Bonferroni). Of any other metric the bounds are those of the
bootstrap, simultaneous over the candidates (driver/analysis/bootstrap.py). On another CPU the same file answers some of
the samples, and its answers are compared with those that the reference gives here. docs/decision.md explains the rules.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from driver.analysis import bootstrap, grouped_shares, metric_specs, paired_shares, weighted_shares
from driver.analysis.bootstrap import Doubles, Statistic
from driver.analysis.cross_cpu import CpuRun, read_runs
from driver.analysis.evaluation import Answer, Evaluation
from driver.analysis.facts import Assessment
from driver.analysis.paired_shares import POWER, PairedCounts, Scale
from driver.analysis.results import Interval, SmallestLoss, Variant
from driver.analysis.tasks import TASK_METRICS
from driver.experiment.model import HERE, Experiment, Gates
from driver.experiment.task_specs import FIDELITY, TASKS
from driver.experiment.tolerance import Tolerance, find_tolerance
from shared.data.samples import About

FEWEST = 200  # samples or groups: of fewer, resampling tells too little of a loss that few of them make
LEVEL = 0.05  # of the claim that all variants which are shown good enough are
PLANNED = 0.025  # the share of answers that differ, before any are known: what 8 bits change of a sound model
FLOAT_DB = 40.0  # of a float variant without labels: conversion keeps more than 100; less than this is another model

ByVariant = dict[str, Assessment]


@dataclass(frozen=True)
class Requirement:
    """What a variant must hold: a loss of `metric` within `tolerance`, or at least `least` of one that is a distance
    from the reference already.
    """

    metric: str
    tolerance: Tolerance | None = None
    least: float = 0.0


@dataclass(frozen=True, eq=False)
class Candidate:
    """The answers of a variant on a target, those of the reference to the same samples, and what is required."""

    name: str
    own: Answer
    base: Answer
    requirement: Requirement


def assess_variants(evaluation: Evaluation, rows: Sequence[Variant], experiment: Experiment) -> list[Variant]:
    """The rows with an assessment for each target; none for the reference, nor for what nothing is required of.

    CrossquantError where the tolerance is none of the task's.
    """
    candidates = list_candidates(evaluation, rows, experiment)
    if not candidates:
        return list(rows)
    sequence = experiment.multiplicity == "sequence"
    level = LEVEL if sequence else LEVEL / len(experiment.targets)  # of bounds that hold for all candidates together
    here = assess_together(HERE, candidates, len(candidates), level, sequence)
    by_target = {HERE: here}
    invariant = {row.name for row in rows if row.cpu_invariant}
    runs = {item.name: read_runs(evaluation, item.name) for item in candidates} if experiment.other_cpus else {}
    for cpu in experiment.other_cpus:
        run = {name: runs_of[cpu] for name, runs_of in runs.items() if cpu in runs_of}
        moved = [move_to(run[item.name], item) for item in candidates if item.name in run]
        there = assess_together(cpu, moved, len(candidates), level, sequence)
        same = {name for name, item in run.items() if item.alike} & invariant
        by_target[cpu] = {name: transfer(one, cpu, there.get(name), name in same) for name, one in here.items()}
    if sequence:
        stop_sequence(by_target, order_sequence(list(here), experiment.recommended))
    return [
        replace(row, assessments=tuple(items[row.name] for items in by_target.values())) if row.name in here else row
        for row in rows
    ]


def list_candidates(evaluation: Evaluation, rows: Sequence[Variant], experiment: Experiment) -> list[Candidate]:
    """Every variant that could be shipped in the reference's place, and of which something is required."""
    base = evaluation.evaluated_answer(evaluation.reference)
    if base is None:
        return []
    candidates = []
    for row in rows:
        own = evaluation.evaluated_answer(row.name) if row.status == "ok" and row.name != evaluation.reference else None
        requirement = find_requirement(row, base, experiment.tolerance, experiment.gates)
        if own is not None and requirement is not None:
            candidates.append(Candidate(row.name, own, base, requirement))
    return candidates


def find_requirement(row: Variant, base: Answer, declared: Tolerance | None, gates: Gates) -> Requirement | None:
    """What is required of a row. Without labels that is the tolerance, else a gate on fidelity; of a float variant,
    else, what every conversion keeps; None where nothing says how near to the reference is near enough.
    """
    task, headline = base.truth.task, base.headline
    tolerance = find_tolerance(declared, task, metric_specs.METRIC_SPECS[headline].unit == "%")
    if base.truth.spec.has_differences:
        return Requirement(headline, tolerance)
    if tolerance is not None:
        return Requirement("sqnr", None, tolerance.amount)
    for name in FIDELITY:
        bound = (gates.quantized if row.quantized else gates.float).get(name)
        if bound is not None and bound.min is not None:
            return Requirement(name, None, bound.min)
    return None if row.quantized else Requirement("sqnr", None, FLOAT_DB)


def move_to(run: CpuRun, candidate: Candidate) -> Candidate:
    """The candidate as it answers on another CPU, against the reference's answers here to the same samples."""
    base = candidate.base.restrict(run.indices, run.there.truth)
    return replace(candidate, own=run.there, base=base)


def assess_together(
    target: str, candidates: Sequence[Candidate], competing: int, level: float, sequence: bool
) -> ByVariant:
    """The assessment of each candidate on one target.

    `competing` is the number of candidates, on whichever target; `level` that of bounds by resampling, which are of all
    `candidates` at once. In a `sequence`, each is tested at the whole level.
    """
    specs = {item.name: metric_specs.METRIC_SPECS[item.requirement.metric] for item in candidates}
    counted = [item for item in candidates if specs[item.name].counted or specs[item.name].weighted]
    others = [item for item in candidates if item not in counted]
    number = 1 if sequence else competing
    assessed = {item.name: assess_share(target, item, number) for item in counted}
    for family in [[item] for item in others] if sequence else [others]:
        assessed |= assess_by_resampling(target, family, number, level)
    return {item.name: assessed[item.name] for item in candidates}


def assess_share(target: str, candidate: Candidate, competing: int) -> Assessment:
    """Of a metric that is a share of right answers."""
    own, base, metric = candidate.own, candidate.base, candidate.requirement.metric
    if own.truth.weights is not None and metric_specs.METRIC_SPECS[metric].weighted:
        return assess_weighted_share(target, candidate, own.truth.weights, competing)
    tolerance, groups = candidate.requirement.tolerance, own.truth.counted_groups
    assert tolerance is not None  # shares of right answers have a loss
    pairs = own.pair_with(base, metric)
    counts = PairedCounts(pairs.both_right, pairs.only_reference, pairs.only_variant, pairs.both_wrong)
    if groups is None:
        return assess_counts(target, metric, counts, tolerance, competing)
    right, base_right = own.computations[metric], base.computations[metric]
    assert isinstance(right, np.ndarray)
    assert isinstance(base_right, np.ndarray)
    won, lost = right & ~base_right, base_right & ~right
    used, level = grouped_shares.discount(counts, won, lost, groups, LEVEL / competing)
    grouped = assess_counts(target, metric, counts, tolerance, competing, used, level)
    return replace(grouped, groups=bootstrap.count_groups(groups))


def assess_weighted_share(target: str, candidate: Candidate, weights: Doubles, competing: int) -> Assessment:
    """The same where samples have weights, (samples,)."""
    right, base_right = candidate.own.right, candidate.base.right
    groups, tolerance = candidate.own.truth.groups, candidate.requirement.tolerance
    assert tolerance is not None
    counts = weighted_shares.count_weighted(right, base_right, weights)
    used, level = weighted_shares.discount(counts, right, base_right, weights, groups, LEVEL / competing)
    assessed = assess_counts(target, candidate.requirement.metric, counts, tolerance, competing, used, level)
    number = None if groups is None else bootstrap.count_groups(groups)
    return replace(assessed, groups=number, lost=None, won=None)  # which are weights, and no numbers of samples


def assess_counts(
    target: str,
    metric: str,
    counts: PairedCounts,
    tolerance: Tolerance,
    competing: int,
    used: PairedCounts | None = None,
    level: float | None = None,
) -> Assessment:
    """The assessment from a table of pairs; `used` are the independent samples that it is worth, tested at `level`."""
    used, level = used or counts, LEVEL / competing if level is None else level
    scale: Scale = "ratio" if tolerance.relative else "difference"
    span = paired_shares.bound_loss(used, scale, level)
    limit = tolerance.in_metric_unit
    needed = paired_shares.find_samples_needed(used, limit, scale, level)
    samples = round(counts.samples)
    unit = counts.reference_right / max(samples, 1) if tolerance.relative else 1.0  # a ratio in shares of all samples
    assessment = Assessment(
        target,
        "not_shown",
        metric,
        "loss",
        unit * paired_shares.estimate_loss(counts, scale),
        finite(unit * span.low),
        finite(unit * span.high),
        unit * limit,
        samples,
        competing,
        None if needed is None else math.ceil(needed * samples / max(used.samples, 1)),
        lost=round(counts.lost),
        won=round(counts.won),
    )
    return conclude(assessment, unit * span.low, unit * span.high)


def assess_by_resampling(target: str, family: Sequence[Candidate], competing: int, level: float) -> ByVariant:
    """Of metrics that are no shares of right answers; `level` is that of all bounds at once."""
    by_units: dict[int, list[Candidate]] = {}
    for item in family:  # the samples on another CPU are not the same ones for all where a run is out of date
        by_units.setdefault(len(item.own.outputs), []).append(item)
    assessed: ByVariant = {}
    for group in by_units.values():
        statistics = [make_statistic(item) for item in group]
        spans = bound_if_enough(statistics, level / len(by_units))
        for item, statistic, span in zip(group, statistics, spans, strict=True):
            assessed[item.name] = describe(target, item, statistic, span, competing)
    return assessed


def bound_if_enough(statistics: Sequence[Statistic], level: float) -> list[Interval]:
    """The simultaneous bounds; of too few samples or groups, nothing is known."""
    if len(statistics[0].influence) < FEWEST:
        return [Interval(-math.inf, math.inf) for _ in statistics]
    return bootstrap.bound_together(statistics, level)


def make_statistic(candidate: Candidate) -> Statistic:
    """Of the loss, relative to the reference where the tolerance is; of a distance from it, the metric itself."""
    name, groups = candidate.requirement.metric, candidate.own.truth.groups
    own, base = (replicate(answer, name) for answer in (candidate.own, candidate.base))
    tolerance = candidate.requirement.tolerance
    if tolerance is None:
        return replace(own, influence=bootstrap.sum_by_group(own.influence, groups))
    sign = 1 if metric_specs.METRIC_SPECS[name].better == "higher" else -1
    value, replicates = sign * (base.value - own.value), sign * (base.replicates - own.replicates)
    influence = sign * (base.influence - own.influence)
    if tolerance.relative and base.value:
        with np.errstate(divide="ignore", invalid="ignore"):
            replicates = replicates / np.abs(base.replicates)
        replicates[~np.isfinite(replicates)] = np.nan
        influence = (influence - value / base.value * base.influence) / abs(base.value)
        value /= abs(base.value)
    return Statistic(value, replicates, bootstrap.sum_by_group(influence, groups))


def replicate(answer: Answer, name: str) -> Statistic:
    return Statistic(answer.values[name], answer.resampled[name], answer.weighted_metrics[name].influence)


def describe(target: str, candidate: Candidate, statistic: Statistic, span: Interval, competing: int) -> Assessment:
    """The assessment of one candidate from the bounds of its statistic."""
    requirement, truth = candidate.requirement, candidate.own.truth
    tolerance, samples = requirement.tolerance, len(candidate.own.outputs)
    reference = abs(candidate.base.values[requirement.metric])
    unit = reference if tolerance is not None and tolerance.relative and reference else 1.0
    limit = requirement.least if tolerance is None else tolerance.in_metric_unit
    if tolerance is not None and tolerance.relative and not reference:
        limit = 0.0  # a share of nothing
    assessment = Assessment(
        target,
        "not_shown",
        requirement.metric,
        "value" if tolerance is None else "loss",
        unit * statistic.value,
        finite(unit * span.low),
        finite(unit * span.high),
        unit * limit,
        samples,
        competing,
        find_samples_needed(statistic, span, limit, samples, lower=tolerance is not None),
        groups=None if truth.groups is None else bootstrap.count_groups(truth.groups),
    )
    return conclude(assessment, unit * span.low, unit * span.high)


def find_samples_needed(statistic: Statistic, span: Interval, limit: float, samples: int, *, lower: bool) -> int | None:
    """About how many samples would show it with a power of 80 %, if the truth is what was observed; None where it
    isn't on the right side of the limit. `lower`: must it be below?
    """
    distance = limit - statistic.value if lower else statistic.value - limit
    width = span.high - statistic.value if lower else statistic.value - span.low
    if distance <= 0:
        return None
    if not math.isfinite(width):
        return FEWEST if samples < FEWEST else None
    planned = width + float(ndtri(POWER)) * statistic.standard_error
    return math.ceil(samples * (planned / distance) ** 2)


def conclude(assessment: Assessment, low: float, high: float) -> Assessment:
    """With its outcome."""
    below, above = high < assessment.limit, low > assessment.limit
    good, worse = (below, above) if assessment.quantity == "loss" else (above, below)
    if good:
        return replace(assessment, outcome="good_enough", needed=None)
    return replace(assessment, outcome="worse", needed=None) if worse else assessment


def finite(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None


def transfer(here: Assessment, cpu: str, there: Assessment | None, same: bool) -> Assessment:
    """What is known on another CPU. What answers the `same`, by a recipe that is declared to, is known from here."""
    if same:
        return replace(here, target=cpu, same_answers=True)
    if there is not None:
        return there
    return Assessment(
        cpu, "not_run", here.metric, here.quantity, None, None, None, here.limit, 0, here.candidates, groups=here.groups
    )


def order_sequence(names: Sequence[str], first: Sequence[str]) -> list[str]:
    """The order of the tests: the experiment's recommended variants, then the others as the plan has them."""
    return [name for name in dict.fromkeys((*first, *names)) if name in names]


def stop_sequence(by_target: Mapping[str, ByVariant], order: Sequence[str]) -> None:
    """Mark whatever comes behind the first variant that isn't shown good enough on every target: it is not tested.

    Maurer, Hothorn and Lehmacher, "Multiple comparisons in drug clinical trials and preclinical assays: a-priori
    ordered hypotheses" (1995).
    """
    tested = True
    for name in order:
        if not tested:
            for items in by_target.values():
                items[name] = replace(items[name], outcome="not_tested", needed=None)
        tested = tested and all(items[name].outcome == "good_enough" for items in by_target.values())


def plan_smallest_loss(samples: int, candidates: int, about: About) -> SmallestLoss | None:
    """The same before anything has answered, of a share of right answers: as if PLANNED of the answers differed.

    None of any other metric, of which nothing is known yet. `about` describes the samples, of which there are so many.
    """
    metric = TASK_METRICS[about.task].name_headline(about) or TASKS[about.task].headline
    if not metric_specs.METRIC_SPECS[metric].counted or not samples:
        return None
    loss = paired_shares.find_smallest_loss(samples, PLANNED, LEVEL / max(candidates, 1))
    return SmallestLoss(metric, loss, samples, PLANNED)


def find_smallest_loss(rows: Sequence[Variant]) -> SmallestLoss | None:
    """The smallest tolerance that these samples could show a variant to hold that loses nothing, and differs from the
    reference as much as the middle one of the quantized variants; of all, where none is quantized.
    """
    assessed = [row for row in rows if row.assessment is not None and row.assessment.quantity == "loss"]
    chosen = [row for row in assessed if row.quantized] or assessed
    items = [item for row in chosen if (item := row.assessment) is not None and item.high is not None]
    if not items:
        return None
    first = items[0]
    if first.lost is None:
        widths = [item.high - item.estimate for item in items if item.high is not None and item.estimate is not None]
        return SmallestLoss(first.metric, float(np.median(widths)), first.samples, None)
    shares = [((item.lost or 0) + (item.won or 0)) / item.samples for item in items]
    discordant = float(np.median(shares))
    loss = paired_shares.find_smallest_loss(first.samples, discordant, LEVEL / first.candidates)
    return SmallestLoss(first.metric, loss, first.samples, discordant)
