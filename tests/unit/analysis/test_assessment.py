"""Is a variant shown to be good enough? By each kind of metric, on this host and on others, and for many candidates."""

import math
from dataclasses import replace

import evidence_makers
import numpy as np
import pytest
import task_makers
from evidence_makers import Volume, answers, default_experiment, evaluate, with_extra
from task_makers import CASES, TaskVolume
from variant_makers import assess_table

from driver.analysis import assessment, bootstrap, paired_shares
from driver.analysis.bootstrap import Statistic
from driver.analysis.paired_shares import PairedCounts
from driver.analysis.results import Interval
from driver.catalog import declarations
from driver.comparison import compare
from driver.experiment.model import Bound, Gates
from driver.experiment.tolerance import Tolerance
from shared.errors import CrossquantError

pytestmark = pytest.mark.usefixtures("volumes")
POINTS = Tolerance(1.0, "points")
MANY = np.tile(np.arange(10, dtype=np.uint8), 300)
SAFE, UNSAFE = "onnx.uint8", "onnx.u8s8"  # answers alike on every CPU, and doesn't


@pytest.fixture
def many(monkeypatch):
    """3,000 test images instead of 100."""
    monkeypatch.setattr(evidence_makers, "LABELS", MANY)


class Answers(Volume):
    """A run whose variants have so many wrong answers: the reference's first ten of each hundred."""

    def __init__(self, wrong=None, **changes):
        super().__init__(default_experiment(**changes), with_extra(declarations.load()))
        self.wrong = wrong or {}

    def found(self, name):
        return answers(300 + self.wrong.get(name, 0))


def assess(volume, evaluation=None):
    """The assessments of each row, by its target."""
    rows = compare.compare(evaluation or evaluate(volume), volume.experiment).variants
    return {row.name: {item.target: item for item in row.assessments} for row in rows}


# Shares of right answers.


@pytest.mark.parametrize(
    ("counts", "outcome"),
    [
        (PairedCounts(8800, 10, 10, 1180), "good_enough"),
        (PairedCounts(8600, 200, 40, 1160), "worse"),
        (PairedCounts(8700, 120, 35, 1145), "not_shown"),
        (PairedCounts(8700, 10, 100, 1190), "good_enough"),
    ],
)
@pytest.mark.parametrize("tolerance", [POINTS, Tolerance(1.0, "percent"), Tolerance(0.01)])
def test_the_bounds_are_held_against_the_tolerance(counts, outcome, tolerance):
    item = assess_table(counts, tolerance=tolerance)
    assert item.outcome == outcome
    assert (item.low > item.limit) is (outcome == "worse")
    assert (item.high < item.limit) is (outcome == "good_enough")
    assert (item.needed is None) is (outcome != "not_shown")
    assert (item.target, item.quantity, item.samples, item.candidates) == ("here", "loss", 10_000, 1)
    assert (item.lost, item.won) == (counts.lost, counts.won)
    assert item.estimate == pytest.approx((counts.lost - counts.won) / 10_000)


def test_a_relative_tolerance_is_of_the_reference_s_accuracy():
    """In points of all samples: 1 % of 50 % are half a point."""
    counts = PairedCounts(4940, 60, 22, 4978)
    relative, absolute = (assess_table(counts, tolerance=each) for each in (Tolerance(1.0, "percent"), POINTS))
    assert (relative.limit, absolute.limit) == (pytest.approx(0.005), 0.01)
    assert (relative.estimate, absolute.estimate) == (pytest.approx(0.0038), pytest.approx(0.0038))
    assert (relative.outcome, absolute.outcome) == ("not_shown", "good_enough")
    span = paired_shares.bound_loss(counts, "ratio", 0.05)
    assert (relative.low, relative.high) == (pytest.approx(0.5 * span.low), pytest.approx(0.5 * span.high))


def test_more_candidates_are_stricter():
    counts = PairedCounts(8700, 100, 60, 1140)
    assert [assess_table(counts, number, tolerance=POINTS).outcome for number in (1, 9, 100000)] == [
        "good_enough",
        "good_enough",
        "not_shown",
    ]
    highs = [assess_table(counts, number, tolerance=POINTS).high for number in (1, 2, 9, 40)]
    assert highs == sorted(highs)


def test_so_many_samples_as_are_needed_would_be_enough():
    item = assess_table(PairedCounts(870, 8, 5, 117), tolerance=POINTS)
    assert item.outcome == "not_shown"
    assert item.needed > 1000
    more = PairedCounts(870, 8, 5, 117).scale(item.needed / 1000)
    assert assess_table(more, tolerance=POINTS).outcome == "good_enough"


def test_without_a_right_answer_of_the_reference_nothing_is_bounded():
    item = assess_table(PairedCounts(0, 0, 3, 97))
    assert (item.outcome, item.low, item.limit) == ("not_shown", None, 0.0)


@pytest.mark.usefixtures("many")
def test_each_variant_of_a_run_is_assessed_from_its_pairs():
    volume = Answers({"onnx.int8": 200, "torch.int8": 20}, tolerance=POINTS).whole()
    items = {name: by_target.get("here") for name, by_target in assess(volume).items()}
    assert items["keras.fp32"] is None
    assert items["onnx.fp32"].outcome == items[SAFE].outcome == "good_enough"
    assert (items["onnx.int8"].outcome, items["onnx.int8"].lost, items["onnx.int8"].won) == ("worse", 200, 0)
    assert items["torch.int8"] == assess_table(PairedCounts(2680, 20, 0, 300), 7, tolerance=POINTS)
    assert items["torch.int8"].outcome == "not_shown"


@pytest.mark.usefixtures("many")
def test_a_row_that_failed_is_no_candidate():
    volume = Answers(tolerance=POINTS).whole()
    volume.variant("onnx.int8", np.roll(answers(0), 1, axis=1))  # no better than chance
    items = assess(volume)
    assert items["onnx.int8"] == {}
    assert items[SAFE]["here"].candidates == 6


def test_without_the_reference_nothing_is_assessed():
    volume = Answers().whole()
    volume.remove("predictions.keras.fp32")
    assert not any(assess(volume).values())


# Groups.


def in_groups(volume, groups):
    """The evaluation of a volume whose samples belong to these groups."""
    evaluation = evaluate(volume)
    evaluation._truths["dataset"] = replace(evaluation.truth(), groups=groups)
    return evaluation


@pytest.mark.usefixtures("many")
def test_samples_in_groups_are_fewer_independent_ones():
    volume = Answers({SAFE: 3}, tolerance=POINTS).whole()
    alone = assess(volume)[SAFE]["here"]
    grouped = assess(volume, in_groups(volume, np.arange(3000) // 10))[SAFE]["here"]
    assert (alone.groups, grouped.groups, grouped.samples, grouped.lost) == (None, 300, 3000, 3)
    assert grouped.estimate == alone.estimate
    assert grouped.low < alone.low < alone.high < grouped.high
    assert (alone.outcome, grouped.outcome) == ("good_enough", "not_shown")
    assert grouped.needed > 3000, "of samples in such groups"


@pytest.mark.usefixtures("many")
def test_one_group_shows_nothing():
    volume = Answers(tolerance=POINTS).whole()
    item = assess(volume, in_groups(volume, np.zeros(3000, np.int64)))[SAFE]["here"]
    assert (item.outcome, item.low, item.high, item.needed, item.groups) == ("not_shown", None, 1.0, None, 1)


def test_metrics_that_are_no_shares_are_drawn_in_groups():
    """Each sample's error is that of its group: two samples tell no more than one, and intervals are as much wider."""
    case = task_makers.regression()
    alike = [np.repeat(each[::2], 2, axis=0) for each in (case.outputs[0], case.labels)]
    case = replace(case, outputs=(alike[0], case.outputs[1]), labels=alike[1])
    volume = TaskVolume(case, Gates()).whole()
    noise = np.repeat(task_makers.random(3).normal(0, 0.05, (200, 1)), 2, axis=0).astype(np.float32)
    volume.variant("torch.x86", (alike[0] + noise, case.outputs[1]))
    alone = assess(volume)["torch.x86"]["here"]
    grouped = assess(volume, in_groups(volume, np.arange(task_makers.SAMPLES) // 2))["torch.x86"]["here"]
    assert (alone.groups, grouped.groups, grouped.samples) == (None, 200, 400)
    assert grouped.estimate == alone.estimate
    for end in ("low", "high"):
        ratio = (getattr(grouped, end) - alone.estimate) / (getattr(alone, end) - alone.estimate)
        assert ratio == pytest.approx(math.sqrt(2), rel=0.2)


def test_fewer_than_two_hundred_groups_bound_nothing_that_is_resampled():
    volume = TaskVolume(task_makers.regression(), Gates(), tolerance=Tolerance(0.1)).whole()
    for size, bounded in ((2, True), (4, False)):
        item = assess(volume, in_groups(volume, np.arange(task_makers.SAMPLES) // size))["torch.x86"]["here"]
        assert item.groups == task_makers.SAMPLES // size
        assert (item.low is not None, item.high is not None) == (bounded, bounded)
        assert item.estimate < item.limit
    assert (item.outcome, item.needed) == ("not_shown", None), "how many groups are needed is not known"


@pytest.mark.parametrize(("samples", "bounded"), [(200, True), (199, False)])
def test_fewer_than_two_hundred_samples_bound_nothing_that_is_resampled(samples, bounded):
    case = task_makers.regression()
    first = {name: tuple(each[:samples] for each in getattr(case, name)) for name in ("inputs", "outputs")}
    few = replace(case, labels=case.labels[:samples], **first)
    items = assess(TaskVolume(few, Gates(), tolerance=Tolerance(0.1)).whole())
    item = items["torch.x86"]["here"]
    assert (item.low is not None, item.high is not None) == (bounded, bounded)
    if not bounded:
        assert {items[name]["here"].outcome for name in ("onnx.fp32", "torch.x86", "onnx.int8")} == {"not_shown"}
        assert (item.samples, item.needed) == (199, 200)


def test_shares_of_right_answers_are_bounded_however_few_samples_there_are(monkeypatch):
    monkeypatch.setattr(evidence_makers, "LABELS", MANY[:50])
    items = [item["here"] for item in assess(Volume(default_experiment(tolerance=POINTS)).whole()).values() if item]
    assert [item.samples for item in items] == [50] * 7
    assert all(0 < item.high < 0.2 for item in items)


@pytest.mark.usefixtures("many")
def test_on_another_cpu_only_groups_with_samples_there_count():
    """1,500 of 3,000 samples, from every other group of ten."""
    volume = Answers(tolerance=POINTS, targets=("here", "haswell")).whole()
    some = np.flatnonzero(np.arange(3000) // 10 % 2)
    volume.emulate(UNSAFE, some, {"haswell": answers(300)[some]})
    items = assess(volume, in_groups(volume, np.arange(3000) // 10))[UNSAFE]
    assert (items["here"].groups, items["haswell"].groups) == (300, 150)
    assert (items["here"].samples, items["haswell"].samples) == (3000, 1500)
    missing = assess(volume, in_groups(volume, np.arange(3000) // 10))[SAFE]["haswell"]
    assert (missing.outcome, missing.groups) == ("not_run", 300)


# Other metrics.


@pytest.mark.parametrize(
    ("task", "names"),
    [("regression", ("mae", True)), ("multilabel", ("map", False)), ("reconstruction", ("auc", False))],
)
def test_a_loss_follows_the_direction_of_the_metric(task, names):
    metric, lower_is_better = names
    volume = TaskVolume(CASES[task](), Gates()).whole()
    rows = {row.name: row for row in volume.compare().variants}
    for row in rows.values():
        if row.assessment is not None:
            sign = 1 if lower_is_better else -1
            assert (row.assessment.metric, row.assessment.quantity) == (metric, "loss")
            assert row.assessment.estimate == pytest.approx(sign * row.headline.delta)
            assert row.assessment.low <= row.assessment.estimate <= row.assessment.high
            assert (row.assessment.lost, row.assessment.won, row.assessment.candidates) == (None, None, 7)
            assert row.assessment.limit == pytest.approx(0.01 * rows["keras.fp32"].headline.value)
    assert rows["onnx.fp32"].assessment.outcome == "good_enough"
    assert rows["onnx.int8"].assessment.outcome != "good_enough", "with much noise"


def test_each_outcome_of_an_error():
    case = task_makers.regression()
    volume = TaskVolume(case, Gates()).whole()
    error = case.outputs[0] - case.labels
    spread = np.random.default_rng(3).normal(0, 0.08, error.shape).astype(np.float32)
    for name, outputs in (
        ("onnx.u8s8", case.labels + np.float32(1.001) * error),
        ("onnx.uint8", case.labels + np.float32(1.05) * error),
        ("torch.x86", case.labels + np.float32(0.9) * error),
        ("torch.int8", case.labels + error + spread),
    ):
        volume.variant(name, (outputs, case.outputs[1]))
    items = {name: by_target.get("here") for name, by_target in assess(volume).items()}
    assert items["onnx.u8s8"].outcome == "good_enough"
    assert (items["onnx.uint8"].outcome, items["onnx.uint8"].needed) == ("worse", None)
    assert items["torch.x86"].outcome == "good_enough", "better"
    assert items["torch.x86"].high < 0
    assert items["torch.int8"].outcome == "not_shown"


def test_a_ratio_to_the_reference_varies_with_both():
    """An error that is just half as large again in every sample: no resample has another ratio."""
    evaluation = evaluate(TaskVolume(task_makers.regression(), Gates()).whole())
    base = evaluation.evaluated_answer("keras.fp32")
    own = replace(base, outputs=base.labels + 1.5 * (base.outputs - base.labels))
    requirement = assessment.Requirement("mae", Tolerance(1.0, "percent"))
    statistic = assessment.make_statistic(assessment.Candidate("x", own, base, requirement))
    assert statistic.value == pytest.approx(0.5)
    assert statistic.replicates == pytest.approx(np.full(bootstrap.RESAMPLES, 0.5))
    assert statistic.influence == pytest.approx(np.zeros(task_makers.SAMPLES), abs=1e-5)


@pytest.mark.parametrize("lower", [True, False])
def test_the_samples_needed_of_a_normal_mean(lower):
    """((1.645 + 0.842) · sd / distance)², with sd 1 and a distance of 0.1."""
    influence = np.tile([1.0, -1.0], 50)
    statistic = Statistic(0.4, np.zeros(9), influence)
    span = Interval(0.4 - 1.645 * 0.1, 0.4 + 1.645 * 0.1)
    limit = 0.5 if lower else 0.3
    needed = assessment.find_samples_needed(statistic, span, limit, 100, lower=lower)
    assert needed == pytest.approx(((1.645 + 0.842) / 0.1) ** 2, rel=0.01)
    assert assessment.find_samples_needed(statistic, span, 0.8 - limit, 100, lower=lower) is None


def test_a_tolerance_in_the_metric_s_own_unit():
    volume = TaskVolume(task_makers.regression(), Gates(), tolerance=Tolerance(0.05)).whole()
    items = assess(volume)
    assert items["torch.x86"]["here"].limit == 0.05
    assert items["torch.x86"]["here"].outcome == "good_enough"
    assert items["onnx.int8"]["here"].outcome == "worse"


def test_points_of_what_is_no_share_are_an_error():
    with pytest.raises(CrossquantError, match="points are of a share; of the task regression give percent"):
        assess(TaskVolume(task_makers.regression(), Gates(), tolerance=POINTS).whole())


def test_points_of_a_mean_average_precision():
    items = assess(TaskVolume(task_makers.multilabel(), Gates(), tolerance=Tolerance(2.0, "points")).whole())
    assert items["onnx.uint8"]["here"].limit == 0.02
    assert items["onnx.uint8"]["here"].outcome == "good_enough"


def test_bounds_of_fewer_candidates_are_no_wider():
    volume = TaskVolume(task_makers.regression(), Gates()).whole()
    together = assess(volume)["torch.x86"]["here"]
    volume = TaskVolume(task_makers.regression(), Gates(), recipes={"torch": {"x86": {"backend": "x86"}}})
    volume.start()
    for name in ("onnx.fp32", "torch.fp32", "torch.x86"):
        volume.variant(name, volume.found(name))
    alone = assess(volume)["torch.x86"]["here"]
    assert (together.candidates, alone.candidates) == (7, 3)
    assert alone.estimate == together.estimate
    assert alone.high < together.high
    assert alone.low > together.low


# Without labels.


def assess_fidelity(**changes):
    gates = changes.pop("gates", Gates())
    return {
        name: by_target.get("here")
        for name, by_target in assess(TaskVolume(task_makers.fidelity(), gates, **changes).whole()).items()
    }


def test_without_labels_a_tolerance_in_decibels_is_required_of_every_variant():
    items = assess_fidelity(tolerance=Tolerance(33.0, "dB"))
    assert (items["onnx.u8s8"].metric, items["onnx.u8s8"].quantity, items["onnx.u8s8"].limit) == ("sqnr", "value", 33.0)
    assert items["onnx.u8s8"].outcome == items["onnx.fp32"].outcome == "good_enough"
    assert items["onnx.uint8"].outcome == "good_enough", "34 dB"
    assert items["torch.x86"].outcome == "worse", "26 dB"
    assert items["torch.x86"].high < 33
    assert items["onnx.uint8"].low > 33


@pytest.mark.parametrize(("name", "metric", "least"), [("sqnr", "sqnr", 30), ("cosine", "cosine", 0.999)])
def test_without_labels_a_gate_on_fidelity_is_the_requirement(name, metric, least):
    items = assess_fidelity(gates=Gates(quantized={name: Bound(min=least)}))
    assert (items["onnx.uint8"].metric, items["onnx.uint8"].limit) == (metric, least)
    assert (items["onnx.uint8"].outcome, items["torch.x86"].outcome) == ("good_enough", "worse")


def test_a_tolerance_comes_before_a_gate():
    items = assess_fidelity(tolerance=Tolerance(20.0, "dB"), gates=Gates(quantized={"sqnr": Bound(min=30)}))
    assert items["torch.x86"].limit == 20
    assert items["torch.x86"].outcome == "good_enough"


def test_where_nothing_is_declared_a_float_variant_must_keep_40_decibels():
    """Of quantized ones nothing is required, since nothing says how near is near enough."""
    items = assess_fidelity()
    assert (items["onnx.fp32"].limit, items["onnx.fp32"].outcome) == (40.0, "good_enough")
    assert items["onnx.u8s8"] is items["torch.x86"] is None
    volume = TaskVolume(task_makers.fidelity(), Gates()).whole()
    volume.variant("onnx.fp32", tuple(task_makers.noisy(each, 0.05, 3) for each in volume.case.outputs))
    assert assess(volume)["onnx.fp32"]["here"].outcome == "worse"


# Other CPUs.

EVERY = np.arange(0, 3000, 2)


def assess_there(there, wrong=None, **changes):
    """The assessments of a run with `there`: of variants their answers on haswell, or why it refused."""
    changes = {"tolerance": POINTS, "targets": ("here", "haswell"), **changes}
    volume = Answers(wrong, **changes).whole()
    for name, run in there.items():
        volume.emulate(name, EVERY, {"haswell": run if isinstance(run, str) else run[EVERY]})
    return assess(volume)


@pytest.mark.usefixtures("many")
def test_a_file_that_answers_alike_by_a_recipe_that_is_declared_to_is_known_from_here():
    """1,500 images there would show less than 3,000 here."""
    items = assess_there({SAFE: answers(300)})[SAFE]
    assert items["haswell"] == replace(items["here"], target="haswell", same_answers=True)
    assert items["haswell"].outcome == "good_enough"


@pytest.mark.usefixtures("many")
def test_a_file_that_answers_alike_by_chance_is_tested_on_what_it_answered():
    items = assess_there({UNSAFE: answers(300)})[UNSAFE]
    assert (items["here"].samples, items["haswell"].samples) == (3000, 1500)
    assert not items["haswell"].same_answers
    assert items["here"].high < items["haswell"].high
    assert items["haswell"].candidates == items["here"].candidates == 7, "all compete, wherever they run"


@pytest.mark.usefixtures("many")
def test_a_file_that_loses_there_is_worse_there():
    """Against what the reference answers here."""
    items = assess_there({UNSAFE: answers(600), SAFE: answers(700)})
    assert items[UNSAFE]["here"].outcome == "good_enough"
    assert (items[UNSAFE]["haswell"].outcome, items[UNSAFE]["haswell"].lost) == ("worse", 150)
    assert items[SAFE]["haswell"].outcome == "worse", "whatever was declared"


@pytest.mark.usefixtures("many")
def test_what_counts_there_is_the_reference_not_the_file_here():
    """The file answers there as it does here, and that is a hundred wrong answers more."""
    items = assess_there({UNSAFE: answers(400)}, {UNSAFE: 100})[UNSAFE]
    assert (items["here"].lost, items["haswell"].lost, items["haswell"].won) == (100, 50, 0)
    assert items["haswell"].estimate == pytest.approx(50 / 1500)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("there", [{}, {UNSAFE: "killed by SIGILL"}])
def test_what_did_not_run_there_is_not_shown_there(there):
    items = assess_there(there)[UNSAFE]
    assert items["here"].outcome == "good_enough"
    missing = items["haswell"]
    assert (missing.outcome, missing.samples, missing.needed) == ("not_run", 0, None)
    assert (missing.estimate, missing.low, missing.high) == (None, None, None)


def test_fidelity_on_another_cpu():
    volume = TaskVolume(task_makers.fidelity(), Gates(), tolerance=Tolerance(30.0, "dB"), targets=("here", "haswell"))
    volume.whole()
    here, indices = volume.found(UNSAFE)[0], np.arange(0, 400, 2)
    volume.emulate(UNSAFE, indices, {"haswell": task_makers.noisy(here, 0.3, 5)[indices]})
    items = assess(volume)[UNSAFE]
    assert (items["here"].outcome, items["haswell"].outcome, items["haswell"].samples) == ("good_enough", "worse", 200)


def test_bounds_by_resampling_hold_on_all_targets_at_once():
    """Half of the level for each of two."""
    changes = {"tolerance": Tolerance(0.05)}
    one, two = (
        assess(TaskVolume(task_makers.regression(), Gates(), targets=targets, **changes).whole())["torch.x86"]["here"]
        for targets in (("here",), ("here", "haswell"))
    )
    assert one.high < two.high


# A sequence.


@pytest.mark.usefixtures("many")
def test_in_a_sequence_each_is_tested_at_the_whole_level_until_one_is_not_shown():
    changes = {"tolerance": POINTS, "multiplicity": "sequence", "recommended": ("torch.int8", "onnx.int8")}
    volume = Answers({"torch.int8": 18, "onnx.int8": 200}, **changes).whole()
    outcomes = {name: items["here"].outcome for name, items in assess(volume).items() if items}
    assert outcomes.pop("torch.int8") == "good_enough"
    assert outcomes.pop("onnx.int8") == "worse"
    assert set(outcomes.values()) == {"not_tested"}
    volume.experiment = replace(volume.experiment, multiplicity="simultaneous")
    assert assess(volume)["torch.int8"]["here"].outcome == "not_shown"


def test_in_a_sequence_other_metrics_are_bounded_one_by_one():
    volume = TaskVolume(task_makers.regression(), Gates(), recommended=("torch.x86",)).whole()
    together = assess(volume)["torch.x86"]["here"]
    volume.experiment = replace(volume.experiment, multiplicity="sequence")
    alone = assess(volume)["torch.x86"]["here"]
    assert together.low < alone.low < alone.high < together.high


@pytest.mark.usefixtures("many")
def test_without_recommended_ones_the_sequence_is_that_of_the_plan():
    volume = Answers({"onnx.uint8": 200}, tolerance=POINTS, multiplicity="sequence").whole()
    outcomes = {name: items["here"].outcome for name, items in assess(volume).items() if items}
    assert list(outcomes.values()) == ["good_enough"] * 3 + ["worse"] + ["not_tested"] * 3


@pytest.mark.usefixtures("many")
def test_a_sequence_stops_on_all_targets_at_once():
    items = assess_there(
        {UNSAFE: answers(600), SAFE: answers(300)}, multiplicity="sequence", recommended=(SAFE, UNSAFE, "torch.x86")
    )
    assert {item.outcome for item in items[SAFE].values()} == {"good_enough"}
    assert [item.outcome for item in items[UNSAFE].values()] == ["good_enough", "worse"]
    assert {item.outcome for item in items["torch.x86"].values()} == {"not_tested"}


def test_the_order_of_a_sequence():
    names = ["onnx.fp32", "onnx.a", "onnx.b"]
    assert assessment.order_sequence(names, ("onnx.b", "onnx.gone")) == ["onnx.b", "onnx.fp32", "onnx.a"]


# The smallest loss.


@pytest.mark.usefixtures("many")
def test_the_smallest_loss_is_of_the_middle_quantized_variant():
    volume = Answers({"onnx.int8": 30, "onnx.uint8": 60, "onnx.u8s8": 90}, tolerance=POINTS).whole()
    smallest = compare.compare(evaluate(volume), volume.experiment).smallest_loss
    assert (smallest.metric, smallest.samples) == ("accuracy", 3000)
    assert smallest.discordant == 0.01, "of 30, 60, 90, and twice nothing"
    assert smallest.loss == paired_shares.find_smallest_loss(3000, 0.01, 0.05 / 7)


def test_the_smallest_loss_of_another_metric_is_the_middle_width():
    comparison = task_makers.compared("regression")
    widths = [
        row.assessment.high - row.assessment.estimate for row in comparison.variants if row.quantized and row.assessment
    ]
    assert comparison.smallest_loss.loss == pytest.approx(np.median(widths))
    assert (comparison.smallest_loss.metric, comparison.smallest_loss.discordant) == ("mae", None)


def test_where_nothing_was_compared_or_no_loss_is_known_there_is_no_smallest():
    assert assessment.find_smallest_loss([]) is None
    assert task_makers.compared("fidelity").smallest_loss is None
