"""The raw evidence that the page shows and `comparison.json` doesn't hold."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driver.analysis import explanations, output_drift
from driver.analysis.artifacts import Evidence, recipe, variants
from driver.analysis.evaluation import Answer, Evaluation
from driver.analysis.results import Changed
from shared.data import samples
from shared.data.samples import Array
from shared.measure.timing import REPEAT_SUFFIX
from shared.sensitivity.layer_errors import Sensitivity

Images = NDArray[Any]
CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class PageData:
    """What the page shows of the raw evidence, beyond the comparison.

    `changed` by variant, the surest first; `seconds` by variant, of every call at batch 1 on one thread. Images are
    (n, height, width, channels), mapped; None where the samples are no pictures. `experiment_text` is the YAML;
    `explained` by variant.
    """

    changed: dict[str, tuple[Changed, ...]]
    seconds: dict[str, tuple[float, ...]]
    test_images: NDArray[Any] | None
    calibration_images: NDArray[Any] | None
    experiment_text: str
    explained: dict[str, Sensitivity] = field(default_factory=dict)


def collect_page_data(evaluation: Evaluation, experiment_text: str) -> PageData:
    """From what is up to date on the volume."""
    evidence = evaluation.evidence
    return PageData(
        changed=find_changed_samples(evaluation),
        seconds=collect_call_seconds(evidence),
        test_images=open_images(evidence, "dataset"),
        calibration_images=open_images(evidence, "calibration"),
        experiment_text=experiment_text,
        explained=load_explanations(evidence),
    )


def find_changed_samples(evaluation: Evaluation) -> dict[str, tuple[Changed, ...]]:
    """Of each variant, the images whose top-1 is not the reference's; where there are classes."""
    base = evaluation.answer(evaluation.reference)
    if base is None or not base.truth.spec.has_classes or base.labels is None:
        return {}
    names = [step.output for step in variants(evaluation.evidence.plan) if step.output != evaluation.reference]
    answers = {name: answer for name in names if (answer := evaluation.answer(name)) is not None}
    return {name: tuple(describe_changes(base, answer, base.labels)) for name, answer in answers.items()}


def describe_changes(base: Answer, answer: Answer, labels: Array) -> list[Changed]:
    """Of the samples whose likeliest class is another one than in `base`."""
    changed = np.flatnonzero(base.likeliest != answer.likeliest)
    probabilities = base.compute_probabilities(changed), answer.compute_probabilities(changed)
    return output_drift.describe_changes(changed, *probabilities, labels[changed])


def collect_call_seconds(evidence: Evidence) -> dict[str, tuple[float, ...]]:
    """Of each variant, every call at batch 1 on one thread, of all passes."""
    seconds: dict[str, tuple[float, ...]] = {}
    samples = [each for group in evidence.passes().values() for once in group for each in once.samples]
    for each in samples:
        if (each.batch, each.threads) == (1, 1) and not each.variant.endswith(REPEAT_SUFFIX):
            calls = tuple(second for turn in each.seconds for second in turn)
            seconds[each.variant] = seconds.get(each.variant, ()) + calls
    return seconds


def load_explanations(evidence: Evidence) -> dict[str, Sensitivity]:
    """Of the quantized variants those that `explain` was asked for, and that it could explain."""
    names = [step.output for step in variants(evidence.plan) if recipe(step) != "fp32"]
    return {
        name: sensitivity
        for name in names
        if (sensitivity := explanations.read_explanation(evidence, name)) is not None
    }


def open_images(evidence: Evidence, artifact: str) -> Images | None:
    """(n, height, width, channels) as they are stored, mapped: only those that are shown are read. None of no pictures.

    Four axes are pictures, with their channels first or last; three are only where the samples are called images.
    """
    path = evidence.path(artifact)
    if path is None:
        return None
    images = samples.mapped(samples.inputs(path)[0])
    if images.ndim == 3 and images.dtype == np.uint8 and evidence.about().unit == "images":
        return images[..., None]
    if images.ndim != 4:
        return None
    first = images.shape[1] in CHANNELS and images.shape[3] not in CHANNELS
    return np.moveaxis(images, 1, 3) if first else images
