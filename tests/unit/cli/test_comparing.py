"""A comparison is of evidence that nobody replaces meanwhile, or there is none."""

import json
from dataclasses import replace

import pytest
from evidence_makers import Volume, answers, default_experiment

from driver.analysis.artifacts import Evidence
from driver.analysis.facts import LookedBefore
from driver.analysis.results import Baseline
from driver.cli import comparing
from driver.comparison import publication
from driver.report import files
from shared.artifacts.freshness import Freshness
from shared.errors import CrossquantError, FieldError

pytestmark = pytest.mark.usefixtures("volumes", "machine", "without_plots")
TEXT = "# this very experiment\nname: own\n"


@pytest.fixture
def volume():
    return Volume(default_experiment()).whole()


def compare(volume, check_baseline=lambda _: None):
    return comparing.compare_unchanged_evidence(Freshness(volume.plan), volume.experiment, TEXT, check_baseline)


def replace_evidence(monkeypatch, volume, times, error=None):
    """Let another command replace an artifact during so many comparisons, and `error` end these.

    A list to which each comparison adds a line.
    """
    make, begun = comparing.make_comparison, []

    def interrupted(evidence, *arguments):
        begun.append("compared")
        result = make(evidence, *arguments)
        if len(begun) <= times:
            volume.variant("onnx.int8", answers(10 + len(begun)))
            if error is not None:
                raise error
        return result

    monkeypatch.setattr(comparing, "make_comparison", interrupted)
    return begun


def accuracy(comparison, name="onnx.int8"):
    return next(row for row in comparison.variants if row.name == name).metric("accuracy").value


def test_there_is_the_text_of_every_file(volume):
    comparison, texts = compare(volume)
    assert sorted(texts) == sorted(publication.FILES)
    assert texts.items() >= files.texts(comparison).items()
    assert json.loads(texts["comparison.json"])["experiment"] == volume.experiment.name
    assert "# this very experiment" in texts["comparison.html"]
    assert texts["changed.csv"].startswith("variant,index,label,")


def test_it_is_held_against_another_run(volume):
    against = Baseline("yesterday", ("p50_ms=10%",))
    given = []

    def check(comparison):
        given.append(comparison)
        return against

    comparison, texts = compare(volume, check)
    assert comparison.baseline == against
    assert given == [replace(comparison, baseline=None)]
    assert "yesterday" in texts["comparison.md"]


@pytest.mark.parametrize("times", [1, 2])
def test_evidence_that_was_replaced_meanwhile_is_compared_again(volume, monkeypatch, times):
    begun = replace_evidence(monkeypatch, volume, times)
    comparison, _ = compare(volume)
    assert len(begun) == times + 1
    assert accuracy(comparison) == pytest.approx(0.9 - 0.01 * times), "as it is in the end"


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("half a file"), FieldError(("x",), "unknown key")])
def test_so_is_what_could_not_be_read_because_of_that(volume, monkeypatch, error):
    begun = replace_evidence(monkeypatch, volume, 1, error)
    comparison, _ = compare(volume)
    assert (len(begun), accuracy(comparison)) == (2, pytest.approx(0.89))


@pytest.mark.parametrize("error", [None, OSError("gone")])
def test_what_is_replaced_all_the_time_is_named(volume, monkeypatch, error):
    begun = replace_evidence(monkeypatch, volume, 99, error)
    with pytest.raises(CrossquantError) as caught:
        compare(volume)
    assert len(begun) == comparing.ATTEMPTS
    assert str(caught.value) == (
        "another command makes 'predictions.onnx.int8' anew while it is compared: wait for it, then "
        "`./crossquant report`"
    )


@pytest.mark.parametrize("error", [OSError("no space"), ValueError("a mistake of ours"), CrossquantError("no model")])
def test_an_error_of_evidence_that_nobody_replaced_is_the_user_s(volume, monkeypatch, error):
    calls = []

    def fail(*arguments):
        calls.append(arguments)
        raise error

    monkeypatch.setattr(comparing, "make_comparison", fail)
    with pytest.raises(type(error)) as caught:
        compare(volume)
    assert caught.value is error
    assert len(calls) == 1


def test_each_comparison_of_other_answers_is_one_more_look(volume):
    def looks():
        evidence = Evidence(Freshness(volume.plan))
        comparison, _ = comparing.make_comparison(evidence, volume.experiment, TEXT, lambda _: None)
        return [caveat.times for caveat in comparison.decision.caveats if isinstance(caveat, LookedBefore)]

    assert looks() == looks() == []
    volume.variant("onnx.int8", answers(12))
    assert looks() == looks() == [2]
