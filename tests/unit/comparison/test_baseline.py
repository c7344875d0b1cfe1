"""A run against a baseline: what is allowed, what is worse, and what can't be compared."""

from dataclasses import replace

import comparisons
import numpy as np
import pytest
import task_makers
from runs import LABELS, answers
from variant_makers import make_variant

from driver.analysis.evaluation import Truth
from driver.analysis.results import Cold, Gate, Latency, UncheckedGate
from driver.comparison import baseline
from driver.comparison.run_diff import Run
from shared.data.samples import About
from shared.errors import CrossquantError

HALVES = (np.arange(1000) % 2).astype(np.uint8)  # two classes of 500


def row(name="onnx.int8", p50=0.2, size=100_000, per_second=1000.0, **changes):
    image, _, recipe = name.partition(".")
    costs = {"size_bytes": size, "latency_ms": Latency(p50, p50, 2 * p50, 9), "images_per_second": per_second}
    return replace(make_variant(name, image, recipe, accuracy=0.9, **costs), cold=Cold(0.1, 0.2, 0.3, 10**8), **changes)


def run(name="before", right=900, rows=None, labels=LABELS, **changes):
    comparison = replace(comparisons.comparison(), variants=rows or (row(),), **changes)
    return Run(name, comparison, Truth(About(), labels), {"onnx.int8": (answers(right),)})


def check(before, after, *limits):
    return baseline.check_against_baseline(before, after, baseline.parse_limits(limits))


def only(before, after, limit):
    (gate,) = check(before, after, limit).gates
    return gate


@pytest.mark.parametrize(("right", "holds"), [(910, True), (895, True), (894, False)])
def test_a_drop_is_counted_on_the_same_samples(right, holds):
    gate = only(run(), run("after", right), "drop_pp=0.5")
    assert gate == Gate("onnx.int8", "drop_pp", "max", 0.5, pytest.approx((900 - right) / 10), holds)


def test_with_a_confidence_the_worse_end_must_hold():
    """Newcombe's interval of 5 images that are lost, and none that is gained."""
    assert only(run(), run("after", 895), "drop_pp=0.6").holds
    gate = only(run(), run("after", 895), "drop_pp=0.6@95%")
    assert (gate.holds, gate.confidence) == (False, 0.95)
    assert 0.9 < gate.value < 1.3


def test_changed_answers_and_the_class_that_loses_most():
    before, after = (run(name, right, labels=HALVES) for name, right in (("before", 600), ("after", 580)))
    changed, lost = check(before, after, "changed=1%", "class_drop_pp=1.5").gates
    assert changed == Gate("onnx.int8", "changed", "max", 0.01, 0.02, False)
    assert lost == Gate("onnx.int8", "class_drop_pp", "max", 1.5, 2.0, False, label=0), "ten of the 500 even ones"


@pytest.mark.parametrize(
    ("limit", "changes", "bound", "at", "holds"),
    [
        ("p50_ms=10%", {"p50": 0.2199}, "max", 0.22, True),
        ("p50_ms=10%", {"p50": 0.2201}, "max", 0.22, False),
        ("p50_ms=0.01", {"p50": 0.2101}, "max", 0.21, False),
        ("p99_ms=0", {"p50": 0.2}, "max", 0.4, True),
        ("size_kb=5%", {"size": 105_001}, "max", 105, False),
        ("throughput=20%", {"per_second": 801.0}, "min", 800, True),
        ("throughput=20%", {"per_second": 799.0}, "min", 800, False),
        ("cold_start_seconds=0.1", {}, "max", 0.4, True),
        ("peak_memory_mb=10%", {}, "max", 110, True),
    ],
)
def test_a_cost_may_be_so_much_worse_than_it_was(limit, changes, bound, at, holds):
    gate = only(run(), run("after", rows=(row(**changes),)), limit)
    assert (gate.bound, gate.limit, gate.holds) == (bound, pytest.approx(at), holds)
    assert gate.before is not None


def test_what_was_not_measured_in_both_runs_is_not_checked():
    for before, after in ((row(), row(latency_ms=None)), (row(latency_ms=None), row())):
        checked = check(run(rows=(before,)), run("after", rows=(after,)), "p50_ms=10%", "size_kb=1")
        assert checked.unchecked == (UncheckedGate("onnx.int8", "p50_ms"),)
        assert [gate.metric for gate in checked.gates] == ["size_kb"]
        assert not checked.holds


def test_answers_to_other_samples_are_not_compared_but_costs_are():
    checked = check(run(), run("after", labels=LABELS + 1), "drop_pp=0.5", "p50_ms=1%")
    assert checked.unchecked == (UncheckedGate("onnx.int8", "drop_pp"),)
    assert [gate.metric for gate in checked.gates] == ["p50_ms"]


def test_a_variant_that_has_no_result_any_more_is_worse_and_a_new_one_is_not():
    both = (row(), row("onnx.uint8"))
    failed = (row(), row("onnx.uint8", status="failed"))
    assert check(run(rows=both), run("after", rows=both), "p50_ms=1%").holds
    assert check(run(rows=both), run("after", rows=both[:1]), "p50_ms=1%").lost == ("onnx.uint8",)
    lost = check(run(rows=both), run("after", rows=failed), "p50_ms=1%")
    assert (lost.lost, lost.holds) == (("onnx.uint8",), False)
    assert check(run(), run("after", rows=both), "p50_ms=1%").holds


def test_timings_of_another_cpu_are_told():
    host = {**comparisons.HOST, "cpu": "Old"}
    assert check(run(host=host), run("after"), "p50_ms=1%").cpu == "Old"
    assert check(run(), run("after"), "p50_ms=1%").cpu == ""


def test_runs_without_a_common_variant_are_no_comparison():
    with pytest.raises(CrossquantError, match="'before' and 'after' have no variant in common"):
        check(run(), run("after", rows=(row("onnx.uint8"),)), "p50_ms=1%")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drop_pp", "must be METRIC=LIMIT, such as"),
        ("drop_pp=-1", "must be METRIC=LIMIT, such as"),
        ("drop_pp=much", "must be METRIC=LIMIT, such as"),
        ("drop_pp=0.5@95", "must be METRIC=LIMIT, such as"),
        ("drop=0.5", "no such metric; did you mean drop_pp"),
        ("drop_pp=200", "must be from -100 to 100, not 200"),
        ("drop_pp=1@100%", "must be between 0 and 1, such as 0.95"),
        ("p50_ms=10%@95%", "has no interval: leave the confidence out"),
        ("changed=120%", "must be from 0 to 1"),
    ],
)
def test_what_is_no_limit_is_refused(text, message):
    with pytest.raises(CrossquantError) as caught:
        baseline.parse_limit(text)
    assert str(caught.value).startswith(f"--fail-on {text}: ")
    assert message in str(caught.value)


def test_a_metric_that_the_task_has_not_is_refused():
    with pytest.raises(CrossquantError, match="the task is classification, which has no such metric; known are"):
        check(run(), run("after"), "worse_percent=1")


def test_an_error_of_a_regression_may_be_worse_by_so_many_percent():
    case = task_makers.regression()
    runs = [
        Run(
            name,
            comparisons.comparison(variants=(row(),), dataset={**comparisons.FULL, "task": "regression"}),
            Truth(About(task="regression"), case.labels),
            {"onnx.int8": (task_makers.noisy(case.outputs[0], noise, 5),)},
        )
        for name, noise in (("before", 0.1), ("after", 0.3))
    ]
    gate = only(*runs, "worse_percent=1")
    assert (gate.metric, gate.holds) == ("worse_percent", False)
    assert only(*runs, f"worse_percent={gate.value + 0.01:.6f}").holds
    sure = only(*runs, f"worse_percent={gate.value + 0.01:.6f}@95%")
    assert sure.value > gate.value + 1, "the worse end of its interval"
    assert not sure.holds
