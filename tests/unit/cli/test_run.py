"""`run` makes what is missing, then times once more as long as that tells something, then compares."""

from dataclasses import replace

import comparisons
import pytest

from driver.cli import run as running
from driver.cli.main import main
from driver.cli.workflow import Made

pytestmark = pytest.mark.usefixtures("volumes", "machine")
MORE = (["latency.onnx.6", "latency.torch.6"], ["latency.onnx.7", "latency.torch.7"])


@pytest.fixture
def called(monkeypatch):
    """What `run` makes and when it compares, where each run of the plan ends as it is told to: (exit code, calls)."""

    def call(*words, made, **changes):
        calls, ends, waiting = [], list(made), [*MORE, []]

        def make(_experiment, targets, options, _output, *, sample):
            calls.append((list(targets), options.force, sample))
            return Made(f"freshness {len(calls)}", *ends.pop(0))

        def compare(freshness, *_, **__):
            calls.append(freshness)
            return comparisons.comparison(**changes)

        monkeypatch.setattr(running, "make_artifacts", make)
        monkeypatch.setattr(running, "find_next_pass", lambda *_: waiting.pop(0))
        monkeypatch.setattr(running, "compare_artifacts", compare)
        return main(["run", *words]), calls

    return call


WORKED, FRESH, FAILED = (False, True), (False, False), (True, True)


def test_passes_are_added_until_there_is_no_next_one_and_then_it_compares(called):
    code, calls = called("--sample", "--force", made=[WORKED, WORKED, WORKED])
    assert calls == [
        ([], True, True),
        (MORE[0], False, True),
        (MORE[1], False, True),
        "freshness 3",
    ], "what was made by force is not made again"
    assert code == 0


def test_where_nothing_was_to_be_done_nothing_is_timed_again(called):
    """A second run of the same changes nothing."""
    assert called(made=[FRESH]) == (0, [([], False, False), "freshness 1"])


def test_after_a_failure_there_are_no_more_passes(called):
    assert called(made=[FAILED])[1] == [([], False, False), "freshness 1"]
    assert called(made=[WORKED, FAILED])[1] == [([], False, False), (MORE[0], False, False), "freshness 2"]


def test_targets_are_made_and_neither_timed_more_nor_compared(called, monkeypatch):
    monkeypatch.setattr(running, "show_paths", lambda *_: None)
    assert called("onnx.int8", made=[WORKED]) == (0, [(["onnx.int8"], False, False)])
    assert called("onnx.int8", made=[FAILED]) == (3, [(["onnx.int8"], False, False)])


@pytest.mark.parametrize(("holds", "code"), [(True, 0), (False, 1)])
def test_gates_set_the_exit_code(called, holds, code):
    gate = replace(comparisons.comparison().gates[0], holds=holds)
    assert called(made=[FRESH], gates=(gate,))[0] == code
