"""Every sentence that driver/report/decision_phrases.py writes, word for word. Other tests look at kinds and values."""

from dataclasses import fields, replace
from typing import get_args

import comparisons
import pytest

from driver.analysis import facts
from driver.analysis.facts import (
    Assessment,
    CalibrationWorse,
    ClassLoses,
    ComparedWith,
    Decision,
    GateFails,
    GateUnchecked,
    LookedBefore,
    MetricValue,
    NoOtherVariant,
    NoResult,
    NotCheckedWithoutVnni,
    NothingBetter,
    NothingShown,
    NothingToCompareWith,
    NoTolerance,
    NotShown,
    NotTimed,
    OnlyFidelityKnown,
    Price,
    ReferenceHasNoAnswers,
    ReferenceUnsound,
    Rejection,
    ShownGoodEnough,
    ShownWorse,
    SlowerThanFloat,
)
from driver.analysis.results import SmallestLoss
from driver.report import decision_phrases

FIDELITY = (MetricValue("sqnr", 31.2), MetricValue("cosine", 0.999), MetricValue("agreement", 0.982))
SHOWN = Assessment(
    "here", "good_enough", "accuracy", "loss", 0.0010, -0.0029, 0.00487, 0.0088, 10_000, 9, lost=110, won=100
)
LOST = replace(SHOWN, outcome="worse", estimate=0.0761, low=0.0702, high=0.082)
UNSURE = replace(SHOWN, outcome="not_shown", estimate=0.0057, low=0.0021, high=0.0093, needed=13_456)
ERROR = Assessment("here", "good_enough", "mae", "loss", 0.0012, -0.001, 0.00512, 0.005, 400, 7)
NEAR = Assessment("here", "good_enough", "sqnr", "value", 34.1, 33.6, 34.7, 30.0, 400, 7)


def there(item, **changes):
    return replace(item, target="haswell", **changes)


SHOWN_TEXTS = [
    ((SHOWN,), "it loses at most 0.49 points of accuracy (0.88 are tolerated)"),
    (
        (SHOWN, there(SHOWN, same_answers=True)),
        "it loses at most 0.49 points of accuracy (0.88 are tolerated), here and bit for bit on haswell",
    ),
    (
        (SHOWN, there(SHOWN, high=0.0071)),
        "it loses at most 0.49 points of accuracy (0.88 are tolerated); on haswell it loses at most 0.71 points of "
        "accuracy (0.88 are tolerated)",
    ),
    (
        (SHOWN, there(SHOWN, same_answers=True), replace(SHOWN, target="nehalem", same_answers=True)),
        "it loses at most 0.49 points of accuracy (0.88 are tolerated), here and bit for bit on haswell and nehalem",
    ),
    ((replace(SHOWN, high=-0.0123),), "it is better by at least 1.23 points of accuracy (0.88 are tolerated)"),
    ((replace(SHOWN, metric="map"),), "it loses at most 0.49 points of mAP (0.88 are tolerated)"),
    (
        (replace(SHOWN, metric="auc", high=0.0007, limit=0.01),),
        "it loses at most 0.0007 of ROC AUC (0.0100 are tolerated)",
    ),
    ((ERROR,), "it adds at most 0.005120 to the MAE (0.005000 are tolerated)"),
    ((NEAR,), "it has SQNR at least 33.6 dB (30.0 dB are required)"),
]
REASONS = [
    (NoResult("unsupported"), "unsupported"),
    (GateFails("drop_pp", "max", 2.0, 2.53), "drop_pp is 2.53 pp, must be at most 2 pp"),
    (GateFails("accuracy", "min", 0.85, 0.84123456), "accuracy is 84.1235 %, must be at least 85 %"),
    (GateFails("p50_ms", "max", 0.5, 0.75), "p50_ms is 0.75 ms, must be at most 0.5 ms"),
    (GateUnchecked("p50_ms"), "its gate on p50_ms could not be checked, since that was not measured"),
    (
        NoTolerance(FIDELITY),
        "nothing says how near to the reference is near enough (SQNR 31.2 dB, cosine 0.99900, agree 98.20 %): "
        "set `tolerance`, such as 30dB",
    ),
    (ShownWorse(LOST), "it loses at least 7.02 points of accuracy (0.88 are tolerated)"),
    (ShownWorse(there(LOST)), "on haswell it loses at least 7.02 points of accuracy (0.88 are tolerated)"),
    (
        ShownWorse(replace(ERROR, outcome="worse", low=0.0061)),
        "it adds at least 0.006100 to the MAE (0.005000 are tolerated)",
    ),
    (
        ShownWorse(replace(NEAR, outcome="worse", high=26.4)),
        "it has SQNR at most 26.4 dB (30.0 dB are required)",
    ),
    (
        NotShown(UNSURE),
        "it loses 0.57 points of accuracy, and 0.93 can't be ruled out (0.88 are tolerated); about 13,000 images "
        "would show it",
    ),
    (
        NotShown(replace(UNSURE, needed=None, estimate=0.0091)),
        "it loses 0.91 points of accuracy, and 0.93 can't be ruled out (0.88 are tolerated)",
    ),
    (
        NotShown(replace(UNSURE, estimate=-0.002)),
        "it is better by 0.20 points of accuracy, and 0.93 can't be ruled out (0.88 are tolerated); about 13,000 "
        "images would show it",
    ),
    (NotShown(replace(UNSURE, needed=None, high=None)), "it loses 0.57 points of accuracy"),
    (
        NotShown(replace(ERROR, outcome="not_shown", low=None, high=None, needed=100)),
        "it adds 0.001200 to the MAE; about 100 images would show it",
    ),
    (
        NotShown(replace(NEAR, outcome="not_shown", low=None, high=None, needed=100)),
        "it has SQNR 34.1 dB (30.0 dB are required); about 100 images would show it",
    ),
    (
        NotShown(there(UNSURE, needed=None)),
        "on haswell it loses 0.57 points of accuracy, and 0.93 can't be ruled out (0.88 are tolerated)",
    ),
    (
        NotShown(replace(ERROR, outcome="not_shown", needed=812)),
        "it adds 0.001200 to the MAE, and 0.005120 can't be ruled out (0.005000 are tolerated); about 810 images would "
        "show it",
    ),
    (
        NotShown(replace(NEAR, outcome="not_shown", estimate=30.4, low=29.8)),
        "it has SQNR 30.4 dB, at least 29.8 dB (30.0 dB are required)",
    ),
    (NotShown(there(SHOWN, outcome="not_run")), "on haswell it was not run: name it under `recommended`"),
    (
        NotShown(replace(SHOWN, outcome="not_tested")),
        "not tested, since a variant before it in the sequence is not shown to be good enough",
    ),
    (NothingToCompareWith(), "there is nothing to hold it against"),
    (NotTimed(), "it was not timed"),
    (ComparedWith("keras.fp32", Price(0.5, False, 4.0)), "2.0× slower and 4.0× smaller than keras.fp32"),
    (
        ComparedWith("onnx.uint8", Price(1.04, True, 0.5)),
        "no faster (within the noise) and 2.0× larger than onnx.uint8",
    ),
    (ComparedWith("onnx.uint8", Price(0.99, True, 1.04)), "no faster (within the noise) than onnx.uint8"),
    (ComparedWith("onnx.uint8", Price(None, False, 0.25)), "4.0× larger than onnx.uint8"),
    (
        ComparedWith("onnx.uint8", Price(0.5, False, 4.0, 0.45, 0.625)),
        "2.0× slower and 4.0× smaller than onnx.uint8",
    ),
    (
        ComparedWith("onnx.uint8", Price(0.5, False, 1.0, 0.4, 0.625, doubtful=True)),
        "1.6 to 2.5× slower (the machine was busy) than onnx.uint8",
    ),
    (
        ComparedWith("onnx.uint8", Price(2.0, False, 2.0, 1.5, 2.75, doubtful=True)),
        "1.5 to 2.8× faster (the machine was busy) and 2.0× smaller than onnx.uint8",
    ),
    (
        ComparedWith("onnx.uint8", Price(1.2, False, 1.0, 0.8, 1.6, doubtful=True)),
        "it is not known to be faster or smaller than onnx.uint8",
    ),
    (ComparedWith("onnx.uint8", Price(2.0, False, 2.0, doubtful=True)), "2.0× smaller than onnx.uint8"),
    (ComparedWith("onnx.uint8", Price(None, False, None)), "it is not known to be faster or smaller than onnx.uint8"),
]
CAVEATS = [
    (
        OnlyFidelityKnown("keras.fp32"),
        "There are no labels: only fidelity to keras.fp32 is known, not whether its answers are right.",
    ),
    (
        NotCheckedWithoutVnni(),
        "onnx.u8s8 was not checked on a CPU without VNNI (AVX2, no VNNI), where its products can saturate: "
        "add such a CPU to `targets`, for example haswell.",
    ),
    (
        ClassLoses(5, 3.0, 7e-7, 0),
        "onnx.u8s8 loses 3.0 points of the class dog (p < 0.001, corrected over the classes).",
    ),
    (
        ClassLoses(12, 3.0, 0.0123, 2),
        "onnx.u8s8 loses 3.0 points of the class 12 (p = 0.012, corrected over the classes), and 2 more classes lose.",
    ),
    (
        ClassLoses(5, 3.0, 0.0123, 1),
        "onnx.u8s8 loses 3.0 points of the class dog (p = 0.012, corrected over the classes), and one more class "
        "loses.",
    ),
    (
        CalibrationWorse(0.0312, 0.0148, 0.01),
        "Its confidence is less well calibrated: the expected calibration error is 3.1 %, that of the reference 1.5 %.",
    ),
    (
        LookedBefore(4),
        "These test images have been compared 4 times, with other variants or settings: what was chosen by looking at "
        "them looks better than it is.",
    ),
]
OUTCOMES = [
    (None, ["No verdict."]),
    (
        Decision("ship_nothing", "", (ReferenceUnsound(),), (Rejection("onnx.int8", (NoResult("failed"),)),)),
        [
            "Ship nothing: the reference has no result or fails a gate, and nothing else is shown to be good enough.",
            "Not onnx.int8: failed.",
        ],
    ),
    (Decision("ship_nothing", "", (ReferenceHasNoAnswers(),)), ["Ship nothing: the reference has no answers."]),
    (
        Decision("keep_reference", "keras.fp32", (NoOtherVariant(),)),
        ["Keep keras.fp32: no other variant has a result."],
    ),
    *(
        (
            Decision("keep_reference", "keras.fp32", (NothingBetter(preferred),)),
            [f"Keep keras.fp32: nothing that is shown to be good enough is {better}."],
        )
        for preferred, better in (
            ("latency", "faster"),
            ("throughput", "faster"),
            ("size", "smaller"),
            ("accuracy", "better"),
        )
    ),
    (
        Decision("keep_reference", "keras.fp32", (NothingShown("", None),)),
        ["Keep keras.fp32: nothing else is shown to be good enough."],
    ),
    (
        Decision("keep_reference", "keras.fp32", (NothingShown("onnx.u8s8", 1234),)),
        ["Keep keras.fp32: nothing else is shown to be good enough; of onnx.u8s8, about 1,200 images would show it."],
    ),
    (
        Decision(
            "ship",
            "onnx.int8",
            (ShownGoodEnough((SHOWN,)), ComparedWith("keras.fp32", Price(4.0, False, 4.0))),
            (Rejection("keras.fp32", (ComparedWith("onnx.int8", Price(0.25, False, 0.25)),)),),
            (OnlyFidelityKnown("keras.fp32"),),
        ),
        [
            f"Ship onnx.int8: {SHOWN_TEXTS[0][1]}; 4.0× faster and 4.0× smaller than keras.fp32 on this CPU.",
            CAVEATS[0][1],
            "Not keras.fp32: 4.0× slower and 4.0× larger than onnx.int8.",
        ],
    ),
    (
        Decision(
            "ship",
            "onnx.uint8",
            (
                ShownGoodEnough((SHOWN,)),
                ComparedWith("keras.fp32", Price(None, False, 1.0)),
                SlowerThanFloat("onnx.fp32", 1.3),
            ),
            (
                Rejection(
                    "onnx.int8", (ComparedWith("onnx.uint8", Price(0.4, False, 1.0)), SlowerThanFloat("onnx.fp32", 1.3))
                ),
            ),
        ),
        [
            f"Ship onnx.uint8: {SHOWN_TEXTS[0][1]}. onnx.uint8 is 1.3× slower than onnx.fp32, its float baseline.",
            "Not onnx.int8: 2.5× slower than onnx.uint8. onnx.int8 is 1.3× slower than onnx.fp32, its float baseline.",
        ],
    ),
]


@pytest.mark.parametrize(("assessments", "text"), SHOWN_TEXTS)
def test_what_is_shown(assessments, text):
    assert decision_phrases.reason_text(ShownGoodEnough(assessments), "images") == text


@pytest.mark.parametrize(("reason", "text"), REASONS)
def test_why_not(reason, text):
    assert decision_phrases.rejection_sentence(Rejection("onnx.x", (reason,)), "images") == f"Not onnx.x: {text}."


@pytest.mark.parametrize(("caveat", "text"), CAVEATS)
def test_caveats(caveat, text):
    shipped = comparisons.comparison(decision=Decision("ship", "onnx.u8s8", ()))
    assert decision_phrases.caveat_sentence(caveat, shipped) == text


@pytest.mark.parametrize(("decision", "sentences"), OUTCOMES)
def test_decisions(decision, sentences):
    comparison = comparisons.comparison(decision=decision)
    assert decision_phrases.decision_line(comparison) == sentences[0]
    assert decision_phrases.decision_sentences(comparison) == (sentences if decision else [])


SLOW, FAST, FASTEST = "onnx.int8", "onnx.uint8", "torch.x86"  # of 0.297, 0.261 and 0.232 ms


def decide_for(variant, *rejections, caveats=(), preferred="latency"):
    decision = Decision("ship", variant, (ShownGoodEnough((SHOWN,)),), rejections, caveats, preferred=preferred)
    return comparisons.comparison(decision=decision)


def test_what_would_be_chosen_if_it_were_shown_is_a_reason_behind_the_caveats_the_best_first():
    lost, unsure = Rejection(FAST, (ShownWorse(LOST),)), Rejection(FASTEST, (NotShown(UNSURE),))
    slower = Rejection("keras.fp32", (ShownWorse(LOST),))
    compared = decide_for(SLOW, slower, lost, unsure, caveats=(LookedBefore(2),))
    told, best, next_best = decision_phrases.decision_reasons(compared)
    assert told == decision_phrases.caveat_sentence(LookedBefore(2), compared)
    assert [best, next_best] == [decision_phrases.rejection_sentence(each, "images") for each in (unsure, lost)]
    assert decision_phrases.other_sentences(compared) == [decision_phrases.rejection_sentence(slower, "images")]
    assert decision_phrases.decision_sentences(compared) == [
        decision_phrases.decision_line(compared),
        *decision_phrases.decision_reasons(compared),
        *decision_phrases.other_sentences(compared),
    ]


@pytest.mark.parametrize(
    ("preferred", "rejection"),
    [
        ("latency", Rejection(FAST, (GateFails("drop_pp", "max", 2.0, 2.53),))),
        ("latency", Rejection(FAST, (NoResult("failed"),))),
        ("accuracy", Rejection("torch.int8", (NotShown(UNSURE),))),
    ],
    ids=["its gate fails", "it has no result", "it is no better by what is preferred"],
)
def test_what_would_not_be_chosen_anyway_is_no_reason(preferred, rejection):
    compared = decide_for("onnx.u8s8" if preferred == "accuracy" else SLOW, rejection, preferred=preferred)
    assert decision_phrases.decision_reasons(compared) == []
    assert len(decision_phrases.other_sentences(compared)) == 1


def test_by_size_the_smaller_ones_are_reasons():
    smaller, larger = Rejection(FAST, (NotShown(UNSURE),)), Rejection("keras.fp32", (NotShown(UNSURE),))
    compared = decide_for("onnx.u8s8", larger, smaller, preferred="size")
    assert decision_phrases.decision_reasons(compared) == [decision_phrases.rejection_sentence(smaller, "images")]


def test_without_a_decision_nothing_is_said_beside_the_line():
    undecided = comparisons.comparison(decision=None)
    assert decision_phrases.decision_line(undecided) == "No verdict."
    assert decision_phrases.decision_reasons(undecided) == decision_phrases.other_sentences(undecided) == []


def test_a_doubtful_speed_is_a_range_in_the_decision_and_nothing_where_it_says_nothing():
    doubtful = ComparedWith("keras.fp32", Price(4.0, False, 1.0, 3.5, 4.5, doubtful=True))
    decision = Decision("ship", "onnx.int8", (ShownGoodEnough((SHOWN,)), doubtful))
    line = decision_phrases.decision_line(comparisons.comparison(decision=decision))
    assert line == (
        f"Ship onnx.int8: {SHOWN_TEXTS[0][1]}; 3.5 to 4.5× faster (the machine was busy) than keras.fp32 on this CPU."
    )
    unknown = replace(doubtful, price=replace(doubtful.price, speed_low=0.9))
    decision = replace(decision, reasons=(ShownGoodEnough((SHOWN,)), unknown))
    line = decision_phrases.decision_line(comparisons.comparison(decision=decision))
    assert line == f"Ship onnx.int8: {SHOWN_TEXTS[0][1]}."


def test_a_decision_that_is_required():
    assert decision_phrases.required_decision(comparisons.comparison(require="decision")) == ""
    assert decision_phrases.required_decision(comparisons.troubled()) == ""
    undecided = replace(comparisons.troubled(), require="decision")
    assert decision_phrases.required_decision(undecided) == (
        "The experiment requires a decision, and no variant is shown good enough (require: decision)."
    )


@pytest.mark.parametrize(("number", "text"), [(99, "99"), (1234, "1,200"), (13_456, "13,000"), (29_999, "30,000")])
def test_an_estimated_number_has_two_digits(number, text):
    assert decision_phrases.round_count(number) == text


def test_of_many_that_were_skipped_there_is_one_sentence():
    skipped = [Rejection(f"onnx.r{number}", (NoResult("skipped"),)) for number in range(30)]
    assert decision_phrases.rejection_sentences([Rejection("onnx.x", (NotTimed(),)), *skipped], "images") == [
        "Not onnx.x: it was not timed.",
        "Not 30 others: skipped.",
    ]
    assert len(decision_phrases.rejection_sentences(skipped[:2], "images")) == 2


@pytest.mark.parametrize(
    ("smallest", "text"),
    [
        (None, ""),
        (
            SmallestLoss("accuracy", 0.00284, 10_000, 0.025),
            "With 10,000 test rows, a loss of 0.28 points of accuracy or more can be ruled out for a variant that "
            "loses nothing.",
        ),
        (
            SmallestLoss("mae", 0.0123, 400, None),
            "With 400 test rows, a loss of 0.01230 of the MAE or more can be ruled out for a variant that loses "
            "nothing.",
        ),
    ],
)
def test_the_smallest_loss_that_the_samples_can_show(smallest, text):
    assert decision_phrases.smallest_loss_sentence(smallest, "rows") == text


def test_what_can_be_shown_before_anything_has_answered():
    smallest = SmallestLoss("accuracy", 0.01012, 2_000, 0.025)
    assert decision_phrases.planned_loss_sentence(smallest, "rows", 11) == (
        "With 2,000 test rows, a loss of 1.01 points of accuracy or more can be ruled out for 11 variants that lose "
        "nothing, if 2.5 % of their answers differ."
    )
    assert decision_phrases.planned_loss_sentence(None, "rows", 11) == ""


def test_every_kind_has_a_sentence_here():
    """A kind that is added to a union of driver/analysis/facts.py needs a case above."""
    given = {ShownGoodEnough, *(type(each) for each, _ in (*CAVEATS, *REASONS))}
    given |= {type(reason) for decision, _ in OUTCOMES if decision for reason in decision.reasons}
    kinds = {kind for union in (facts.Caveat, facts.Reason) for kind in get_args(union)}
    assert given == kinds
    named = [next(field.default for field in fields(kind) if field.name == "kind") for kind in kinds]
    assert len(set(named)) == len(named)


def test_the_decision_on_the_rows_of_the_default_experiment():
    assert decision_phrases.decision_sentences(comparisons.comparison()) == [
        "Ship onnx.u8s8: it loses at most 0.44 points of accuracy (0.88 are tolerated); 6.2× faster and 4.0× smaller "
        "than keras.fp32 on this CPU.",
        "Not keras.fp32: 6.2× slower and 4.0× larger than onnx.u8s8.",
        "Not onnx.fp32: 1.8× slower and 3.0× larger than onnx.u8s8.",
        "Not torch.fp32: 4.7× slower and 3.0× larger than onnx.u8s8.",
        "Not onnx.int8: it loses 0.60 points of accuracy, and 1.05 can't be ruled out (0.88 are tolerated); about "
        "43,000 images would show it.",
        "Not onnx.uint8: it loses 0.55 points of accuracy, and 0.98 can't be ruled out (0.88 are tolerated); about "
        "29,000 images would show it.",
        "Not torch.int8: it loses 0.57 points of accuracy, and 0.99 can't be ruled out (0.88 are tolerated); about "
        "32,000 images would show it.",
        "Not torch.x86: it loses 0.57 points of accuracy, and 0.99 can't be ruled out (0.88 are tolerated); about "
        "32,000 images would show it.",
        "Not torch.uint8: unsupported.",
    ]
