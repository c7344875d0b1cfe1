"""The caveats of a decision: what must be known before the file is shipped."""

from dataclasses import replace

import pytest
from variant_makers import make_variant

from driver.analysis.facts import ClassLoses, NotCheckedWithoutVnni, OnlyFidelityKnown
from driver.analysis.results import Interval, Losing, Paired
from driver.decision.caveats import list_caveats

ROW = make_variant("onnx.u8s8", "onnx", "u8s8", accuracy=0.88)
SATURATING = replace(ROW, may_saturate=True)


def caveats(row, targets=("here",), task="classification"):
    return list(list_caveats(row, "keras.fp32", targets, task))


def losing(label, lost, p_holm=0.01):
    return Losing(label, Paired(900 - lost, lost, 0, 100, -lost / 10, Interval(-lost / 10 - 1, 0), p_holm / 10, p_holm))


def test_usually_there_are_none():
    assert caveats(ROW) == []


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        (("here",), True),
        (("here", "neoverse-n1"), True),
        (("here", "haswell"), False),
        (("here", "neoverse-n1", "epyc-milan"), False),
    ],
)
def test_what_may_saturate_must_have_a_target_where_it_would(targets, told):
    assert caveats(SATURATING, targets) == [NotCheckedWithoutVnni()] * told


def test_what_answered_on_such_a_cpu_has_been_checked():
    assert caveats(replace(SATURATING, saturated=True)) == []


def test_without_labels_only_fidelity_is_known():
    assert caveats(ROW, task="fidelity") == [OnlyFidelityKnown("keras.fp32")]
    assert caveats(ROW, task="regression") == []


def test_the_class_that_loses_most_is_told_with_how_many_others_do():
    assert caveats(replace(ROW, losing=(losing(3, 30, 0.001),))) == [ClassLoses(3, 3.0, 0.001, 0)]
    assert caveats(replace(ROW, losing=(losing(3, 30), losing(5, 48, 0.002), losing(7, 20)))) == [
        ClassLoses(5, 4.8, 0.002, 2)
    ]


def test_all_of_them_in_one_order():
    row = replace(SATURATING, losing=(losing(3, 30),))
    assert [each.kind for each in caveats(row, task="fidelity")] == [
        "only_fidelity_known",
        "not_checked_without_vnni",
        "class_loses",
    ]
