"""Draws of the calibration set: the spread of a recipe, its curve, and whether two recipes differ beyond the noise."""

import numpy as np
import pytest
from evidence_makers import Volume, answers, default_experiment, evaluate

from driver.analysis import calibration_draws, statistics
from driver.analysis.artifacts import Evidence
from driver.analysis.evaluation import Evaluation
from driver.analysis.results import Draws, Interval, Point
from driver.comparison import compare
from driver.decision.run_outcome import find_exit_code
from driver.experiment.model import Curve
from driver.report import phrases
from shared.artifacts.freshness import Freshness

pytestmark = pytest.mark.usefixtures("volumes")
RECIPES = {"onnx": {"int8": {}, "int8_b": {"weight": "uint8"}}}
SIZES = Curve((100, 25), ("onnx.int8",))


def written(**changes):
    """A volume with the float variants and what draws and curves are made of."""
    volume = Volume(default_experiment(recipes=RECIPES, **changes)).start()
    volume.variant("onnx.fp32", answers(10))
    volume.further()
    return volume


@pytest.fixture
def drawn():
    """onnx.int8 on three draws: 90, 85 and 80 answers in a hundred are right."""
    volume = written(draws=3)
    for name, wrong in (("onnx.int8", 10), ("onnx.int8.d2", 15), ("onnx.int8.d3", 20)):
        volume.variant(name, answers(wrong))
    return volume


def evidence(volume):
    return Evidence(Freshness(volume.plan))


def test_the_spread_has_the_shipped_file_first_and_the_deviation_of_a_sample(drawn):
    draws = calibration_draws.summarize_draws(Evaluation(evidence(drawn), ""), "onnx.int8", 0.9)
    assert draws.values == (0.9, 0.85, 0.8)
    assert (draws.mean, draws.sd, draws.delta) == (pytest.approx(0.85), pytest.approx(0.05), pytest.approx(-0.05))
    half = 4.30265 * 0.05 / 3**0.5  # the quantile of Student's t with two degrees of freedom, from a table
    assert (draws.interval.low, draws.interval.high) == (pytest.approx(0.85 - half), pytest.approx(0.85 + half))


def test_a_spread_without_a_reference_has_no_difference(drawn):
    assert calibration_draws.summarize_draws(Evaluation(evidence(drawn), ""), "onnx.int8", None).delta == 0.0


def test_draws_that_agree_have_no_deviation(drawn):
    for name in ("onnx.int8.d2", "onnx.int8.d3"):
        drawn.variant(name, answers(10))
    assert calibration_draws.summarize_draws(Evaluation(evidence(drawn), ""), "onnx.int8", 0.9) == Draws(
        (0.9, 0.9, 0.9), 0.9, 0.0, 0.0, Interval(0.9, 0.9)
    )


def failed(volume):
    volume.remove("onnx.int8.d3")
    volume.fail("onnx.int8.d3", "killed")


def refused(volume):
    volume.publish("onnx.int8.d3", refused="QuantizationError")


def unanswered(volume):
    volume.remove("predictions.onnx.int8.d3")


def stale(volume):
    volume.publish("calibration.d3", {"input_0.npy": np.ones((2, 2), np.float32)})


@pytest.mark.parametrize("trouble", [failed, refused, unanswered, stale])
def test_there_is_no_spread_of_some_of_the_draws(drawn, trouble):
    """A mean over those that worked would be that of a luckier recipe."""
    trouble(drawn)
    assert calibration_draws.summarize_draws(Evaluation(evidence(drawn), ""), "onnx.int8", 0.9) is None


def test_a_draw_that_failed_is_told_with_the_failures(drawn):
    failed(drawn)
    comparison = compare.compare(evaluate(drawn), drawn.experiment)
    assert ("onnx.int8.d3", "failed", "killed") in comparison.reasons
    assert find_exit_code(comparison) == 3


def test_a_recipe_that_was_drawn_once_has_no_spread():
    volume = written(curve=SIZES)
    volume.variant("onnx.int8", answers(10))
    volume.variant("onnx.int8.n25", answers(30))
    assert calibration_draws.summarize_draws(Evaluation(evidence(volume), ""), "onnx.int8", 0.9) is None


def test_further_draws_are_of_the_recipe_itself_not_of_one_with_a_longer_name(drawn):
    own = dict(calibration_draws.iterate_further_draws(evidence(drawn), "onnx.int8"))
    assert own == {"onnx.int8.d2": "d2", "onnx.int8.d3": "d3"}


def test_the_curve_is_judged_by_the_selection_set_and_goes_up_in_images():
    """The selection set has none of the test set's labels: what is wrong by the one is right by the other."""
    volume = written(curve=SIZES)
    volume.variant("onnx.int8", answers(10))
    volume.variant("onnx.int8.n100", answers(40))
    volume.variant("onnx.int8.n25", answers(30))
    assert calibration_draws.collect_curve(Evaluation(evidence(volume), ""), "onnx.int8") == (
        Point(25, 0.3, statistics.wilson_interval(30, 100)),
        Point(100, 0.4, statistics.wilson_interval(40, 100)),
    )
    assert calibration_draws.collect_curve(Evaluation(evidence(volume), ""), "onnx.int8_b") == ()


def test_a_curve_has_the_points_that_there_are_and_draws_are_none():
    volume = written(curve=SIZES, draws=2)
    volume.variant("onnx.int8", answers(10))
    volume.variant("onnx.int8.n25", answers(30))
    volume.variant("onnx.int8.d2", answers(10))
    volume.publish("onnx.int8.n100", refused="QuantizationError")
    assert [
        point.images for point in calibration_draws.collect_curve(Evaluation(evidence(volume), ""), "onnx.int8")
    ] == [25]


def test_draws_reach_the_row_and_the_reader(drawn):
    comparison = compare.compare(evaluate(drawn), drawn.experiment)
    rows = {row.name: row for row in comparison.variants}
    assert not [name for name in rows if name.endswith((".d2", ".d3"))], "a draw is no row"
    assert rows["onnx.int8"].draws.values == (0.9, 0.85, 0.8)
    assert (rows["onnx.fp32"].draws, rows["onnx.int8_b"].draws) == (None, None)
    line = "onnx.int8 over 3 draws: 85.00 ± 5.00 %, 80.00…90.00, mean 95% 72.58…97.42 (−5.00 points)"
    assert line in phrases.row_lines(comparison)


def simulated(difference, runs=1000, count=5):
    """How often two recipes are called equal whose true means are so far apart; half of the noise is the draw's."""
    random = np.random.default_rng(0)
    draw, one, other = random.normal(0, 0.001, (3, runs, count))
    pairs = zip(0.87 + draw + one, 0.87 - difference + draw + other, strict=True)
    return np.mean([calibration_draws.are_indistinguishable(list(first), list(second)) for first, second in pairs])


def test_recipes_with_the_same_true_mean_are_called_equal_in_95_of_100_runs():
    assert simulated(0.0) == pytest.approx(0.95, abs=0.02)


def test_recipes_that_are_far_apart_are_never_called_equal():
    assert simulated(0.02) == 0.0


def test_what_all_draws_have_in_common_is_no_noise():
    """One recipe is better in each draw, by less than the draws differ from each other."""
    one = np.array([0.80, 0.84, 0.88, 0.82, 0.86])
    other = one - [0.002, 0.003, 0.002, 0.003, 0.002]
    assert not calibration_draws.are_indistinguishable(one.tolist(), other.tolist())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([0.87], [0.87], True),
        ([0.87], [0.8701], False),
        ([0.87, 0.88], [0.87, 0.88], True),
        ([0.87, 0.88], [0.86, 0.87], False),
        ([0.87, 0.88, 0.89], [0.88, 0.87, 0.89], True),
        ([0.87, 0.88, 0.89], [0.87, 0.88], False),
        ([0.87, 0.87, 0.87], [0.87], True),
        ([0.87, 0.872, 0.868], [0.871], True),
        ([0.87, 0.872, 0.868], [0.89], False),
        ([0.87], [], False),
        ([], [], True),
    ],
    ids=[
        "single",
        "singles-differ",
        "same",
        "same-amount",
        "noise",
        "not-as-many",
        "not-drawn-the-same",
        "not-drawn-in-the-noise",
        "not-drawn-far-away",
        "one-of-them",
        "none",
    ],
)
def test_equality_at_the_edges(one, other, same):
    assert calibration_draws.are_indistinguishable(one, other) is same
    assert calibration_draws.are_indistinguishable(tuple(other), tuple(one)) is same
