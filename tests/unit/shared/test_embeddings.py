"""Nearest neighbours, pairs and rank correlations, against brute force and SciPy."""

import numpy as np
import pytest
from scipy import stats

from shared import embeddings, tasks
from shared.data.samples import About
from shared.errors import CrossquantError

RANDOM = np.random.default_rng(0)


def cosine(one, other):
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    return one @ other / lengths if lengths else 0.0


def rank_by_hand(outputs, labels):
    """One query after the other, each compared with every other sample."""
    ranks = []
    for query, label in enumerate(labels):
        others = [
            (cosine(outputs[query], outputs[other]), labels[other] == label)
            for other in range(len(labels))
            if other != query
        ]
        if any(is_mate for _, is_mate in others):
            nearest = max(similarity for similarity, is_mate in others if is_mate)
            ranks.append(sum(similarity >= nearest - 1e-6 for similarity, is_mate in others if not is_mate))
    return ranks


@pytest.mark.parametrize("values", [4, 2])
@pytest.mark.parametrize("labels", [6, 60])
def test_ranks_are_those_of_brute_force(values, labels, monkeypatch):
    """Values from a coarse grid, so that many samples are equally near; also those that have no mate."""
    monkeypatch.setattr(embeddings, "BLOCK_SIMILARITIES", 1000)  # 13 queries at a time
    random = np.random.default_rng(values + labels)
    outputs = random.integers(-2, 3, (77, values)).astype(np.float32)
    numbers = random.integers(0, labels, 77)
    ranks = embeddings.rank_nearest_mates(outputs, numbers)
    assert len(ranks) == len(embeddings.find_queries(numbers)) <= 77
    assert ranks.tolist() == rank_by_hand(outputs.astype(np.float64), numbers)


def test_the_length_of_a_vector_does_not_matter():
    outputs, labels = RANDOM.normal(size=(40, 5)), np.arange(40) % 8
    scaled = outputs * np.exp(RANDOM.normal(size=(40, 1)))
    assert np.array_equal(embeddings.rank_nearest_mates(outputs, labels), embeddings.rank_nearest_mates(scaled, labels))


def test_a_model_that_always_answers_the_same_finds_nothing():
    labels = np.arange(10) // 2
    assert embeddings.rank_nearest_mates(np.ones((10, 3)), labels).tolist() == [8] * 10
    assert embeddings.rank_nearest_mates(np.zeros((10, 3)), labels).tolist() == [8] * 10
    assert embeddings.rank_nearest_mates(np.full((10, 3), np.nan), labels).tolist() == [8] * 10


def test_a_sample_without_a_mate_is_no_query():
    labels = np.array([7, 3, 7, 5])
    assert embeddings.find_queries(labels).tolist() == [0, 2]
    assert embeddings.find_queries(np.array([1])).tolist() == []
    assert embeddings.rank_nearest_mates(np.ones((1, 3)), np.array([1])).shape == (0,)


def test_pairs_are_found_in_any_order():
    labels = np.array([[9, 0.5], [2, 1.5], [4, 3.0], [2, 1.5], [9, 0.5]])
    members, scores = embeddings.find_pairs(labels)
    assert (members.tolist(), scores.tolist()) == ([[1, 3], [0, 4]], [1.5, 0.5]), "4 has one sample alone"
    outputs = np.array([[1, 0], [1, 1], [5, 5], [2, 0], [0, 3]], np.float32)
    assert embeddings.compare_pairs(outputs, members) == pytest.approx([0.5**0.5, 0])
    assert embeddings.find_pairs(labels[2:3])[0].shape == (0, 2)


@pytest.mark.parametrize("levels", [3, 1000])
def test_spearman_and_pearson_are_those_of_scipy(levels):
    one = RANDOM.integers(0, levels, 80).astype(np.float64)
    other = np.round(one / 2 + RANDOM.normal(0, levels / 4, 80))
    assert embeddings.rank_in_the_middle(one) == pytest.approx(stats.rankdata(one))
    assert embeddings.spearman(one, other) == pytest.approx(stats.spearmanr(one, other)[0])
    assert embeddings.pearson(one, other) == pytest.approx(stats.pearsonr(one, other)[0])


def test_what_does_not_vary_has_no_correlation():
    assert np.isnan(embeddings.spearman(np.ones(5), np.arange(5.0)))
    assert np.isnan(embeddings.pearson(np.zeros(0), np.zeros(0)))


def test_the_score_for_stages():
    outputs = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [1, 1]])
    about = About(task="embedding")
    together = np.array([0, 0, 1, 2, 1])
    assert tasks.score_outputs(about, outputs, together, None) == pytest.approx(2 / 4)
    assert tasks.describe_score(about, together) == "recall@1"
    pairs = np.array([[0, 5.0], [0, 5.0], [1, 4.0], [1, 4.0]])
    assert tasks.score_outputs(about, outputs[:4], pairs, None) == pytest.approx(0), "both cosines are equal"
    pairs = np.array([[0, 5.0], [1, 4.0], [0, 5.0], [1, 4.0], [2, 3.0], [2, 3.0]])
    apart = np.array([[1, 0], [1, 0], [1, 0.1], [1, 0.5], [1, 0], [0, 1]])
    assert tasks.score_outputs(about, apart, pairs, None) == pytest.approx(1)
    assert tasks.describe_score(about, pairs) == "rank correlation"
    assert tasks.score_outputs(about, apart, np.arange(6), None) == 0, "nothing to find"
    assert tasks.score_outputs(about, apart, None, apart) == 1, "without labels, the agreement with the reference"


@pytest.mark.parametrize(
    ("outputs", "labels", "message"),
    [
        (np.zeros((4, 1)), np.zeros(4), "outputs of .4, 1.: an embedding is a vector"),
        (np.zeros((4, 3)), np.zeros((4, 3)), "labels of .4, 3.: an embedding takes one label a sample"),
    ],
)
def test_what_is_no_embedding_is_refused(outputs, labels, message):
    with pytest.raises(CrossquantError, match=message):
        embeddings.check_outputs(outputs, labels)
