"""Vectors that are compared by their cosine: nearest neighbours of the same label, or pairs with scores.

Of labels the recall at k: is one of the k samples nearest to a sample of its own label? The samples are a fixed
collection, of which each is a query once; one whose label no other sample has is part of the collection alone. Samples
that are near to each other answer alike: those of one label are a group (images/keras/data/embedding_labels.py). Of
pairs the correlation of cosines and scores.
"""

import numpy as np

from driver.analysis import weighted_statistics
from driver.analysis.tasks.base import Computation, EvaluatedOutput, Indices, TaskMetrics
from shared import embeddings
from shared.data.samples import About, Array
from shared.errors import CrossquantError

NEAREST = (1, 5, 10)


def compute(output: EvaluatedOutput) -> dict[str, Computation]:
    assert output.labels is not None
    if embeddings.has_pairs(output.labels):
        return compute_correlations(output.outputs, output.labels)
    ranks = embeddings.rank_nearest_mates(output.outputs, output.labels)
    return {f"recall{k}": np.asarray(ranks < k) for k in NEAREST if k == 1 or k < len(output.outputs) - 1}


def compute_correlations(outputs: Array, labels: Array) -> dict[str, Computation]:
    members, scores = embeddings.find_pairs(labels)
    cosines = embeddings.compare_pairs(outputs, members)
    metrics = {"spearman": weighted_statistics.spearman, "pearson": weighted_statistics.pearson}
    return {
        name: weighted_statistics.of_pairs(metric(cosines, scores), members, len(labels))
        for name, metric in metrics.items()
    }


def check(output: EvaluatedOutput) -> None:
    labels = output.labels
    if labels is None:
        return
    embeddings.check_outputs(output.outputs, labels)
    units = embeddings.find_pairs(labels)[0] if embeddings.has_pairs(labels) else embeddings.find_queries(labels)
    if not len(units):
        raise CrossquantError("no two test samples belong together: give pairs, or several samples of a label")


def find_counted(labels: Array) -> Indices | None:
    """(queries,): the samples that have another one of their label; None of pairs, whose metrics count nothing."""
    return None if embeddings.has_pairs(labels) else embeddings.find_queries(labels)


def name_headline(about: About) -> str:
    """By the shape of the labels."""
    return "spearman" if about.labels is not None and about.labels.shape else "recall1"


METRICS = TaskMetrics(compute, check, find_counted=find_counted, name_headline=name_headline)
