"""What a quantized model answers with this or that layer in float, or nothing else in 8 bits."""

from collections.abc import Iterable, Iterator, Sequence

import torch

from images.torch.quantize.trials import Attempts
from images.torch.runtime import computed_bytes
from images.torch.runtime.formats import several
from images.torch.sensitivity.fake_quant import Part, Switches
from shared.data import samples
from shared.data.samples import LARGEST_KEPT, Array, Batch
from shared.data.subset import Subset
from shared.sensitivity.evaluator import Judge
from shared.sensitivity.layer_errors import Answers

BATCH = 50  # samples: the outputs of all layers are in memory, twice


class Ablation:
    """A float model and its quantized twins on the same samples.

    `parts` are the layers that are quantized; `judge` has what the float model answers."""

    def __init__(self, attempts: Attempts, subset: Subset) -> None:
        self.attempts, self.subset = attempts, subset
        self.switches = Switches(attempts)
        self.parts: tuple[Part, ...] = self.switches.parts
        self.judged = samples.about(subset.folder).judged
        self.each = 2 * computed_bytes.of(
            attempts.float, subset.folder
        )  # the outputs of all layers, in float and quantized
        self.judge = Judge(subset, self.of(attempts.float))

    def of(self, module: torch.nn.Module) -> Array:
        answers = Answers()
        for batch in self.batches():
            answers.add(several(module(*map(torch.from_numpy, batch)))[self.judged].numpy())
        return answers.all

    def batches(self) -> Iterator[Batch]:
        return self.subset.batches(BATCH, LARGEST_KEPT, self.each)

    def kept(self, excluded: Sequence[str]) -> Array:
        """What the real 8-bit model answers with these layers in float."""
        return self.of(self.attempts.quantized(excluded))

    def only(self, activations: Iterable[Part], weights: Iterable[Part]) -> Array:
        """The answers when nothing but these outputs and those weights are quantized."""
        self.switches.set(activations, weights)
        return self.of(self.switches.module)

    def outputs(self) -> Iterator[tuple[dict[str, Array], dict[str, Array]]]:
        """Batch after batch, the outputs of all layers in float and when everything is quantized."""
        for batch in self.batches():
            self.switches.set((), ())
            exact = self._seen(batch)
            self.switches.all()
            yield exact, self._seen(batch)

    def _seen(self, batch: Batch) -> dict[str, Array]:
        self.switches.module(*map(torch.from_numpy, batch))
        return {part.name: part.switch.seen.numpy() for part in self.parts}

    def blame(self, part: Part) -> float:
        """What the layer adds to the divergence (nats): the mean of what it adds to the float model and to the rest.

        Where two layers each break a model, keeping one of them in float mends nothing; where errors only add up, a
        layer alone breaks nothing. The two are the ends of the sum that Shapley's value is the mean of.
        """
        alone = self.judge.distance(self.only((part,), (part,)))
        return (alone - self.judge.distance(self.kept((part.name,)))) / 2


def ranked(ablation: Ablation) -> tuple[str, ...]:
    """The names of the layers, those to blame most first; of equals the first in the graph."""
    return tuple(part.name for part in sorted(ablation.parts, key=ablation.blame, reverse=True))
