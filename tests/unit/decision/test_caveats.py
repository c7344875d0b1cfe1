"""Rules 6 and 7 of the decision: what becomes of the shipped file on other CPUs, and what is slower than float."""

from dataclasses import replace

import pytest
from variant_makers import make_variant

from driver.analysis import statistics
from driver.analysis.facts import Alternative, HoldsOnCpu, LosesOnCpu, MetricValue, Price, SlowerThanFloat
from driver.analysis.results import Emulated, Gate, Interval, Latency, Noise, Paired
from driver.decision import row_warnings
from driver.decision.decide import decide
from driver.experiment.model import Gates

NOISE = (Noise("onnx", "onnx.fp32", 0.02),)
SAME = Paired(8800, 0, 0, 1200, 0.0, Interval(-0.03, 0.03), 1.0)
A_LITTLE_LESS = Paired(8750, 50, 44, 1156, -0.06, Interval(-0.31, 0.19), 0.69, 1.0)
MUCH_LESS = Paired(8000, 800, 40, 1160, -7.6, Interval(-8.2, -7.0), 1e-9, 5e-9)
LOST = LosesOnCpu("haswell", "accuracy", 0.842, 0.88, 2000, None)


def row(name, milliseconds=1.0, size=100_000, pairs=A_LITTLE_LESS, accuracy=0.8794, **changes):
    image, _, recipe = name.partition(".")
    variant = make_variant(name, image, recipe, "ok", accuracy=accuracy, paired=pairs, size_bytes=size)
    latency = None if milliseconds is None else Latency(milliseconds, 2 * milliseconds, 3 * milliseconds, 140)
    return replace(variant, latency_ms=latency, **changes)


def on(cpu, accuracy=0.88, p_value=1.0):
    right = round(2000 * accuracy)
    return Emulated(cpu, 2000, accuracy, statistics.wilson_interval(right, 2000), 0.88, 0.914, p_value)


def loses(cpu="haswell"):
    return on(cpu, 0.842, 1e-6)


def judge(*rows, gates=(), noise=NOISE):
    """Against a slow reference; the rows have their warnings, as in a comparison."""
    base = row("keras.fp32", 8.0, 400_000, SAME, 0.88)
    rows = row_warnings.add_warnings([base, *rows], noise, {})
    return decide(rows, "keras.fp32", gates, noise, Gates())


def test_where_it_loses_nothing_the_decision_says_so():
    decision = judge(row("onnx.u8s8", emulated=(on("haswell", 0.879, 0.7),)))
    assert decision.caveats == (HoldsOnCpu("haswell", "accuracy", 0.879, 0.88, 2000),)


def test_where_it_was_run_nowhere_else_nothing_is_said():
    """Of others' runs neither."""
    assert judge(row("onnx.u8s8"), row("onnx.uint8", 2.0, emulated=(loses(),))).caveats == ()


def test_where_it_loses_and_nothing_else_was_run_there_no_variant_is_offered():
    assert judge(row("onnx.u8s8", emulated=(loses(),)), row("onnx.uint8", 2.0)).caveats == (LOST,)


def test_what_loses_nothing_there_is_offered_with_what_it_costs():
    other = row("onnx.uint8", 2.5, 50_000, accuracy=0.8754, emulated=(on("haswell"),))
    price, difference = Price(0.4, False, 2.0), MetricValue("accuracy", pytest.approx(-0.004))
    assert judge(row("onnx.u8s8", emulated=(loses(),)), other).caveats == (
        replace(LOST, alternative=Alternative("onnx.uint8", price, difference)),
    )


def test_costs_that_there_are_none_of():
    other = row("onnx.uint8", 1.01, 101_000, accuracy=0.8794, emulated=(on("haswell"),))
    (caveat,) = judge(row("onnx.u8s8", size=90_000, emulated=(loses(),)), other).caveats
    price = Price(pytest.approx(1 / 1.01), True, pytest.approx(90 / 101))
    assert caveat.alternative == Alternative("onnx.uint8", price, MetricValue("accuracy", 0.0))


def test_each_cpu_has_its_caveat_and_its_own_offer():
    chosen = row("onnx.u8s8", emulated=(loses("haswell"), on("epyc"), loses("nehalem")))
    other = row("onnx.uint8", 2.0, emulated=(on("haswell"), loses("nehalem")))
    haswell, epyc, nehalem = judge(chosen, other).caveats
    assert (haswell.cpu, haswell.alternative.variant) == ("haswell", "onnx.uint8")
    assert (epyc.cpu, epyc.kind) == ("epyc", "holds_on_cpu")
    assert (nehalem.cpu, nehalem.alternative) == ("nehalem", None)


def offered(*others):
    (caveat,) = judge(row("onnx.u8s8", emulated=(loses(),)), *others).caveats
    return caveat.alternative.variant


def test_the_fastest_is_offered_of_those_that_are_not_significantly_worse():
    there = {"emulated": (on("haswell"),)}
    others = [
        row("onnx.a", 3.0, **there),
        row("onnx.b", 2.0, **there),
        row("onnx.c", 1.5, pairs=MUCH_LESS, **there),
        row("onnx.d", 1.2, emulated=(loses(),)),
    ]
    assert offered(*others) == offered(*others[::-1]) == "onnx.b"
    assert offered(*others[2:]) == "onnx.c", "better one that is worse than none"


def test_what_was_not_timed_is_not_offered_as_the_fastest():
    there = {"emulated": (on("haswell"),)}
    assert offered(row("onnx.a", 3.0, **there), row("onnx.b", None, **there)) == "onnx.a"
    assert offered(row("onnx.b", None, **there)) == "onnx.b"


SLOW = SlowerThanFloat("onnx.fp32", 1.3)


def kinds(decision, name="onnx.int8"):
    """Of the reasons why the variant was not chosen."""
    return [reason.kind for each in decision.rejections if each.variant == name for reason in each.reasons]


def test_a_shipped_variant_that_is_slower_than_its_float_baseline_is_told_so():
    """The baseline is faster but broken: its gate does not hold."""
    broken = Gate("onnx.fp32", "accuracy", "min", 0.9, 0.88, False)
    decision = judge(row("onnx.fp32", pairs=SAME), row("onnx.int8", 1.3), gates=[broken])
    assert decision.variant == "onnx.int8"
    assert decision.reasons[-1] == SLOW


def test_another_variant_that_is_slower_than_its_float_baseline_is_told_so():
    decision = judge(row("onnx.fp32", pairs=SAME), row("onnx.int8", 1.3), row("onnx.u8s8", 0.5))
    assert decision.variant == "onnx.u8s8"
    assert [each.variant for each in decision.rejections if SLOW in each.reasons] == ["onnx.int8"]
    assert kinds(decision) == ["compared_with", "slower_than_float"]


def test_it_is_told_where_nothing_is_shipped_too():
    rows = [row("onnx.fp32", pairs=MUCH_LESS), row("onnx.int8", 1.3, pairs=MUCH_LESS)]
    broken = Gate("keras.fp32", "accuracy", "min", 0.9, 0.88, False)
    decision = judge(*rows, gates=[broken])
    assert decision.variant == ""
    assert kinds(decision) == ["significantly_worse", "slower_than_float"]


@pytest.mark.parametrize("milliseconds", [1.04, 1.0, 0.5])
def test_within_the_noise_it_is_not_slower(milliseconds):
    decision = judge(row("onnx.fp32", pairs=SAME), row("onnx.int8", milliseconds))
    reasons = [*decision.reasons, *(reason for each in decision.rejections for reason in each.reasons)]
    assert "slower_than_float" not in [reason.kind for reason in reasons]
