"""The accuracy that NNCF's accuracy control goes by."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from images.openvino.samples import Samples
from images.openvino.session import ov
from shared.images import LABELS, Floats
from shared.progress import report

BATCH = 50
Item = tuple[list[Floats], NDArray[Any]]


@dataclass(frozen=True)
class Labelled:
    """The batches of the artifact `folder`, each with its labels."""

    folder: Path

    def __len__(self) -> int:
        return len(Samples(self.folder, BATCH))

    def __iter__(self) -> Iterator[Item]:
        labels = np.load(self.folder / LABELS)
        for number, batch in enumerate(Samples(self.folder, BATCH)):
            yield batch, labels[number * BATCH : (number + 1) * BATCH]


@dataclass
class Validation:
    """Called by NNCF with a model and items; remembers each accuracy on all of them, the float model's first."""

    items: Labelled
    trials: int
    accuracies: list[float] = field(default_factory=list)

    def __call__(self, model: ov.CompiledModel, items: Iterable[Item]) -> tuple[float, None]:
        """(accuracy, nothing for each item: NNCF then asks item by item)"""
        request = model.create_infer_request()
        found = [(request.infer(batch, share_inputs=True)[0].argmax(axis=1), labels) for batch, labels in items]
        answers, labels = (np.concatenate(part) for part in zip(*found, strict=True))
        accuracy = float((answers == labels).mean())
        if len(found) == len(self.items):
            self.accuracies.append(accuracy)
            report(len(self.accuracies), self.trials + 1)
        return accuracy, None
