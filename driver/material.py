"""The raw evidence that the page shows and `comparison.json` doesn't hold."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver import layers, outputs
from driver.evidence import Evidence, recipe, variants
from driver.page import Material
from driver.results import Changed
from shared import samples
from shared.sensitivity import Sensitivity
from shared.timing import TWIN

Images = NDArray[np.uint8]


def collect(evidence: Evidence, reference: str, experiment_text: str) -> Material:
    """From what is up to date on the volume."""
    return Material(
        changed=changed(evidence, reference),
        seconds=seconds(evidence),
        test_images=images(evidence, "dataset"),
        calibration_images=images(evidence, "calibration"),
        experiment_text=experiment_text,
        explained=explained(evidence),
    )


def changed(evidence: Evidence, reference: str) -> dict[str, tuple[Changed, ...]]:
    """Of each variant, the images whose top-1 is not the reference's."""
    base, labels = evidence.probabilities(reference), evidence.labels()
    if base is None or labels is None:
        return {}
    found = {}
    for step in variants(evidence.plan):
        own = evidence.probabilities(step.output)
        if own is not None and step.output != reference:
            found[step.output] = tuple(outputs.changed_images(base, own, labels))
    return found


def seconds(evidence: Evidence) -> dict[str, tuple[float, ...]]:
    """Of each variant, every call at batch 1 on one thread, of all passes."""
    found: dict[str, tuple[float, ...]] = {}
    samples = [each for group in evidence.passes().values() for once in group for each in once.samples]
    for each in samples:
        if (each.batch, each.threads) == (1, 1) and not each.variant.endswith(TWIN):
            calls = tuple(second for turn in each.seconds for second in turn)
            found[each.variant] = found.get(each.variant, ()) + calls
    return found


def explained(evidence: Evidence) -> dict[str, Sensitivity]:
    """Of the quantized variants those that `explain` was asked for, and that it could explain."""
    names = [step.output for step in variants(evidence.plan) if recipe(step) != "fp32"]
    return {name: found for name in names if (found := layers.find(evidence, name)) is not None}


def images(evidence: Evidence, artifact: str) -> Images | None:
    """Pixels as they were before preprocessing, mapped: only those that are shown are read."""
    path = evidence.path(artifact)
    if path is None:
        return None
    found: NDArray[Any] = samples.mapped(samples.inputs(path)[0])
    return found if found.dtype == np.uint8 else found.astype(np.uint8)
