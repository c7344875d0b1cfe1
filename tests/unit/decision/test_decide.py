"""The decision, rule by rule: what is shipped, and the reasons that say why or why not."""

from dataclasses import replace

import pytest
from pytest import approx
from variant_makers import EXPERIMENT, REFERENCE, assess, assess_pairs, make_variant

from driver.analysis import statistics
from driver.analysis.facts import (
    Assessment,
    ComparedWith,
    GateFails,
    GateUnchecked,
    MetricValue,
    NoOtherVariant,
    NoResult,
    NothingBetter,
    NothingShown,
    NothingToCompareWith,
    NoTolerance,
    NotShown,
    NotTimed,
    Price,
    ReferenceHasNoAnswers,
    ReferenceUnsound,
    ShownGoodEnough,
    ShownWorse,
    SlowerThanFloat,
)
from driver.analysis.results import Gate, Interval, Latency, Metric, Noise, Paired, Timing, UncheckedGate, Variant
from driver.decision import criteria, row_warnings
from driver.decision.criteria import TimingNoise
from driver.decision.decide import decide
from driver.experiment.model import Prefer

NOISE = TimingNoise(0.05)


def pair(lost, won, images=10_000):
    """Of a reference that gets 88 % right."""
    right = images * 88 // 100
    counts = (right - lost, lost, won, images - right - won)
    return Paired(*counts, 100 * (won - lost) / images, statistics.newcombe_interval(*counts), 1.0)


SAME = pair(0, 0)
A_LITTLE_LESS = pair(50, 44)
MUCH_LESS = pair(800, 40)
UNSURE = pair(150, 80)  # loses 0.7 points, where 0.88 are tolerated
BETTER = pair(40, 800)
BROKEN = Gate("onnx.int8", "drop_pp", "max", 2.0, 2.53, False)


def row(name="onnx.int8", milliseconds=1.0, size=100_000, pairs=A_LITTLE_LESS, **changes):
    image, _, recipe = name.partition(".")
    accuracy = 0.88 if pairs is None else 0.88 + pairs.delta_pp / 100
    variant = make_variant(name, image, recipe, "ok", accuracy=accuracy, paired=pairs, size_bytes=size)
    latency = None if milliseconds is None else Latency(milliseconds, 2 * milliseconds, 3 * milliseconds, 140)
    return replace(variant, latency_ms=latency, **changes)


def base(milliseconds=4.0, size=400_000, **changes):
    return row(REFERENCE, milliseconds, size, SAME, **changes)


def lacking(name, status):
    return Variant(name, name.split(".")[0], name.split(".")[1], status, "some reason")


def judge(*rows, gates=(), noise=NOISE, reference=REFERENCE, task="classification", **changes):
    """The decision on rows with the assessments of their pairs on this host, where they have none."""
    assessed = {each.name: each for each in assess(rows, reference)}
    rows = [each if each.assessments else assessed[each.name] for each in rows]
    return decide(rows, gates, noise, replace(EXPERIMENT, reference=reference, **changes), task)


def why_not(decision, name="onnx.int8"):
    """Why the variant was not chosen."""
    (reason,) = next(each.reasons for each in decision.rejections if each.variant == name)
    return reason


# 1. What is sound.


@pytest.mark.parametrize("status", ["failed", "skipped", "unsupported"])
def test_what_has_no_result_is_not_shipped(status):
    """However fast it is."""
    for other in (lacking("torch.int8", status), replace(row("torch.int8", 0.1), status=status)):
        decision = judge(base(), row(), other)
        assert decision.variant == "onnx.int8"
        assert why_not(decision, "torch.int8") == NoResult(status)


def test_a_variant_whose_gate_is_broken_is_not_shipped():
    decision = judge(base(), row(), gates=[BROKEN])
    assert decision.variant == REFERENCE
    assert why_not(decision) == GateFails("drop_pp", "max", 2.0, 2.53)


def test_a_least_value_is_told_as_one():
    decision = judge(base(), row(), gates=[Gate("onnx.int8", "accuracy", "min", 0.85, 0.84123456, False)])
    assert why_not(decision) == GateFails("accuracy", "min", 0.85, 0.84123456)


def test_of_several_broken_gates_the_first_is_told():
    decision = judge(base(), row(), gates=[BROKEN, replace(BROKEN, metric="changed", value=0.5)])
    assert why_not(decision) == GateFails("drop_pp", "max", 2.0, 2.53)


def test_a_variant_whose_gate_could_not_be_checked_is_not_shipped():
    decision = judge(base(), row(), gates=[UncheckedGate("onnx.int8", "p50_ms")])
    assert decision.variant == REFERENCE
    assert why_not(decision) == GateUnchecked("p50_ms")


def test_of_a_broken_gate_and_one_that_was_not_checked_the_first_is_told():
    unchecked = UncheckedGate("onnx.int8", "p50_ms")
    assert why_not(judge(base(), row(), gates=[BROKEN, unchecked])) == GateFails("drop_pp", "max", 2.0, 2.53)
    assert why_not(judge(base(), row(), gates=[unchecked, BROKEN])) == GateUnchecked("p50_ms")


def test_gates_that_hold_and_those_of_others_are_no_obstacle():
    gates = [replace(BROKEN, holds=True), replace(BROKEN, variant="torch.int8")]
    assert judge(base(), row(), row("torch.int8", 0.1), gates=gates).variant == "onnx.int8"


def test_the_reference_is_held_to_its_gates_too():
    decision = judge(base(0.1), row(), gates=[Gate(REFERENCE, "accuracy", "min", 0.9, 0.88, False)])
    assert decision.variant == "onnx.int8"
    assert why_not(decision, REFERENCE) == GateFails("accuracy", "min", 0.9, 0.88)


# 2. What is shown good enough.


def test_the_fastest_that_is_shown_good_enough_is_shipped_with_its_reasons():
    decision = judge(base(), row())
    assert (decision.outcome, decision.variant) == ("ship", "onnx.int8")
    assert decision.reasons == (
        ShownGoodEnough((assess_pairs(A_LITTLE_LESS),)),
        ComparedWith(REFERENCE, Price(4.0, False, 4.0)),
    )
    assert decision.shown == ("onnx.int8",)
    assert why_not(decision, REFERENCE) == ComparedWith("onnx.int8", Price(0.25, False, 0.25))


def test_a_loss_that_is_shown_is_not_shipped():
    decision = judge(base(), row(pairs=MUCH_LESS))
    assert (decision.variant, decision.shown) == (REFERENCE, ())
    assert why_not(decision) == ShownWorse(assess_pairs(MUCH_LESS))


def test_that_no_loss_was_found_is_not_enough():
    """The same shares of 200 samples: nothing is lost, and nothing shown."""
    few = pair(1, 1, 200)
    decision = judge(base(), row(pairs=few))
    assert decision.variant == REFERENCE
    assert why_not(decision) == NotShown(assess_pairs(few))


def test_a_gain_is_good_enough():
    decision = judge(base(), row(pairs=BETTER))
    assert decision.variant == "onnx.int8"
    assert decision.reasons[0].assessments[0].high < 0


def test_more_recipes_are_stricter():
    """A loss that one recipe alone is shown to hold isn't shown where forty compete."""
    close = pair(140, 85)
    assert judge(base(), row(pairs=close)).variant == "onnx.int8"
    others = [row(f"onnx.r{number}", 9.0) for number in range(39)]
    decision = judge(base(), row(pairs=close), *others)
    assert why_not(decision) == NotShown(assess_pairs(close, 40))


def test_a_float_variant_must_be_shown_good_enough_too():
    """What a converter broke is not to be shipped."""
    decision = judge(base(), row("onnx.fp32", pairs=MUCH_LESS))
    assert decision.variant == REFERENCE
    assert why_not(decision, "onnx.fp32") == ShownWorse(assess_pairs(MUCH_LESS))


def on(target, pairs=A_LITTLE_LESS, **changes):
    return replace(assess_pairs(pairs, target=target), **changes)


@pytest.mark.parametrize(
    ("there", "kind"),
    [
        (on("haswell", MUCH_LESS), ShownWorse),
        (on("haswell", UNSURE), NotShown),
        (on("haswell", outcome="not_run"), NotShown),
        (on("haswell", outcome="not_tested"), NotShown),
    ],
)
def test_it_must_be_shown_on_every_target(there, kind):
    fast = row("onnx.u8s8", 0.5, assessments=(on("here"), there))
    safe = row("onnx.uint8", 1.0, assessments=(on("here"), on("haswell", same_answers=True)))
    decision = judge(base(), fast, safe, targets=("here", "haswell"))
    assert decision.variant == "onnx.uint8"
    assert decision.shown == ("onnx.uint8",)
    assert decision.reasons[0] == ShownGoodEnough(safe.assessments)
    assert why_not(decision, "onnx.u8s8") == kind(there)


def test_the_target_that_says_most_against_a_variant_is_told():
    targets = (on("here", UNSURE), on("haswell", outcome="not_run"), on("nehalem", MUCH_LESS), on("epyc"))
    obstacles = []
    left = list(targets)
    while (found := criteria.find_obstacle(row(assessments=tuple(left)))) is not None:
        obstacles.append(found.target)
        left.remove(found)
    assert obstacles == ["nehalem", "haswell", "here"]
    assert not criteria.is_shown(row(assessments=targets))
    assert not criteria.is_shown(row(assessments=()))


# 3. What is preferred.


def test_the_order_of_the_rows_does_not_matter():
    rows = [base(), row("onnx.int8", 1.0), row("onnx.uint8", 2.0), row("torch.int8", 0.5)]
    assert judge(*rows).variant == judge(*reversed(rows)).variant == "torch.int8"


def test_those_within_the_noise_are_equally_fast_and_the_smallest_file_wins():
    decision = judge(base(), row("onnx.int8", 1.0, 200_000), row("onnx.uint8", 1.04, 100_000))
    assert decision.variant == "onnx.uint8"
    assert why_not(decision) == ComparedWith("onnx.uint8", Price(1.04, True, 0.5))


def test_beyond_the_noise_the_fastest_wins_however_large():
    decision = judge(base(), row("onnx.int8", 1.0, 200_000), row("onnx.uint8", 1.06, 100_000))
    assert decision.variant == "onnx.int8"
    assert why_not(decision, "onnx.uint8") == ComparedWith("onnx.int8", Price(approx(1 / 1.06), False, 2.0))


def test_of_equally_fast_and_large_ones_the_more_accurate_wins():
    rows = [row("onnx.int8", 1.0, pairs=pair(60, 20)), row("onnx.uint8", 1.01, pairs=SAME), row("torch.int8", 1.02)]
    decision = judge(base(), *rows)
    assert decision.variant == "onnx.uint8"
    assert why_not(decision, "torch.int8") == ComparedWith("onnx.uint8", Price(approx(1.01 / 1.02), True, 1.0))


def test_without_timings_of_noise_only_the_very_fastest_is_fastest():
    rows = [row("onnx.int8", 1.0, 200_000), row("onnx.uint8", 1.001, 100_000)]
    assert judge(base(), *rows, noise=TimingNoise()).variant == "onnx.int8"


@pytest.mark.parametrize(("share", "chosen"), [(0.03, "onnx.int8"), (0.05, "onnx.uint8")])
def test_how_noisy_timings_are_decides_what_is_equally_fast(share, chosen):
    rows = [row("onnx.int8", 1.0, 200_000), row("onnx.uint8", 1.04, 100_000)]
    assert judge(base(), *rows, noise=TimingNoise(share)).variant == chosen


def passes(name, *p50, pairs=A_LITTLE_LESS):
    """A row that was timed in as many passes."""
    single = Timing(1, 1, p50[0], p50[0], p50[0], 9, 1000 / p50[0], p50)
    return row(name, p50[0], pairs=pairs, timings=(single,))


def test_a_ratio_of_timings_has_an_interval_over_the_passes():
    """Student's, of the logarithms: exp(1.3829 ± 4.303 × 0.1004 / √3)."""
    decision = judge(passes(REFERENCE, 4.0, 4.4, 3.6, pairs=SAME), passes("onnx.int8", 1.0, 1.0, 1.0))
    price = decision.reasons[1].price
    assert price.speed == 4.0
    assert (price.speed_low, price.speed_high) == (approx(3.107, abs=0.001), approx(5.116, abs=0.001))
    assert not price.doubtful


def test_of_a_single_pass_there_is_no_interval():
    price = judge(passes(REFERENCE, 4.0, pairs=SAME), passes("onnx.int8", 1.0)).reasons[1].price
    assert price == Price(4.0, False, 1.0)


def test_on_a_busy_machine_every_ratio_is_doubtful():
    rows = [passes(REFERENCE, 4.0, 4.4, 3.6, pairs=SAME), passes("onnx.int8", 1.0, 1.0, 1.0)]
    rows.append(passes("onnx.uint8", 2.0, 2.0, 2.0))
    decision = judge(*rows, noise=TimingNoise(0.05, busy=True))
    assert decision.reasons[1].price.doubtful
    assert why_not(decision, "onnx.uint8").price.doubtful


def test_a_tie_with_the_reference_in_all_but_size():
    decision = judge(base(1.0), row(milliseconds=1.01))
    assert decision.reasons[1] == ComparedWith(REFERENCE, Price(approx(1 / 1.01), True, 4.0))


def test_what_was_not_timed_is_not_preferred_to_what_was():
    decision = judge(base(), row(), row("torch.int8", None, 10))
    assert decision.variant == "onnx.int8"
    assert why_not(decision, "torch.int8") == NotTimed()


def test_where_nothing_was_timed_the_smallest_is_shipped_and_nothing_said_of_speed():
    decision = judge(base(None), row(milliseconds=None))
    assert decision.variant == "onnx.int8"
    assert decision.reasons[1] == ComparedWith(REFERENCE, Price(None, False, 4.0))


def timing(batch, threads, p50):
    return Timing(batch, threads, p50, p50, p50, 9, 1000 * batch / p50, (p50,))


def timed(name, single, batched, size, pairs=A_LITTLE_LESS, two_threads=9.0):
    timings = (timing(1, 1, single), timing(64, 1, batched), timing(1, 2, two_threads), timing(64, 2, 64 * two_threads))
    return row(name, single, size, pairs, timings=timings)


MANY = (
    replace(base(4.0), timings=(timing(1, 1, 4.0), timing(64, 1, 250.0))),
    timed("onnx.fast", 1.0, 64.0, 300_000),
    timed("onnx.bulk", 2.0, 20.0, 200_000, two_threads=0.8),
    timed("onnx.small", 3.0, 90.0, 50_000),
    timed("onnx.exact", 3.5, 95.0, 350_000, pair(0, 40)),
)


@pytest.mark.parametrize(
    ("prefer", "chosen"),
    [
        (Prefer(), "onnx.fast"),
        (Prefer("throughput"), "onnx.bulk"),
        (Prefer("size"), "onnx.small"),
        (Prefer("accuracy"), "onnx.exact"),
        (Prefer("latency", batch=64), "onnx.bulk"),
        (Prefer("throughput", batch=1), "onnx.fast"),
        (Prefer("latency", threads=2), "onnx.bulk"),
    ],
)
def test_the_best_by_what_is_preferred_is_shipped(prefer, chosen):
    decision = judge(*MANY, prefer=prefer)
    assert (decision.variant, decision.preferred) == (chosen, prefer.criterion)
    plain = {"latency": "onnx.fast", "throughput": "onnx.bulk", "size": "onnx.small", "accuracy": "onnx.exact"}
    assert decision.choices == plain | {prefer.criterion: chosen}


def test_of_the_smallest_the_fastest_wins():
    rows = [timed("onnx.a", 2.0, 64.0, 50_000), timed("onnx.b", 1.0, 64.0, 50_000), timed("onnx.c", 0.5, 9.0, 60_000)]
    assert judge(MANY[0], *rows, prefer=Prefer("size")).variant == "onnx.b"


def test_of_those_that_bounds_do_not_tell_from_the_most_accurate_the_fastest_wins():
    alike = [row("onnx.a", 2.0, pairs=pair(100, 110)), row("onnx.b", 1.0, pairs=pair(100, 105))]
    worse = row("onnx.c", 0.5, pairs=pair(60, 20))
    decision = judge(base(), *alike, worse, prefer=Prefer("accuracy"))
    assert decision.variant == "onnx.b"
    assert set(decision.shown) == {"onnx.a", "onnx.b", "onnx.c"}


def test_the_reference_may_be_as_accurate_as_the_best():
    """Its loss is none, and the bounds of the best include that; where they don't, it is told from it."""
    assert judge(base(0.1), row(pairs=pair(100, 105)), prefer=Prefer("accuracy")).variant == REFERENCE
    assert judge(base(0.1), row(pairs=pair(0, 40)), prefer=Prefer("accuracy")).variant == "onnx.int8"


def test_without_a_choice_there_are_no_choices():
    assert judge(lacking(REFERENCE, "failed"), row(pairs=None)).choices == {}


# 4. Where the reference is kept.


@pytest.mark.parametrize("criterion", ["latency", "size"])
def test_the_reference_is_kept_where_nothing_that_is_shown_is_better(criterion):
    decision = judge(base(), row(milliseconds=8.0, size=800_000), prefer=Prefer(criterion))
    assert decision.variant == REFERENCE
    assert (decision.outcome, decision.reasons) == ("keep_reference", (NothingBetter(criterion),))
    assert why_not(decision) == ComparedWith(REFERENCE, Price(0.5, False, 0.5))


def test_where_nothing_is_shown_the_fewest_samples_that_would_are_told():
    rows = [row("onnx.a", pairs=UNSURE), row("onnx.b", pairs=pair(3, 1, 500)), row("onnx.c", pairs=MUCH_LESS)]
    decision = judge(base(), *rows)
    needed = assess_pairs(pair(3, 1, 500), 3).needed
    assert needed < assess_pairs(UNSURE, 3).needed
    assert (decision.outcome, decision.reasons) == ("keep_reference", (NothingShown("onnx.b", needed),))


def test_where_no_number_of_samples_would_show_it_none_is_told():
    decision = judge(base(), row(pairs=MUCH_LESS))
    assert decision.reasons == (NothingShown("", None),)


def test_what_fails_a_gate_needs_no_more_samples():
    decision = judge(base(), row(pairs=UNSURE), gates=[BROKEN])
    assert decision.reasons == (NothingShown("", None),)


@pytest.mark.parametrize("status", ["failed", "unsupported"])
def test_the_reference_is_kept_where_nothing_else_has_a_result(status):
    decision = judge(base(), lacking("onnx.int8", status), lacking("torch.int8", status))
    assert (decision.outcome, decision.reasons) == ("keep_reference", (NoOtherVariant(),))


def test_the_reference_may_be_another():
    decision = judge(row("onnx.fp32", 2.0, pairs=SAME), row("onnx.int8", 4.0), reference="onnx.fp32")
    assert (decision.outcome, decision.variant) == ("keep_reference", "onnx.fp32")


def test_nothing_is_shipped_where_the_reference_is_unsound_and_nothing_is_shown():
    gates = [BROKEN, Gate(REFERENCE, "accuracy", "min", 0.9, 0.88, False)]
    rows = [
        row(),
        row("onnx.u8s8", pairs=MUCH_LESS),
        row("onnx.a", pairs=UNSURE),
        lacking("torch.uint8", "unsupported"),
    ]
    decision = judge(base(), *rows, gates=gates)
    assert (decision.outcome, decision.variant, decision.reasons) == ("ship_nothing", "", (ReferenceUnsound(),))
    assert [(each.variant, each.reasons[0].kind) for each in decision.rejections] == [
        (REFERENCE, "gate_fails"),
        ("onnx.int8", "gate_fails"),
        ("onnx.u8s8", "shown_worse"),
        ("onnx.a", "not_shown"),
        ("torch.uint8", "no_result"),
    ]


def test_nothing_is_shipped_where_the_reference_has_no_answers():
    decision = judge(lacking(REFERENCE, "failed"), row(pairs=None))
    assert decision.variant == ""
    assert (decision.outcome, decision.reasons) == ("ship_nothing", (ReferenceHasNoAnswers(),))
    assert why_not(decision, REFERENCE) == NoResult("failed")
    assert why_not(decision) == NothingToCompareWith()


def test_no_rows_are_no_mistake():
    assert (judge().reasons, judge().rejections) == ((ReferenceHasNoAnswers(),), ())


# 5. Why not the others.


def test_every_other_variant_is_told_why_not():
    rows = [base(), row(), *(row(f"onnx.r{number}", 2 + number / 10) for number in range(98))]
    decision = judge(*rows)
    assert decision.variant == "onnx.int8"
    assert [each.variant for each in decision.rejections] == [each.name for each in rows if each.name != "onnx.int8"]


# 6. Without labels.


def near(name, sqnr, outcome=None, least=30.0, **changes):
    """A row of which only the fidelity is known."""
    metric = Metric("sqnr", sqnr, Interval(sqnr - 1, sqnr + 1), None, None, None, "higher")
    item = Assessment("here", outcome, "sqnr", "value", sqnr, sqnr - 1, sqnr + 1, least, 400, 2) if outcome else None
    bare = row(name, pairs=None, **changes)
    return replace(bare, metrics=(metric,), assessments=(item,) if item else ())


def test_without_labels_what_is_near_enough_is_shipped_and_that_only_fidelity_is_known_is_told():
    far, good = near("onnx.a", 20.0, "worse", milliseconds=0.5), near("onnx.b", 40.0, "good_enough")
    decision = judge(near(REFERENCE, 150.0, milliseconds=4.0), far, good, task="fidelity")
    assert decision.variant == "onnx.b"
    assert why_not(decision, "onnx.a") == ShownWorse(far.assessments[0])
    assert [caveat.kind for caveat in decision.caveats] == ["only_fidelity_known"]


def test_without_labels_nothing_quantized_is_shipped_where_no_tolerance_says_what_is_near_enough():
    reference = near(REFERENCE, 150.0, milliseconds=4.0)
    floating = near("onnx.fp32", 120.0, "good_enough", 40.0, milliseconds=2.0)
    decision = judge(reference, floating, near("onnx.int8", 45.0), task="fidelity")
    assert decision.variant == "onnx.fp32"
    assert why_not(decision) == NoTolerance((MetricValue("sqnr", 45.0),))


# 7. What is slower than float.

SLOW = SlowerThanFloat("onnx.fp32", 1.3)


def warn(*rows):
    return row_warnings.add_warnings(rows, (Noise("onnx", "onnx.fp32", 0.02),), {})


def kinds(decision, name="onnx.int8"):
    """Of the reasons why the variant was not chosen."""
    return [reason.kind for each in decision.rejections if each.variant == name for reason in each.reasons]


def test_a_shipped_variant_that_is_slower_than_its_float_baseline_is_told_so():
    """The baseline is faster but broken: its gate does not hold."""
    broken = Gate("onnx.fp32", "accuracy", "min", 0.9, 0.88, False)
    decision = judge(*warn(base(), row("onnx.fp32", pairs=SAME), row("onnx.int8", 1.3)), gates=[broken])
    assert decision.variant == "onnx.int8"
    assert decision.reasons[-1] == SLOW


def test_another_variant_that_is_slower_than_its_float_baseline_is_told_so():
    decision = judge(*warn(base(), row("onnx.fp32", pairs=SAME), row("onnx.int8", 1.3), row("onnx.u8s8", 0.5)))
    assert decision.variant == "onnx.u8s8"
    assert [each.variant for each in decision.rejections if SLOW in each.reasons] == ["onnx.int8"]
    assert kinds(decision) == ["compared_with", "slower_than_float"]


def test_it_is_told_where_nothing_is_shipped_too():
    rows = [row("onnx.fp32", pairs=MUCH_LESS), row("onnx.int8", 1.3, pairs=MUCH_LESS)]
    broken = Gate(REFERENCE, "accuracy", "min", 0.9, 0.88, False)
    decision = judge(*warn(base(), *rows), gates=[broken])
    assert decision.variant == ""
    assert kinds(decision) == ["shown_worse", "slower_than_float"]


@pytest.mark.parametrize("milliseconds", [1.04, 1.0, 0.5])
def test_within_the_noise_it_is_not_slower(milliseconds):
    decision = judge(*warn(base(), row("onnx.fp32", pairs=SAME), row("onnx.int8", milliseconds)))
    reasons = [*decision.reasons, *(reason for each in decision.rejections for reason in each.reasons)]
    assert "slower_than_float" not in [reason.kind for reason in reasons]
