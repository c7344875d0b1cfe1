"""What a quantized model answers with this or that layer in float, or nothing else in 8 bits."""

from collections.abc import Collection, Iterator
from pathlib import Path

import onnx

from images.onnx import computed_bytes
from images.onnx.sensitivity import qdq as schemes
from images.onnx.sensitivity.fake_quant import Switches
from images.onnx.sensitivity.graph_layers import Part, parts
from shared.data import samples
from shared.data.samples import LARGEST_KEPT, Array, Batch
from shared.data.subset import Subset
from shared.measure.predictions import Model
from shared.sensitivity.evaluator import Judge
from shared.sensitivity.layer_errors import Answers

BATCH = 25  # samples: the outputs of all layers are in memory, twice


class Ablation:
    """A float model and its quantized twin on the same samples, with whatever tensors in float.

    `names` are the tensors that the variant quantizes, `parts` its layers."""

    def __init__(self, exact: Path, quantized: Path, subset: Subset, folder: Path) -> None:
        self.model = onnx.load(exact)
        self.scheme = schemes.read(onnx.load(quantized), self.model)
        self.parts = parts(self.model.graph, self.scheme)
        self.switches = Switches(self.model, self.scheme, folder)
        self.names = frozenset(self.switches.names)
        self.subset, self.judged = subset, samples.about(subset.folder).judged
        self.each = 2 * computed_bytes.of(exact, subset.folder)  # as `explain` keeps them: in float and quantized
        self.known: dict[frozenset[str], Array] = {}
        self.judge = Judge(subset, self.answers(()))

    def answers(self, quantized: Collection[str]) -> Array:
        """(samples, …), of the judged output, when these tensors alone are quantized; each set is computed once."""
        key = self.names & frozenset(quantized)
        if key not in self.known:
            self.known[key] = self.of(lambda batch: self.switches.answers(batch, key))
        return self.known[key]

    def of(self, model: Model) -> Array:
        """What any model answers to the same samples."""
        answers = Answers()
        for batch in self.batches():
            answers.add(model(batch)[self.judged])
        return answers.all

    def batches(self) -> Iterator[Batch]:
        return self.subset.batches(BATCH, LARGEST_KEPT, self.each)

    def kept(self, part: Part) -> Array:
        """The answers of the quantized model with this layer alone in float: what it reads, holds and makes."""
        return self.answers(self.names - part.tensors)

    def distance(self, part: Part) -> float:
        """How far (KL, nats) from the float model that is: the lower, the more the layer is to blame."""
        return self.judge.distance(self.kept(part))

    def blame(self, part: Part) -> float:
        """What the layer adds to the divergence (nats): the mean of what it adds to the float model and to the rest.

        Where two layers each break a model, keeping one of them in float mends nothing; where errors only add up, a
        layer alone breaks nothing. The two are the ends of the sum that Shapley's value is the mean of.
        """
        alone = self.judge.distance(self.answers(part.tensors))
        return (alone + self.judge.distance(self.answers(self.names)) - self.distance(part)) / 2


def ranked(ablation: Ablation) -> list[Part]:
    """The layers, those to blame most first; of equals the first in the graph."""
    return sorted(ablation.parts, key=ablation.blame, reverse=True)
