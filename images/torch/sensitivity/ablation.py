"""Answers of a quantized model with chosen layers in float."""

from collections.abc import Iterable, Iterator, Sequence

import torch

from images.torch.quantize.trials import TrialModels
from images.torch.runtime import computed_bytes
from images.torch.runtime.formats import as_sequence
from images.torch.sensitivity.fake_quant import FakeQuantModel, QuantizedLayer
from shared.data import samples
from shared.data.samples import LARGEST_KEPT, Array, Batch
from shared.data.subset import Subset
from shared.sensitivity.evaluator import Evaluator
from shared.sensitivity.layer_errors import Answers

BATCH = 50  # samples: the outputs of all layers are in memory twice


class Ablation:
    """A float model and its quantized counterparts on the same samples.

    `layers` are the quantized layers; `evaluator` has the float model's answers.
    """

    def __init__(self, trial_models: TrialModels, subset: Subset) -> None:
        self.trial_models, self.subset = trial_models, subset
        self.fake_quant = FakeQuantModel(trial_models)
        self.layers: tuple[QuantizedLayer, ...] = self.fake_quant.layers
        self.about = samples.about(subset.folder)
        self.sample_bytes = 2 * computed_bytes.per_sample_of_call(
            trial_models.float, subset.folder
        )  # the outputs of all layers, in float and quantized
        self.evaluator = Evaluator(subset, self.collect_answers(trial_models.float))

    def collect_answers(self, module: torch.nn.Module) -> Array:
        """Return a module's evaluated output for all samples, (samples, …)."""
        answers = Answers()
        for batch in self.batches():
            outputs = as_sequence(module(*map(torch.from_numpy, batch)))
            answers.add(samples.select_evaluated([output.numpy() for output in outputs], self.about))
        return answers.all

    def batches(self) -> Iterator[Batch]:
        return self.subset.batches(BATCH, LARGEST_KEPT, self.sample_bytes)

    def answers_with_float_layers(self, excluded: Sequence[str]) -> Array:
        """Return the answers of the real 8-bit model with these layers in float."""
        return self.collect_answers(self.trial_models.quantize(excluded))

    def answers_with_quantized(self, activations: Iterable[QuantizedLayer], weights: Iterable[QuantizedLayer]) -> Array:
        """Return the answers if only these layers' outputs and those layers' weights are quantized."""
        self.fake_quant.select(activations, weights)
        return self.collect_answers(self.fake_quant.module)

    def iterate_outputs(self) -> Iterator[tuple[dict[str, Array], dict[str, Array]]]:
        """Yield by batch the outputs of all layers in float, and with everything quantized."""
        for batch in self.batches():
            self.fake_quant.select((), ())
            exact = self._layer_outputs(batch)
            self.fake_quant.select_all()
            yield exact, self._layer_outputs(batch)

    def _layer_outputs(self, batch: Batch) -> dict[str, Array]:
        self.fake_quant.module(*map(torch.from_numpy, batch))
        return {part.name: part.fake_quant.output.numpy() for part in self.layers}

    def added_distance(self, layer: QuantizedLayer) -> float:
        """Return what the layer adds to the divergence (nats), up to a constant that is the same for all layers.

        It is the mean of what the layer adds to the float model and to the rest. If two layers each break a model,
        keeping one of them in float helps nothing; if errors only add up, one layer alone breaks nothing. The two are
        the first and the last term of the sum that is averaged in the Shapley value.
        """
        alone = self.evaluator.distance(self.answers_with_quantized((layer,), (layer,)))
        return (alone - self.evaluator.distance(self.answers_with_float_layers((layer.name,)))) / 2


def rank_layers(ablation: Ablation) -> tuple[str, ...]:
    """Return the names of the layers, those that add most to the divergence first; among equals, the first in the
    graph.
    """
    return tuple(part.name for part in sorted(ablation.layers, key=ablation.added_distance, reverse=True))
