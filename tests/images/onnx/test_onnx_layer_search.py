"""The search for the fewest layers to leave in float."""

import pytest

from images.onnx.quantize.trials import excludable_layers
from shared.quantization.layer_search import Search

LAYERS = tuple("abcdefgh")


def search(needed: set[str], limit: int = 40, least: float = 0.9) -> tuple[Search, tuple[str, ...]]:
    """The accuracy is 0.9 if all of `needed` are excluded, and otherwise rises with each of them that is."""
    layer_search = Search(least, limit)
    best = layer_search.run(
        lambda names: 0.9 if needed <= set(names) else 0.1 * len(needed & set(names)), lambda: LAYERS
    )
    return layer_search, best.excluded


@pytest.mark.parametrize("needed", ["", "a", "b", "c", "ah", "bdf", "gh", "abcdefgh"])
def test_it_finds_the_fewest_layers(needed: str):
    assert search(set(needed))[1] == tuple(needed)


def test_without_need_it_does_not_ask_for_the_order():
    layer_search = Search(0.5, 12)
    assert layer_search.run(lambda _: 0.5, lambda: pytest.fail("asked")).excluded == ()
    assert len(layer_search.trials) == 1


@pytest.mark.parametrize("limit", [1, 2, 5, 7])
def test_the_limit_of_trials_is_kept_and_none_is_made_twice(limit: int):
    layer_search, _ = search({"b", "g"}, limit)
    assert len(layer_search.trials) == limit
    assert len({trial.excluded for trial in layer_search.trials}) == limit


def test_the_best_trial_is_kept_where_none_holds():
    layer_search, best = search({"a", "b"}, limit=12, least=0.95)
    assert best == ("a", "b")
    assert not layer_search.held()


def test_at_least_half_of_what_computes_stays_quantized():
    layers = [("conv1", True), ("relu", False), ("conv2", True), ("conv3", True), ("add", False), ("conv4", True)]
    assert excludable_layers(layers) == ("conv1", "relu", "conv2", "add")
