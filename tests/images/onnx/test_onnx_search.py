"""The search for the fewest layers to leave in float."""

import pytest

from images.onnx.quantize.trials import spared
from shared.quantization.layer_search import Search

LAYERS = tuple("abcdefgh")


def search(needed: set[str], limit: int = 40, least: float = 0.9) -> tuple[Search, tuple[str, ...]]:
    """Where all of `needed` are left out the accuracy is 0.9, else a little more for each that is."""
    found = Search(least, limit)
    best = found.run(lambda names: 0.9 if needed <= set(names) else 0.1 * len(needed & set(names)), lambda: LAYERS)
    return found, best.excluded


@pytest.mark.parametrize("needed", ["", "a", "b", "c", "ah", "bdf", "gh", "abcdefgh"])
def test_it_finds_the_fewest_layers(needed: str):
    assert search(set(needed))[1] == tuple(needed)


def test_without_need_it_does_not_ask_for_the_order():
    found = Search(0.5, 12)
    assert found.run(lambda _: 0.5, lambda: pytest.fail("asked")).excluded == ()
    assert len(found.trials) == 1


@pytest.mark.parametrize("limit", [1, 2, 5, 7])
def test_the_limit_of_trials_is_kept_and_none_is_made_twice(limit: int):
    found, _ = search({"b", "g"}, limit)
    assert len(found.trials) == limit
    assert len({trial.excluded for trial in found.trials}) == limit


def test_the_best_trial_is_kept_where_none_holds():
    found, best = search({"a", "b"}, limit=12, least=0.95)
    assert best == ("a", "b")
    assert not found.held()


def test_at_least_half_of_what_computes_stays_quantized():
    layers = [("conv1", True), ("relu", False), ("conv2", True), ("conv3", True), ("add", False), ("conv4", True)]
    assert spared(layers) == ("conv1", "relu", "conv2", "add")
