"""Answers of a quantized model with chosen tensors in float."""

from collections.abc import Collection, Iterator
from pathlib import Path

import onnx

from images.onnx import computed_bytes
from images.onnx.sensitivity import qdq as schemes
from images.onnx.sensitivity.fake_quant import FakeQuantModel
from images.onnx.sensitivity.graph_layers import GraphLayer, find_layers
from shared.data import samples
from shared.data.samples import LARGEST_KEPT, Array, Batch
from shared.data.subset import Subset
from shared.measure.predictions import Model
from shared.sensitivity.evaluator import Evaluator
from shared.sensitivity.layer_errors import Answers

BATCH = 25  # samples: the outputs of all layers are in memory twice


class Ablation:
    """A float model and its quantized counterpart on the same samples, with any tensors in float.

    `tensors` are the names of those that the variant quantizes, `layers` its layers.
    """

    def __init__(self, exact: Path, quantized: Path, subset: Subset, folder: Path) -> None:
        self.model = onnx.load(exact)
        self.scheme = schemes.read_scheme(onnx.load(quantized), self.model)
        self.layers = find_layers(self.model.graph, self.scheme)
        self.fake_quant = FakeQuantModel(self.model, self.scheme, folder)
        self.tensors = frozenset(self.fake_quant.tensors)
        self.subset, self.about = subset, samples.about(subset.folder)
        self.sample_bytes = 2 * computed_bytes.per_sample_of_file(
            exact, subset.folder
        )  # `explain` keeps them in float and quantized
        self.cache: dict[frozenset[str], Array] = {}
        self.evaluator = Evaluator(subset, self.answers_with_quantized(()))

    def answers_with_quantized(self, quantized: Collection[str]) -> Array:
        """Return the evaluated output, (samples, …), if only these tensors are quantized.

        Results are cached by the set of tensors.
        """
        key = self.tensors & frozenset(quantized)
        if key not in self.cache:
            self.cache[key] = self.collect_answers(lambda batch: self.fake_quant.run(batch, key))
        return self.cache[key]

    def collect_answers(self, model: Model) -> Array:
        """Return the evaluated output of any model for the same samples, (samples, …)."""
        answers = Answers()
        for batch in self.batches():
            answers.add(samples.select_evaluated(model(batch), self.about))
        return answers.all

    def batches(self) -> Iterator[Batch]:
        """Yield batches of the samples that fit in memory with the outputs of all layers."""
        return self.subset.batches(BATCH, LARGEST_KEPT, self.sample_bytes)

    def answers_with_float_layer(self, layer: GraphLayer) -> Array:
        """Return the quantized model's answers with this layer alone in float: its inputs, constants and output."""
        return self.answers_with_quantized(self.tensors - layer.tensors)

    def distance_with_float_layer(self, layer: GraphLayer) -> float:
        """Return how far these answers are from the float model's: the lower, the more sensitive the layer."""
        return self.evaluator.distance(self.answers_with_float_layer(layer))

    def added_distance(self, layer: GraphLayer) -> float:
        """Return what the layer adds to the divergence (nats): the mean of what it adds to the float model and to the
        rest.

        If two layers each break a model, keeping one of them in float helps nothing; if errors only add up, one layer
        alone breaks nothing. The two are the first and the last term of the sum that is averaged in the Shapley value.
        """
        alone = self.evaluator.distance(self.answers_with_quantized(layer.tensors))
        return (
            alone
            + self.evaluator.distance(self.answers_with_quantized(self.tensors))
            - self.distance_with_float_layer(layer)
        ) / 2


def rank_layers(ablation: Ablation) -> list[GraphLayer]:
    """Return the layers, those that add most to the divergence first; among equals, the first in the graph."""
    return sorted(ablation.layers, key=ablation.added_distance, reverse=True)
