"""Outputs that were moved by a known amount, and the definitions written out."""

import dataclasses
import json
import math

import numpy as np
import pytest
from scipy.stats import entropy

from driver.analysis import output_drift
from driver.analysis.results import Changed
from shared import numerics

REFERENCE = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.5, 0.25, 0.25]], np.float32)
VARIANT = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.1, 0.8, 0.1], [0.45, 0.3, 0.25]], np.float32)
LABELS = np.array([0, 1, 2, 1], np.uint8)


def made(images, classes, seed=1, noise=0.05):
    """(reference, variant) whose rows sum to 0.99..1.01."""
    random = np.random.default_rng(seed)
    rows = random.dirichlet([0.5] * classes, images) * random.uniform(0.99, 1.01, (images, 1))
    return rows.astype(np.float32), np.abs(rows + random.normal(0, noise, rows.shape)).astype(np.float32)


def compute_drift(reference, variant):
    logits = numerics.are_logits(reference)
    return output_drift.compute_class_drift(
        output_drift.ClassOutputs(reference, logits), output_drift.ClassOutputs(variant, logits)
    )


def pair(reference, variant):
    return compute_drift(np.array([reference], np.float32), np.array([variant], np.float32))


def describe_changes(reference, variant, labels):
    """Of all samples."""
    changed = np.flatnonzero(reference.argmax(axis=1) != variant.argmax(axis=1))
    return output_drift.describe_changes(changed, reference[changed], variant[changed], labels[changed])


def test_drift_by_hand():
    drift = compute_drift(REFERENCE, VARIANT)
    assert (drift.images, drift.changed, drift.agreement) == (4, 2, 0.5)
    assert drift.max_abs == pytest.approx(0.5)
    assert drift.mean_abs == pytest.approx((0.2 + 0.8 + 1.0 + 0.1) / 12)
    signal, noise = 0.54 + 0.66 + 0.34 + 0.375, 0.02 + 0.32 + 0.38 + 0.005
    assert drift.sqnr_db == pytest.approx(10 * math.log10(signal / noise), abs=1e-5)


@pytest.mark.parametrize(("images", "classes"), [(1, 2), (1, 10), (300, 2), (300, 10)])
def test_drift_by_its_definitions(images, classes):
    reference, variant = made(images, classes)
    p, q = reference.astype(float).tolist(), variant.astype(float).tolist()
    differences = [abs(a - b) for one, other in zip(p, q, strict=True) for a, b in zip(one, other, strict=True)]
    changed = sum(one.index(max(one)) != other.index(max(other)) for one, other in zip(p, q, strict=True))
    rows = list(zip(p, q, strict=True))
    cosines = [sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b) for a, b in rows]
    kl = [sum(x / sum(a) * math.log(x * sum(b) / sum(a) / y) for x, y in zip(a, b, strict=True) if x) for a, b in rows]
    drift = compute_drift(reference, variant)
    signal = sum(x * x for one in p for x in one)
    assert (drift.images, drift.changed) == (images, changed)
    assert drift.agreement == pytest.approx(1 - changed / images)
    assert drift.max_abs == pytest.approx(max(differences))
    assert drift.mean_abs == pytest.approx(sum(differences) / len(differences))
    assert drift.sqnr_db == pytest.approx(10 * math.log10(signal / sum(x * x for x in differences)))
    assert drift.cosine == pytest.approx(sum(cosines) / images)
    assert drift.kl == pytest.approx(sum(kl) / images)


@pytest.mark.parametrize("reference", [REFERENCE, REFERENCE[:1], made(500, 10)[0], made(500, 2)[0]])
def test_identical_outputs_have_no_drift(reference):
    drift = compute_drift(reference, reference.copy())
    assert (drift.changed, drift.agreement, drift.max_abs, drift.mean_abs, drift.kl) == (0, 1.0, 0.0, 0.0, 0.0)
    assert drift.sqnr_db is None
    assert drift.cosine == pytest.approx(1.0)
    assert drift.cosine <= 1


LOGITS = np.random.default_rng(20).normal(0, 3, (40, 7)).astype(np.float32)
NOISE = np.random.default_rng(21).normal(0, 0.01, (40, 7)).astype(np.float32)


@pytest.mark.parametrize(
    "reference",
    [LOGITS, 1 / (1 + np.exp(-LOGITS)), np.abs(NOISE)],
    ids=["logits", "sigmoids", "small probabilities"],
)
def test_kl_is_that_of_scipy(reference):
    """`scipy.stats.entropy` of what class_probabilities and clip_to_positive give."""
    drift = compute_drift(reference, reference + NOISE)
    is_logits = numerics.are_logits(reference)
    rows = [
        numerics.clip_to_positive(numerics.class_probabilities(outputs, is_logits))
        for outputs in (reference, reference + NOISE)
    ]
    assert drift.kl == pytest.approx(entropy(*rows, axis=1).mean(), rel=1e-12)


def test_sqnr_in_decibels():
    """Noise of a tenth of the signal's amplitude is 20 dB below it."""
    assert pair([1.0, 0.0], [0.9, 0.0]).sqnr_db == pytest.approx(20, abs=1e-5)


def test_kl_goes_from_the_reference_to_the_variant():
    assert pair([1.0, 0.0], [0.5, 0.5]).kl == pytest.approx(math.log(2))
    assert pair([0.5, 0.5], [0.75, 0.25]).kl == pytest.approx(0.5 * math.log(4 / 3))


def test_kl_is_finite_where_the_variant_rules_out_the_answer():
    """ln of 1 over the smallest normal float32."""
    assert pair([1.0, 0.0], [0.0, 1.0]).kl == pytest.approx(126 * math.log(2))


def test_kl_is_not_below_nothing_where_rows_sum_to_more_and_to_less():
    drift = pair([0.79, 0.2], [0.81, 0.205])
    assert 0 <= drift.kl < 1e-4


def test_cosine_sees_a_direction_and_no_length():
    assert pair([0.8, 0.2], [0.4, 0.1]).cosine == pytest.approx(1.0)
    assert pair([1.0, 0.0], [0.0, 1.0]).cosine == pytest.approx(0.0, abs=1e-30)
    assert pair([1.0, 0.0], [0.5, 0.5]).cosine == pytest.approx(math.sqrt(0.5))


def test_cosine_is_at_most_one():
    """Unclipped, rounding makes it 1.0000000000000002."""
    row = [0.47, 0.44, 0.08]
    assert pair(row, row).cosine == 1.0


def test_a_row_rounded_to_zeros_has_finite_figures():
    """Eight bits hold no probability under 1/256: with a thousand classes a whole row may be zeros."""
    drift = pair([0.001] * 1000, [0.0] * 1000)
    assert drift.cosine == pytest.approx(1.0)
    assert drift.kl == pytest.approx(0.0, abs=1e-9)
    assert drift.sqnr_db == pytest.approx(0.0)


def test_small_differences_of_float32_are_not_lost():
    """One probability of ten thousand images is off by the last bit."""
    reference, _ = made(10_000, 10)
    variant = reference.copy()
    variant[5000, 3] = np.nextafter(variant[5000, 3], np.float32(2))
    drift = compute_drift(reference, variant)
    assert drift.max_abs == float(variant[5000, 3]) - float(reference[5000, 3]) > 0
    assert drift.mean_abs == pytest.approx(drift.max_abs / 100_000, rel=1e-12, abs=0)
    assert drift.sqnr_db is not None


def test_drift_goes_into_json():
    """Plain numbers: no numpy scalar, no infinity."""
    for drift in (compute_drift(REFERENCE, VARIANT), compute_drift(REFERENCE, REFERENCE)):
        data = dataclasses.asdict(drift)
        assert json.loads(json.dumps(data, allow_nan=False)) == data
    changed = [dataclasses.asdict(one) for one in describe_changes(REFERENCE, VARIANT, LABELS)]
    assert json.loads(json.dumps(changed)) == changed


def test_outputs_of_other_images_are_refused():
    """Numpy would compare one image with all."""
    with pytest.raises(ValueError) as error:
        compute_drift(REFERENCE, VARIANT[:1])
    assert str(error.value) == "outputs of (4, 3) and (1, 3): give both of the same images and classes"


def test_margin_is_best_less_second():
    assert output_drift.compute_margins(REFERENCE) == pytest.approx([0.5, 0.7, 0.1, 0.25])


def test_margin_of_a_tie_and_of_two_classes():
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75]], np.float32)
    assert output_drift.compute_margins(probabilities).tolist() == [0.0, 0.5]
    assert output_drift.compute_margins(probabilities[:1]).tolist() == [0.0]


def test_changed_images_with_the_surest_first():
    assert describe_changes(REFERENCE, VARIANT, LABELS) == [
        Changed(2, 2, 2, 1, pytest.approx(0.1), pytest.approx(0.7)),
        Changed(1, 1, 1, 0, pytest.approx(0.7), pytest.approx(0.1)),
    ]


def test_changed_images_of_equal_margins_keep_their_order():
    """Every third one has the larger margin."""
    variant = np.tile(np.array([[0.75, 0.25], [0.625, 0.375], [0.625, 0.375]], np.float32), (300, 1))
    changes = describe_changes(variant[:, ::-1], variant, np.zeros(900, np.uint8))
    order = [one.index for one in changes]
    assert order == [*range(0, 900, 3), *(index for index in range(900) if index % 3)]


def test_changed_images_are_those_that_drift_counts():
    reference, variant = made(1000, 10)
    labels = np.random.default_rng(2).integers(0, 10, 1000)
    changes = describe_changes(reference, variant, labels)
    margins = [one.variant_margin for one in changes]
    assert len(changes) == compute_drift(reference, variant).changed > 0
    assert margins == sorted(margins, reverse=True)
    for one in changes:
        assert one.label == labels[one.index]
        assert one.reference_answer == reference[one.index].argmax() != one.variant_answer
        assert one.variant_answer == variant[one.index].argmax()


def test_no_changed_images():
    assert describe_changes(REFERENCE, REFERENCE, LABELS) == []
    assert describe_changes(REFERENCE[:1], VARIANT[:1], LABELS[:1]) == []


def test_the_only_output_is_not_compared_again(monkeypatch):
    """The row's own drift has it already."""
    monkeypatch.setattr(output_drift, "compute_value_drift", lambda *_: pytest.fail("it was"))
    assert output_drift.compare_all_outputs([REFERENCE], [VARIANT]) == ()


def test_what_a_drift_needs_of_one_variant_is_computed_once(monkeypatch):
    """And in blocks of any size, with the same result."""
    random = np.random.default_rng(5)
    one, two, three = random.normal(size=(3, 50, 7)).astype(np.float32)
    expected = [compute_drift(one, other) for other in (two, three)]
    described = []

    def count(probabilities):
        described.append(len(probabilities))
        return describe_rows(probabilities)

    describe_rows = output_drift.describe_rows
    monkeypatch.setattr(output_drift, "describe_rows", count)
    monkeypatch.setattr(output_drift.numerics, "CACHED_VALUES", 70)
    base, *others = (output_drift.ClassOutputs(outputs, True) for outputs in (one, two, three))
    assert [output_drift.compute_class_drift(base, other) for other in others] == expected
    assert described == [10] * 15
