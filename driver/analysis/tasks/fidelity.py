"""No labels: how near the outputs are to those of the reference."""

import numpy as np

from driver.analysis import weighted_statistics
from driver.analysis.tasks.base import Computation, EvaluatedOutput, TaskMetrics
from driver.analysis.tasks.reconstruction import blocks_in_pairs
from shared import numerics, tasks


def compute(output: EvaluatedOutput) -> dict[str, Computation]:
    assert output.reference is not None
    pairs = blocks_in_pairs(numerics.flatten_samples(output.outputs), numerics.flatten_samples(output.reference))
    powers = [
        np.stack([np.square(exact), np.square(outputs), np.square(outputs - exact), exact * outputs]).sum(axis=2)
        for outputs, exact in pairs
    ]
    signal, power, noise, product = np.concatenate(powers, axis=1)  # each (samples,)
    return {
        "sqnr": weighted_statistics.decibels(signal, noise),
        "cosine": weighted_statistics.cosine(signal, power, product),
        "agreement": weighted_statistics.mean(tasks.measure_agreement(output.about, output.outputs, output.reference)),
    }


def check(output: EvaluatedOutput) -> None:
    """Whatever has the reference's shape can be compared with it."""


METRICS = TaskMetrics(compute, check)
