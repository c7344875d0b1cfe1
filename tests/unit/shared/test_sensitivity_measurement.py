"""How answers that an image collects become the sensitivity of a variant, checked by hand."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from shared.data.subset import Subset
from shared.sensitivity.evaluator import Evaluator
from shared.sensitivity.layer_errors import UNLIMITED, Diagnosis
from shared.sensitivity.measurement import LayerAnswers, OutputErrors, compare_outputs, measure_sensitivity

EXACT = np.eye(4, dtype=np.float32)  # the right class of each of four samples


def wrong(count: int) -> np.ndarray:
    """Answers of which the first `count` are wrong."""
    answers = EXACT.copy()
    answers[:count] = np.roll(answers[:count], 1, axis=1)
    return answers


@pytest.fixture
def evaluator(tmp_path: Path) -> Evaluator:
    np.save(tmp_path / "input_0.npy", np.zeros((4, 2), np.float32))
    np.save(tmp_path / "labels.npy", np.arange(4, dtype=np.uint8))
    (tmp_path / "about.json").write_text(json.dumps({"task": "classification"}))
    return Evaluator(Subset(tmp_path, 4), EXACT)


def layer(name: str, only_weights: int | None, only_activations: int, kept: int) -> LayerAnswers:
    """A layer with these numbers of wrong answers."""
    weights = None if only_weights is None else wrong(only_weights)
    return LayerAnswers(name, "Conv", OutputErrors(), None, weights, wrong(only_activations), wrong(kept))


def test_scores_of_the_variant_and_of_its_layers_are_those_of_the_answers(evaluator: Evaluator):
    def layers() -> Iterator[LayerAnswers]:
        yield layer("first", only_weights=None, only_activations=1, kept=3)
        yield layer("second", only_weights=2, only_activations=0, kept=1)

    sensitivity = measure_sensitivity(
        "onnx.int8",
        evaluator,
        quantized=wrong(3),
        weights_only=wrong(2),
        activations_only=wrong(1),
        layers=layers(),
        layer_count=2,
    )
    assert (sensitivity.variant, sensitivity.images, sensitivity.score) == ("onnx.int8", 4, "accuracy")
    assert (sensitivity.float_accuracy, sensitivity.quantized_accuracy) == (1.0, 0.25)
    assert (sensitivity.weights_only, sensitivity.activations_only) == (0.5, 0.75)
    assert sensitivity.float_kl == evaluator.distance(wrong(3))
    assert [each.name for each in sensitivity.layers] == ["second", "first"], "the most sensitive first"
    second, first = sensitivity.layers
    assert (second.only_weights, second.only_activations, second.kept) == (0.5, 1.0, 0.75)
    assert (first.only_weights, first.only_activations, first.kept) == (None, 0.75, 0.25)
    assert second.kept_kl == evaluator.distance(wrong(1)) < first.kept_kl
    assert sensitivity.diagnosis == Diagnosis("weights", "second")


def test_outputs_are_compared_by_name_over_all_batches():
    batches = [
        ({"a": np.array([[0.0, 3.0]]), "b": np.array([[5.0]])}, {"a": np.array([[0.0, 2.0]]), "b": np.array([[5.0]])}),
        ({"a": np.array([[-1.0, 1.0]]), "b": np.array([[7.0]])}, {"a": np.array([[0.0, 1.0]]), "b": np.array([[7.0]])}),
    ]
    outputs = compare_outputs({"a": (0.0, 2.0), "b": UNLIMITED}, batches)
    assert (outputs["a"].extent.least, outputs["a"].extent.greatest) == (-1.0, 3.0)
    assert (outputs["a"].extent.clipped, outputs["b"].extent.clipped) == (0.5, 0.0)
    assert (outputs["a"].error.max_abs, outputs["b"].error.max_abs) == (1.0, 0.0)
