"""The figures of one variant's outputs, by task: what is summed up or ranked, of each sample."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from driver.analysis import weighted_statistics
from driver.analysis.bootstrap import Doubles, Figure
from shared import numerics, tasks
from shared.data.samples import About, Array

Known = tuple[Array | None, Array | None, Array | None]  # labels, the model's first inputs, the reference's outputs


def figures(about: About, outputs: Array, known: Known, logits: bool | None) -> dict[str, Figure]:
    """Of every task but classification, the headline first."""
    labels, inputs, reference = known
    if about.task == "reconstruction":
        assert inputs is not None
        return reconstruction(squared_error(outputs, inputs), labels)
    if about.task == "fidelity":
        assert reference is not None
        return fidelity(about, outputs, reference)
    assert labels is not None
    if about.task == "multilabel":
        return multilabel(numerics.flatten_samples(outputs), tasks.flag_positives(outputs, labels), logits)
    return regression(numerics.flatten_samples(outputs), tasks.match_labels(outputs, labels))


def multilabel(outputs: Array, positive: NDArray[np.bool_], logits: bool | None) -> dict[str, Figure]:
    logits = numerics.are_logits(outputs) if logits is None else logits
    found = outputs > (0.0 if logits else 0.5)
    return {
        "map": weighted_statistics.mean_average_precision(outputs, positive),
        "f1": weighted_statistics.f1(found, positive, macro=False),
        "f1_macro": weighted_statistics.f1(found, positive, macro=True),
    }


def regression(outputs: Array, exact: Array) -> dict[str, Figure]:
    absolute = [np.abs(one - other).mean(axis=1) for one, other in pairs_of_blocks(outputs, exact)]
    if numerics.count_values(exact) > numerics.MANY_VALUES:
        r_squared = weighted_statistics.pooled(*numerics.squared_deviations(outputs, exact))
    else:
        r_squared = weighted_statistics.r_squared(outputs.astype(np.float64), exact.astype(np.float64))
    return {
        "mae": weighted_statistics.mean(np.concatenate(absolute)),
        "rmse": weighted_statistics.root_mean(squared_error(outputs, exact)),
        "r2": r_squared,
    }


def reconstruction(error: Doubles, labels: Array | None) -> dict[str, Figure]:
    found = {"mse": weighted_statistics.mean(error)}
    if labels is None or len(np.unique(labels)) < 2:
        return found
    return {"auc": weighted_statistics.area_under_roc(error, np.asarray(labels.ravel() > 0)), **found}


def squared_error(outputs: Array, inputs: Array) -> Doubles:
    """(n,): the mean over each sample's values."""
    exact = numerics.flatten_samples(tasks.match_inputs(outputs, inputs))
    found = [
        np.square(one - other).mean(axis=1) for one, other in pairs_of_blocks(numerics.flatten_samples(outputs), exact)
    ]
    return np.concatenate(found)


def fidelity(about: About, outputs: Array, reference: Array) -> dict[str, Figure]:
    powers = [  # of the reference, of the outputs, of what differs; and the product of the two
        np.stack([np.square(known), np.square(found), np.square(found - known), known * found]).sum(axis=2)
        for found, known in pairs_of_blocks(numerics.flatten_samples(outputs), numerics.flatten_samples(reference))
    ]
    signal, power, noise, product = np.concatenate(powers, axis=1)
    return {
        "sqnr": weighted_statistics.decibels(signal, noise),
        "cosine": weighted_statistics.cosine(signal, power, product),
        "agreement": weighted_statistics.mean(tasks.measure_agreement(about, outputs, reference)),
    }


def pairs_of_blocks(one: Array, other: Array) -> Iterator[tuple[Doubles, Doubles]]:
    for pair in zip(numerics.iterate_blocks(one), numerics.iterate_blocks(other), strict=True):
        yield pair[0].astype(np.float64), pair[1].astype(np.float64)
