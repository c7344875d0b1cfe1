"""The decision, rule by rule: what is shipped, and the reasons that say why or why not."""

from dataclasses import replace

import pytest
from pytest import approx
from variant_makers import make_variant

from driver.analysis import statistics
from driver.analysis.facts import (
    ComparedWith,
    GateFails,
    NoCandidate,
    NoOtherVariant,
    NoResult,
    NothingFaster,
    NothingToCompareWith,
    NotSignificantlyWorse,
    NotTimed,
    PairedDifference,
    Price,
    ReferenceHasNoAnswers,
    SignificantlyWorse,
    TooFewSamples,
)
from driver.analysis.results import Gate, Interval, Latency, Noise, Paired, Variant
from driver.decision.decide import decide
from driver.experiment.model import Bound, Gates

REFERENCE = "keras.fp32"
IMAGES = 10_000
NOISE = (Noise("onnx", "onnx.fp32", 0.02), Noise("torch", "torch.fp32", 0.05))
SAME = Paired(8800, 0, 0, 1200, 0.0, Interval(-0.03, 0.03), 1.0)
A_LITTLE_LESS = Paired(8750, 50, 44, 1156, -0.06, Interval(-0.31, 0.19), 0.69, 1.0)
MUCH_LESS = Paired(8000, 800, 40, 1160, -7.6, Interval(-8.2, -7.0), 1e-9, 5e-9)
LIMITS = Gates(quantized={"drop_pp": Bound(max=2.0)})
BROKEN = Gate("onnx.int8", "drop_pp", "max", 2.0, 2.53, False)


def row(name="onnx.int8", milliseconds=1.0, size=100_000, pairs=A_LITTLE_LESS, accuracy=0.8794, **changes):
    image, _, recipe = name.partition(".")
    variant = make_variant(name, image, recipe, "ok", accuracy=accuracy, paired=pairs, size_bytes=size)
    latency = None if milliseconds is None else Latency(milliseconds, 2 * milliseconds, 3 * milliseconds, 140)
    return replace(variant, latency_ms=latency, **changes)


def base(milliseconds=4.0, size=400_000, **changes):
    return row(REFERENCE, milliseconds, size, SAME, 0.88, **changes)


def lacking(name, status):
    return Variant(name, name.split(".")[0], name.split(".")[1], status, "some reason")


def judge(*rows, gates=(), noise=NOISE, limits=LIMITS, reference=REFERENCE):
    return decide(rows, reference, gates, noise, limits)


def why_not(decision, name="onnx.int8"):
    """Why the variant was not chosen."""
    (reason,) = next(each.reasons for each in decision.rejections if each.variant == name)
    return reason


def lost(difference, low, high, p_value):
    return PairedDifference("accuracy", approx(difference), approx(low), approx(high), p_value)


def test_the_fastest_sound_variant_is_shipped_with_its_reasons():
    decision = judge(base(), row())
    assert decision.variant == "onnx.int8"
    assert decision.outcome == "ship"
    assert decision.reasons == (
        NotSignificantlyWorse(lost(-0.0006, -0.0031, 0.0019, 1.0)),
        ComparedWith(REFERENCE, Price(4.0, False, 4.0)),
    )
    assert why_not(decision, REFERENCE) == ComparedWith("onnx.int8", Price(0.25, False, 0.25))


def test_the_order_of_the_rows_does_not_matter():
    rows = [base(), row("onnx.int8", 1.0), row("onnx.uint8", 2.0), row("torch.int8", 0.5)]
    assert judge(*rows).variant == judge(*reversed(rows)).variant == "torch.int8"


def test_the_reference_is_kept_where_nothing_is_faster():
    decision = judge(base(), row(milliseconds=8.0))
    assert decision.variant == REFERENCE
    assert (decision.outcome, decision.reasons) == ("keep_reference", (NothingFaster("accuracy"),))
    assert why_not(decision) == ComparedWith(REFERENCE, Price(0.5, False, 4.0))


@pytest.mark.parametrize("status", ["failed", "unsupported"])
def test_the_reference_is_kept_where_nothing_else_has_a_result(status):
    decision = judge(base(), lacking("onnx.int8", status), lacking("torch.int8", status))
    assert (decision.outcome, decision.reasons) == ("keep_reference", (NoOtherVariant(),))


def test_the_reference_may_be_another():
    decision = judge(row("onnx.fp32", 2.0, pairs=SAME), row("onnx.int8", 4.0), reference="onnx.fp32")
    assert (decision.outcome, decision.variant) == ("keep_reference", "onnx.fp32")


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


def test_gates_that_hold_and_those_of_others_are_no_obstacle():
    gates = [replace(BROKEN, holds=True), replace(BROKEN, variant="torch.int8")]
    assert judge(base(), row(), row("torch.int8", 0.1), gates=gates).variant == "onnx.int8"


def test_the_reference_is_held_to_its_gates_too():
    decision = judge(base(0.1), row(), gates=[Gate(REFERENCE, "accuracy", "min", 0.9, 0.88, False)])
    assert decision.variant == "onnx.int8"
    assert why_not(decision, REFERENCE) == GateFails("accuracy", "min", 0.9, 0.88)


def test_a_significant_loss_is_not_shipped():
    decision = judge(base(), row(pairs=MUCH_LESS))
    assert decision.variant == REFERENCE
    assert why_not(decision) == SignificantlyWorse(lost(-0.076, -0.082, -0.07, 5e-9))


@pytest.mark.parametrize(("p_holm", "ship"), [(0.06, "onnx.int8"), (0.05, "onnx.int8"), (0.049, REFERENCE)])
def test_it_is_the_corrected_p_value_that_counts(p_holm, ship):
    """A test by itself says 0.01 of each."""
    decision = judge(base(), row(pairs=replace(A_LITTLE_LESS, p_value=0.01, p_holm=p_holm)))
    assert decision.variant == ship
    reason = why_not(decision) if ship == REFERENCE else decision.reasons[0]
    assert reason.difference.p_value == p_holm


def test_a_significant_gain_is_no_loss():
    gain = replace(MUCH_LESS, only_reference=40, only_variant=800, delta_pp=7.6, interval_pp=Interval(7.0, 8.2))
    decision = judge(base(), row(pairs=gain))
    assert decision.variant == "onnx.int8"
    assert decision.reasons[0] == NotSignificantlyWorse(lost(0.076, 0.07, 0.082, 5e-9))


def test_a_float_variant_that_lost_is_significantly_worse_without_a_correction():
    """Its test is no part of the family: what a converter broke is not to be shipped as `not significantly worse`."""
    decision = judge(base(), row("onnx.fp32", pairs=replace(MUCH_LESS, p_holm=None)))
    assert decision.variant == REFERENCE
    assert why_not(decision, "onnx.fp32") == SignificantlyWorse(lost(-0.076, -0.082, -0.07, 1e-9))


def test_those_within_the_noise_are_equally_fast_and_the_smallest_file_wins():
    decision = judge(base(), row("onnx.int8", 1.0, 200_000), row("onnx.uint8", 1.04, 100_000))
    assert decision.variant == "onnx.uint8"
    assert why_not(decision) == ComparedWith("onnx.uint8", Price(1.04, True, 0.5))


def test_beyond_the_noise_the_fastest_wins_however_large():
    decision = judge(base(), row("onnx.int8", 1.0, 200_000), row("onnx.uint8", 1.06, 100_000))
    assert decision.variant == "onnx.int8"
    assert why_not(decision, "onnx.uint8") == ComparedWith("onnx.int8", Price(approx(1 / 1.06), False, 2.0))


def test_of_equally_fast_and_large_ones_the_more_accurate_wins():
    rows = [row("onnx.int8", 1.0, accuracy=0.87), row("onnx.uint8", 1.01, accuracy=0.88), row("torch.int8", 1.02)]
    decision = judge(base(), *rows)
    assert decision.variant == "onnx.uint8"
    assert why_not(decision, "torch.int8") == ComparedWith("onnx.uint8", Price(approx(1.01 / 1.02), True, 1.0))


def test_without_timings_of_noise_only_the_very_fastest_is_fastest():
    rows = [row("onnx.int8", 1.0, 200_000), row("onnx.uint8", 1.001, 100_000)]
    assert judge(base(), *rows, noise=()).variant == "onnx.int8"


def test_the_noisiest_image_sets_the_noise_of_all():
    rows = [row("onnx.int8", 1.0, 200_000), row("onnx.uint8", 1.04, 100_000)]
    assert judge(base(), *rows, noise=NOISE[:1]).variant == "onnx.int8"
    assert judge(base(), *rows, noise=NOISE[::-1]).variant == "onnx.uint8"


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


def test_nothing_is_shipped_where_nothing_is_sound():
    gates = [BROKEN, Gate(REFERENCE, "accuracy", "min", 0.9, 0.88, False)]
    decision = judge(
        base(), row(), row("onnx.u8s8", pairs=MUCH_LESS), lacking("torch.uint8", "unsupported"), gates=gates
    )
    assert decision.variant == ""
    assert (decision.outcome, decision.reasons) == ("ship_nothing", (NoCandidate(),))
    assert [(each.variant, each.reasons[0].kind) for each in decision.rejections] == [
        (REFERENCE, "gate_fails"),
        ("onnx.int8", "gate_fails"),
        ("onnx.u8s8", "significantly_worse"),
        ("torch.uint8", "no_result"),
    ]


def test_nothing_is_shipped_where_the_reference_has_no_answers():
    decision = judge(lacking(REFERENCE, "failed"), row(pairs=None))
    assert decision.variant == ""
    assert (decision.outcome, decision.reasons) == ("ship_nothing", (ReferenceHasNoAnswers(),))
    assert why_not(decision, REFERENCE) == NoResult("failed")


def test_without_a_reference_a_timed_variant_has_nothing_to_be_compared_with():
    decision = judge(lacking(REFERENCE, "failed"), row(pairs=None))
    assert why_not(decision) == NothingToCompareWith()


def test_no_rows_are_no_mistake():
    assert (judge().reasons, judge().rejections) == ((ReferenceHasNoAnswers(),), ())


def test_every_other_variant_is_told_why_not():
    rows = [base(), row(), *(row(f"onnx.r{number}", 2 + number / 10) for number in range(98))]
    decision = judge(*rows)
    assert decision.variant == "onnx.int8"
    assert [each.variant for each in decision.rejections] == [each.name for each in rows if each.name != "onnx.int8"]


def few(only_reference=3, only_variant=2, images=200):
    right = round(0.88 * images)
    counts = (right - only_reference, only_reference, only_variant, images - right - only_variant)
    lost = 100 * (only_variant - only_reference) / images
    return Paired(*counts, lost, Interval(lost - 2, lost + 2), 0.9, 1.0)


def test_too_few_images_for_the_drop_that_the_gate_allows_are_told_with_how_many_would_do():
    decision = judge(base(), row(pairs=few()), limits=Gates(quantized={"drop_pp": Bound(max=1.5)}))
    needed = statistics.images_needed(5 / 200, 1.5, 0.8, 0.05)
    assert needed > 200
    assert decision.caveats == (TooFewSamples(200, 1.5, needed, 0.8),)


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        (Gates(quantized={"drop_pp": Bound(max=1.5)}), 1.5),
        (Gates(quantized={"drop_pp": Bound(max=1.5)}, float={"drop_pp": Bound(max=0.5)}), 0.5),
    ],
)
def test_a_float_variant_is_told_the_limit_of_the_quantized_ones_unless_it_has_its_own(limits, most):
    """Eight of eight right, of which nothing follows for the variants that it is faster than."""
    chosen = row("onnx.fp32", pairs=few(0, 0, 8))
    (caveat,) = judge(base(), chosen, limits=limits).caveats
    assert (caveat.samples, caveat.drop_pp) == (8, most)


@pytest.mark.parametrize(
    ("pairs", "limits"),
    [
        (A_LITTLE_LESS, LIMITS),
        (few(), Gates()),
        (few(), Gates(quantized={"accuracy": Bound(min=0.85)})),
        (few(), Gates(float={"drop_pp": Bound(max=1.5)})),
        (few(), Gates(quantized={"drop_pp": Bound(min=-1.0)})),
        (few(), Gates(quantized={"drop_pp": Bound(max=0.0)})),
    ],
    ids=["enough-images", "no-gates", "no-drop", "drop-of-others", "least-drop", "no-drop-allowed"],
)
def test_nothing_is_said_of_power_where_it_is_enough_or_no_drop_is_allowed(pairs, limits):
    assert judge(base(), row(pairs=pairs), limits=limits).caveats == ()


@pytest.mark.parametrize("most", [-0.5, 150.0])
def test_a_limit_that_no_number_of_images_tells_is_no_mistake(most):
    """A gain that is asked for; a limit that nothing can break."""
    decision = judge(base(), row(pairs=few()), limits=Gates(quantized={"drop_pp": Bound(max=most)}))
    assert decision.variant == "onnx.int8"
    assert decision.caveats == ()


def test_the_images_needed_are_just_those_that_are_enough():
    """At the number that the caveat names there is none."""
    limits = Gates(quantized={"drop_pp": Bound(max=2.0)})
    images = statistics.images_needed(0.03, 2.0, 0.8, 0.05)
    enough = few(round(0.015 * 1000), round(0.015 * 1000), 1000)
    assert images < 1000
    assert judge(base(), row(pairs=enough), limits=limits).caveats == ()
    scarce = few(3, 3, 200)
    (caveat,) = judge(base(), row(pairs=scarce), limits=limits).caveats
    assert caveat.needed == images


def test_a_reference_that_is_kept_needs_no_power():
    decision = judge(base(), row(milliseconds=9.0), limits=Gates(float={"drop_pp": Bound(max=0.01)}))
    assert decision.caveats == ()
