"""A variant on other CPUs: what its emulated runs say against its answers here, on the same images."""

from dataclasses import replace

import numpy as np
import pytest
from evidence_makers import LABELS, RECIPES, Volume, answers, default_experiment, evaluate, with_extra
from scipy.stats import binomtest

from driver.analysis import cross_cpu, statistics
from driver.analysis.artifacts import Evidence
from driver.analysis.evaluation import Evaluation
from driver.analysis.facts import CannotRun, ShownWorse, WorseOnCpu
from driver.catalog import declarations
from driver.comparison import compare
from driver.decision.run_outcome import find_exit_code
from shared.artifacts.freshness import Freshness

pytestmark = pytest.mark.usefixtures("volumes")
EVEN = np.arange(0, len(LABELS), 2)  # of the first ten images, which are wrong here, five


@pytest.fixture
def volume():
    chosen = default_experiment(recipes=RECIPES, targets=("here", "haswell", "nehalem"), recommended=("onnx.int8",))
    new_volume = Volume(chosen, with_extra(declarations.load())).start()
    new_volume.variant("onnx.fp32", answers(10))
    new_volume.variant("onnx.int8", answers(10))
    return new_volume


def evidence(volume):
    return Evidence(Freshness(volume.plan))


def runs(volume, name="onnx.int8"):
    return cross_cpu.compare_runs(Evaluation(evidence(volume), ""), name)


def test_each_cpu_is_held_against_this_one_on_the_same_images(volume):
    volume.emulate("onnx.int8", EVEN, {"haswell": answers(40)[EVEN], "nehalem": answers(10)[EVEN]})
    there, same = runs(volume)
    assert (there.cpu, there.images, there.value, there.here) == ("haswell", 50, 0.6, 0.9)
    assert there.interval == statistics.wilson_interval(30, 50)
    assert there.agreement == 0.7
    assert there.p_value == pytest.approx(binomtest(15, 15, 0.5).pvalue)
    assert there.loses
    assert (same.cpu, same.value, same.agreement, same.p_value, same.loses) == ("nehalem", 0.9, 1.0, 1.0, False)


def test_a_few_wrong_answers_more_are_no_loss(volume):
    """Five more wrong, none more right: p = 0.0625. With six it is 0.03."""
    for wrong, loses in ((20, False), (22, True)):
        volume.emulate("onnx.int8", EVEN, {"haswell": answers(wrong)[EVEN]})
        assert [run.loses for run in runs(volume)] == [loses]


def test_a_gain_is_no_loss_however_sure(volume):
    volume.variant("onnx.int8", answers(60))
    volume.emulate("onnx.int8", EVEN, {"haswell": answers(0)[EVEN]})
    (run,) = runs(volume)
    assert (run.value, run.here, run.loses) == (1.0, 0.4, False)
    assert run.p_value < 0.001


def test_a_cpu_that_refuses_gives_its_reason_and_no_figures(volume):
    volume.emulate("onnx.int8", EVEN, {"haswell": answers(10)[EVEN], "nehalem": "killed by SIGILL"})
    assert [run.cpu for run in runs(volume)] == ["haswell"]
    assert cross_cpu.read_refusals(evidence(volume), "onnx.int8") == {"nehalem": "killed by SIGILL"}


def test_where_every_cpu_refuses_the_stage_gave_the_reasons(volume):
    reason = "haswell: killed by SIGILL; nehalem: killed by SIGILL"
    volume.publish("emulation.onnx.int8", refused=reason)
    assert runs(volume) == ()
    assert cross_cpu.read_refusals(evidence(volume), "onnx.int8") == {"other CPUs": reason}


@pytest.mark.parametrize("name", ["onnx.int8", "onnx.uint8", "onnx.fp32", "keras.fp32"])
def test_what_was_not_run_on_another_cpu_has_nothing_to_tell(volume, name):
    assert runs(volume, name) == ()
    assert cross_cpu.read_refusals(evidence(volume), name) == {}


def test_answers_of_a_file_that_has_changed_since_are_not_used(volume):
    volume.emulate("onnx.int8", EVEN, {"haswell": answers(40)[EVEN]})
    volume.variant("onnx.int8", answers(11), size=999)
    assert runs(volume) == ()


def test_only_what_is_recommended_is_run_on_other_cpus_by_default(volume):
    assert volume.plan.step("emulation.onnx.int8").default
    assert not volume.plan.step("emulation.onnx.uint8").default
    without = Volume(replace(volume.experiment, targets=("here",)), with_extra(declarations.load()))
    assert not without.plan.step("emulation.onnx.int8").default


def test_it_reaches_the_row_its_warnings_and_the_decision(volume):
    volume.emulate("onnx.int8", EVEN, {"haswell": answers(40)[EVEN], "nehalem": "killed by SIGILL"})
    volume.latency("onnx", "onnx.int8")
    comparison = compare.compare(evaluate(volume), volume.experiment)
    row = next(row for row in comparison.variants if row.name == "onnx.int8")
    assert [run.cpu for run in row.emulated] == ["haswell"]
    assert row.warnings == (
        WorseOnCpu("haswell", "accuracy", 0.6, 0.9, 50, 0.7),
        CannotRun("nehalem", "killed by SIGILL"),
    )
    here, haswell, nehalem = row.assessments
    assert (here.outcome, here.lost, haswell.outcome, haswell.lost) == ("not_shown", 0, "worse", 15)
    assert (nehalem.outcome, nehalem.samples) == ("not_run", 0)
    assert comparison.targets == ("here", "haswell", "nehalem")
    assert comparison.decision.variant == "keras.fp32"
    (rejection,) = [each for each in comparison.decision.rejections if each.variant == "onnx.int8"]
    assert rejection.reasons == (ShownWorse(haswell),)


def test_a_run_has_its_answers_and_those_of_this_host_to_the_same_images(volume):
    volume.emulate("onnx.int8", EVEN, {"haswell": answers(40)[EVEN], "nehalem": answers(10)[EVEN]})
    read = cross_cpu.read_runs(Evaluation(evidence(volume), ""), "onnx.int8")
    assert {cpu: run.alike for cpu, run in read.items()} == {"haswell": False, "nehalem": True}
    assert (read["haswell"].indices == EVEN).all()
    assert (read["haswell"].there.outputs == answers(40)[EVEN]).all()
    assert (read["haswell"].here.outputs == answers(10)[EVEN]).all()


def test_answers_that_round_otherwise_are_not_alike(volume):
    """The same classes, and not the same bits."""
    there = np.nextafter(answers(10)[EVEN], np.float32(1))
    volume.emulate("onnx.int8", EVEN, {"haswell": there})
    assert not cross_cpu.read_runs(Evaluation(evidence(volume), ""), "onnx.int8")["haswell"].alike


def test_an_emulation_that_failed_is_told(volume):
    volume.fail("emulation.onnx.int8", "QEMU was killed")
    comparison = compare.compare(evaluate(volume), volume.experiment)
    assert [failure.reason for failure in comparison.failures if failure.name == "emulation.onnx.int8"] == [
        "QEMU was killed"
    ]
    assert find_exit_code(comparison) == 3
