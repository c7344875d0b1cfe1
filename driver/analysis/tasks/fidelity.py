"""No labels: how near the outputs are to those of the reference."""

import numpy as np

from driver.analysis import weighted_statistics
from driver.analysis.tasks.base import Computation, Judged
from driver.analysis.tasks.reconstruction import blocks_in_pairs
from shared import numerics, tasks


def compute(judged: Judged) -> dict[str, Computation]:
    assert judged.reference is not None
    pairs = blocks_in_pairs(numerics.flatten_samples(judged.outputs), numerics.flatten_samples(judged.reference))
    powers = [
        np.stack([np.square(exact), np.square(outputs), np.square(outputs - exact), exact * outputs]).sum(axis=2)
        for outputs, exact in pairs
    ]
    signal, power, noise, product = np.concatenate(powers, axis=1)  # each (samples,)
    return {
        "sqnr": weighted_statistics.decibels(signal, noise),
        "cosine": weighted_statistics.cosine(signal, power, product),
        "agreement": weighted_statistics.mean(tasks.measure_agreement(judged.about, judged.outputs, judged.reference)),
    }


def check(judged: Judged) -> None:
    """Whatever has the reference's shape can be held against it."""
