"""Rules 6 and 7 of the verdict: what becomes of the shipped file on other CPUs, and what is slower than float."""

from dataclasses import replace

import pytest
from variant_makers import make_variant

from driver.analysis import statistics
from driver.analysis.results import Emulated, Gate, Interval, Latency, Noise, Paired
from driver.decision import row_warnings, verdict
from driver.experiment.model import Gates

NOISE = (Noise("onnx", "onnx.fp32", 0.02),)
SAME = Paired(8800, 0, 0, 1200, 0.0, Interval(-0.03, 0.03), 1.0)
A_LITTLE_LESS = Paired(8750, 50, 44, 1156, -0.06, Interval(-0.31, 0.19), 0.69, 1.0)
MUCH_LESS = Paired(8000, 800, 40, 1160, -7.6, Interval(-8.2, -7.0), 1e-9, 5e-9)
HINT = "Where such CPUs exist, ship a recipe with reduce_range, or with uint8 activations and weights."
LOST = "On haswell onnx.u8s8 loses: 84.2 % there, 88.0 % here, on the same 2,000 images."


def row(name, milliseconds=1.0, size=100_000, pairs=A_LITTLE_LESS, accuracy=0.8794, **changes):
    image, _, recipe = name.partition(".")
    made = make_variant(name, image, recipe, "ok", accuracy=accuracy, paired=pairs, size_bytes=size)
    latency = None if milliseconds is None else Latency(milliseconds, 2 * milliseconds, 3 * milliseconds, 140)
    return replace(made, latency_ms=latency, **changes)


def on(cpu, accuracy=0.88, p_value=1.0):
    right = round(2000 * accuracy)
    return Emulated(cpu, 2000, accuracy, statistics.wilson(right, 2000), 0.88, 0.914, p_value)


def loses(cpu="haswell"):
    return on(cpu, 0.842, 1e-6)


def judge(*rows, gates=(), noise=NOISE):
    """Against a slow reference; the rows have their remarks, as in a comparison."""
    base = row("keras.fp32", 8.0, 400_000, SAME, 0.88)
    return verdict.judge(row_warnings.add([base, *rows], noise, {}), "keras.fp32", gates, noise, Gates())


def of_cpus(found):
    return [sentence for sentence in found.sentences if sentence.startswith("On ")]


def test_where_it_loses_nothing_the_verdict_says_so():
    found = judge(row("onnx.u8s8", emulated=(on("haswell", 0.879, 0.7),)))
    assert found.sentences[1] == (
        "On haswell onnx.u8s8 loses nothing: 87.9 % there, 88.0 % here, on the same 2,000 images."
    )


def test_where_it_was_run_nowhere_else_nothing_is_said():
    """Of others' runs neither."""
    assert of_cpus(judge(row("onnx.u8s8"), row("onnx.uint8", 2.0, emulated=(loses(),)))) == []


def test_where_it_loses_and_nothing_else_was_run_there_a_recipe_is_named_that_would_not():
    assert of_cpus(judge(row("onnx.u8s8", emulated=(loses(),)), row("onnx.uint8", 2.0))) == [f"{LOST} {HINT}"]


def test_what_loses_nothing_there_is_offered_with_what_it_costs():
    other = row("onnx.uint8", 2.5, 50_000, accuracy=0.8754, emulated=(on("haswell"),))
    assert of_cpus(judge(row("onnx.u8s8", emulated=(loses(),)), other)) == [
        f"{LOST} Where such CPUs exist, ship onnx.uint8, which loses nothing there: "
        "2.5× slower, 2.0× smaller, −0.40 points."
    ]


def test_costs_that_there_are_none_of():
    other = row("onnx.uint8", 1.01, 101_000, accuracy=0.8794, emulated=(on("haswell"),))
    (told,) = of_cpus(judge(row("onnx.u8s8", size=90_000, emulated=(loses(),)), other))
    assert told.endswith("no faster (within the noise), 1.1× larger, +0.00 points.")


def test_each_cpu_has_its_sentence_and_its_own_offer():
    chosen = row("onnx.u8s8", emulated=(loses("haswell"), on("epyc"), loses("nehalem")))
    other = row("onnx.uint8", 2.0, emulated=(on("haswell"), loses("nehalem")))
    haswell, epyc, nehalem = of_cpus(judge(chosen, other))
    assert "ship onnx.uint8, which loses nothing there" in haswell
    assert epyc.startswith("On epyc onnx.u8s8 loses nothing: ")
    assert nehalem.endswith(HINT)


def offered(*others):
    (told,) = of_cpus(judge(row("onnx.u8s8", emulated=(loses(),)), *others))
    return told.partition("Where such CPUs exist, ship ")[2].partition(",")[0]


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


SLOW = " onnx.int8 is 1.3× slower than onnx.fp32, its float twin."


def test_a_shipped_variant_that_is_slower_than_its_float_twin_is_told_so():
    """The twin is faster but broken: its gate does not hold."""
    broken = Gate("onnx.fp32", "accuracy", "min", 0.9, 0.88, False)
    found = judge(row("onnx.fp32", pairs=SAME), row("onnx.int8", 1.3), gates=[broken])
    assert found.ship == "onnx.int8"
    assert found.sentences[0].endswith(f" on this CPU.{SLOW}")


def test_another_variant_that_is_slower_than_its_float_twin_is_told_so():
    found = judge(row("onnx.fp32", pairs=SAME), row("onnx.int8", 1.3), row("onnx.u8s8", 0.5))
    assert found.ship == "onnx.u8s8"
    assert [sentence for sentence in found.sentences if "float twin" in sentence] == [
        f"Not onnx.int8: 2.6× slower than onnx.u8s8.{SLOW}"
    ]


def test_it_is_told_where_nothing_is_shipped_too():
    rows = [row("onnx.fp32", pairs=MUCH_LESS), row("onnx.int8", 1.3, pairs=MUCH_LESS)]
    broken = Gate("keras.fp32", "accuracy", "min", 0.9, 0.88, False)
    found = judge(*rows, gates=[broken])
    assert found.ship == ""
    assert found.sentences[-1].startswith("Not onnx.int8: significantly worse")
    assert found.sentences[-1].endswith(f").{SLOW}")


@pytest.mark.parametrize("milliseconds", [1.04, 1.0, 0.5])
def test_within_the_noise_it_is_not_slower(milliseconds):
    found = judge(row("onnx.fp32", pairs=SAME), row("onnx.int8", milliseconds))
    assert "float twin" not in " ".join(found.sentences)
