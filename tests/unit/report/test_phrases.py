"""Every sentence that driver/report/phrases.py writes, word for word. Other tests look at kinds and values."""

from dataclasses import fields, replace
from typing import get_args

import comparisons
import pytest
from thorough import scored_layer

from driver.analysis import facts
from driver.analysis.facts import (
    Alternative,
    AnsweringCpu,
    AnswersOfOtherCpus,
    BusyMachine,
    CannotRun,
    ComparedWith,
    CostOfFloatLayers,
    Decision,
    FarFromFloat,
    FloatTooFar,
    FormatConversion,
    GateFails,
    HoldsOnCpu,
    LayersInFloat,
    LimitNotHeld,
    LosesOnCpu,
    MadeByPt2e,
    MetricValue,
    NearEnough,
    NegligiblyWorse,
    NoCandidate,
    NoFidelityGate,
    NoOtherVariant,
    NoResult,
    NothingFaster,
    NothingToCompareWith,
    NotInterleaved,
    NotSignificantlyWorse,
    NotTimed,
    OnlyFidelityKnown,
    OperatorsInFloat,
    PairedDifference,
    Price,
    Quantization,
    ReferenceHasNoAnswers,
    Rejection,
    RewrittenGraph,
    SaturatingProducts,
    SharedMachine,
    SignificantlyWorse,
    SlowerThanFloat,
    StageNote,
    ThrottledMachine,
    TooFewSamples,
    WorseOnCpu,
)
from driver.decision.ranking import Choice
from driver.report import phrases
from shared.sensitivity.layer_errors import Diagnosis, Sensitivity

A_LITTLE = PairedDifference("accuracy", -0.0006, -0.0031, 0.0019, 0.69)
MUCH = PairedDifference("accuracy", -0.076, -0.082, -0.07, 5e-9)
FIDELITY = (MetricValue("sqnr", 31.2), MetricValue("cosine", 0.999), MetricValue("agreement", 0.982))
NEAR = "(SQNR 31.2 dB, cosine 0.99900, agree 98.20 %)"
FACT = "run on a CPU (AVX2, no VNNI) where products of uint8 and int8 can saturate"
HINT = "Where such CPUs exist, ship a recipe with reduce_range, or with uint8 activations and weights."
ROW_WARNINGS = [
    (
        FarFromFloat(None, 15.0, "onnx.int8", 40.3),
        "it is much further from float than rounding explains: 15.0 dB, 40.3 dB in onnx.int8 (SQNR): "
        "its graph or its ranges may be wrong, or its sums too wide for this CPU",
    ),
    (
        FarFromFloat(1, 20.0, "onnx.b", None),
        "its output 1 is much further from float than rounding explains: 20.0 dB, no difference in onnx.b (SQNR): "
        "its graph or its ranges may be wrong, or its sums too wide for this CPU",
    ),
    (SaturatingProducts("onnx.uint8", {}), f"{FACT}: take onnx.uint8, which answers alike on every CPU"),
    (
        SaturatingProducts("", {"reduce_range": True}),
        f"{FACT}: a recipe with reduce_range: true answers alike on every CPU",
    ),
    (SaturatingProducts("", {}), FACT),
    (SlowerThanFloat("onnx.fp32", 1.27), "1.3× slower than onnx.fp32, its float baseline"),
    (LayersInFloat(("conv1", "block.2/add")), "2 of its layers stayed in float: conv1, block.2/add"),
    (LimitNotHeld(), "no choice of layers held max_drop_pp within the trials: this is the best that there was"),
    (
        WorseOnCpu("haswell", "accuracy", 0.842, 0.8805, 2000, 0.914),
        "84.2 % on haswell, 88.0 % here, on the same 2,000 rows (same answer on 91.4 %)",
    ),
    (
        WorseOnCpu("haswell", "mae", 1.5, 0.5, 2000, None),
        "MAE 1.500 on haswell, MAE 0.5000 here, on the same 2,000 rows",
    ),
    (CannotRun("nehalem", "no AVX2"), "can't run on nehalem: no AVX2"),
    (
        CostOfFloatLayers("onnx.int8", MetricValue("accuracy", 0.004), 1.25, 1.2),
        "against onnx.int8, which has none in float: +0.40 points, 1.25 times its size, 1.20 times its latency",
    ),
    (
        CostOfFloatLayers("onnx.int8", None, None, 1.2),
        "against onnx.int8, which has none in float: 1.20 times its latency",
    ),
]
CONVERSION_NOTES = [
    (StageNote("SimpleRNN 'rnn' is unrolled: 12 steps"), "SimpleRNN 'rnn' is unrolled: 12 steps"),
    (MadeByPt2e("can't trace Loop_5"), "FX graph mode refused it (can't trace Loop_5): made by PT2E instead"),
    (RewrittenGraph(("a",)), "made from a rewritten graph: a"),
    (RewrittenGraph(("a", "b")), "made from a rewritten graph: a; b"),
    (RewrittenGraph(("a", "b", "c")), "made from a rewritten graph: a; b and 1 more"),
    (OperatorsInFloat(3, 10), "3 of 10 convolutions and matrix products stay in float"),
]
RUN_WARNINGS = [
    (BusyMachine(0.25), "Busy machine: other processes kept up to 0.2 cores busy during the timings."),
    (SharedMachine(0.034), "Shared machine: the hypervisor took up to 3% of the CPU time during the timings."),
    (
        ThrottledMachine(),
        "Throttled machine: some CPUs ran slower than others by a fifth or more during the timings.",
    ),
    (
        NotInterleaved(),
        "The images were timed one after the other, not in turn: a drift of the machine is not evened out.",
    ),
    (
        AnswersOfOtherCpus((AnsweringCpu("", ()), AnsweringCpu("Some CPU", ("avx2", "avx512f")))),
        "Answers of another CPU than this one, by its 8-bit instructions: Some CPU (avx2, avx512f); unnamed (none).",
    ),
]
CAVEATS = [
    (
        OnlyFidelityKnown("keras.fp32"),
        "There are no labels: only fidelity to keras.fp32 is known, not whether its answers are right.",
    ),
    (
        TooFewSamples(2200, 1.5, 10234, 0.8),
        "These 2,200 test images are too few to tell a drop of 1.5 points, which the gate allows: "
        "about 10,234 would tell, with a power of 80%.",
    ),
    (
        HoldsOnCpu("haswell", "accuracy", 0.879, 0.88, 2000),
        "On haswell onnx.u8s8 loses nothing: 87.9 % there, 88.0 % here, on the same 2,000 images.",
    ),
    (
        LosesOnCpu("haswell", "accuracy", 0.842, 0.88, 2000, None),
        f"On haswell onnx.u8s8 loses: 84.2 % there, 88.0 % here, on the same 2,000 images. {HINT}",
    ),
    (
        LosesOnCpu(
            "haswell",
            "accuracy",
            0.842,
            0.88,
            2000,
            Alternative("onnx.uint8", Price(0.4, False, 2.0), MetricValue("accuracy", -0.004)),
        ),
        "On haswell onnx.u8s8 loses: 84.2 % there, 88.0 % here, on the same 2,000 images. Where such CPUs exist, ship "
        "onnx.uint8, which loses nothing there: 2.5× slower, 2.0× smaller, −0.40 points.",
    ),
    (
        LosesOnCpu(
            "haswell", "mae", 1.5, 0.5, 20, Alternative("onnx.a", Price(None, False, None), MetricValue("mae", 0.012))
        ),
        "On haswell onnx.u8s8 loses: MAE 1.500 there, MAE 0.5000 here, on the same 20 images. Where such CPUs exist, "
        "ship onnx.a, which loses nothing there: MAE +0.0120.",
    ),
    (
        LosesOnCpu("haswell", "accuracy", 0.842, 0.88, 2000, Alternative("onnx.a", Price(1.0, True, 0.9), None)),
        "On haswell onnx.u8s8 loses: 84.2 % there, 88.0 % here, on the same 2,000 images. Where such CPUs exist, ship "
        "onnx.a, which loses nothing there: no faster (within the noise), 1.1× larger.",
    ),
]
REASONS = [
    (NoResult("unsupported"), "unsupported"),
    (GateFails("drop_pp", "max", 2.0, 2.53), "drop_pp is 2.53, at most 2 is asked for"),
    (GateFails("accuracy", "min", 0.85, 0.84123456), "accuracy is 0.8412, at least 0.85 is asked for"),
    (
        NoFidelityGate(FIDELITY),
        f"no gate says how near is near enough {NEAR}: set gates.quantized.sqnr or .agreement",
    ),
    (FloatTooFar(FIDELITY), f"in float it should be nearer to the reference {NEAR}"),
    (SignificantlyWorse(MUCH), "significantly worse (−7.60 points, 95% −8.20…−7.00, p < 0.001)"),
    (NothingToCompareWith(), "there is nothing to hold it against"),
    (NotTimed(), "it was not timed"),
    (ComparedWith("keras.fp32", Price(0.5, False, 4.0)), "2.0× slower and 4.0× smaller than keras.fp32"),
    (
        ComparedWith("onnx.uint8", Price(1.04, True, 0.5)),
        "no faster (within the noise) and 2.0× larger than onnx.uint8",
    ),
    (ComparedWith("onnx.uint8", Price(0.99, True, 1.04)), "no faster (within the noise) than onnx.uint8"),
]
OUTCOMES = [
    (None, ["No verdict."]),
    (
        Decision("ship_nothing", "", (NoCandidate(),), (Rejection("onnx.int8", (NoResult("failed"),)),)),
        ["Ship nothing: no variant is sound and not significantly worse.", "Not onnx.int8: failed."],
    ),
    (Decision("ship_nothing", "", (ReferenceHasNoAnswers(),)), ["Ship nothing: the reference has no answers."]),
    (
        Decision("keep_reference", "keras.fp32", (NothingFaster("accuracy"),)),
        ["Keep keras.fp32: nothing that keeps its accuracy is faster."],
    ),
    (
        Decision("keep_reference", "keras.fp32", (NoOtherVariant(),)),
        ["Keep keras.fp32: no other variant has a result."],
    ),
    (
        Decision("keep_reference", "keras.fp32", (NothingFaster("mae"),)),
        ["Keep keras.fp32: nothing that keeps its MAE is faster."],
    ),
    (
        Decision(
            "ship",
            "onnx.int8",
            (NotSignificantlyWorse(A_LITTLE), ComparedWith("keras.fp32", Price(4.0, False, 4.0))),
            (Rejection("keras.fp32", (ComparedWith("onnx.int8", Price(0.25, False, 0.25)),)),),
            (OnlyFidelityKnown("keras.fp32"),),
        ),
        [
            "Ship onnx.int8: not significantly worse (−0.06 points, 95% −0.31…+0.19, p = 0.69), 4.0× faster and "
            "4.0× smaller than keras.fp32 on this CPU.",
            CAVEATS[0][1],
            "Not keras.fp32: 4.0× slower and 4.0× larger than onnx.int8.",
        ],
    ),
    (
        Decision(
            "ship",
            "onnx.uint8",
            (
                NegligiblyWorse(PairedDifference("mae", 0.000625, 0.0001, 0.00484, 0.0123)),
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
            "Ship onnx.uint8: worse by too little to matter (MAE +0.000625, 95% +0.000100…+0.00484, p = 0.012). "
            "onnx.uint8 is 1.3× slower than onnx.fp32, its float baseline.",
            "Not onnx.int8: 2.5× slower than onnx.uint8. onnx.int8 is 1.3× slower than onnx.fp32, its float baseline.",
        ],
    ),
    (
        Decision("ship", "onnx.a", (NearEnough(FIDELITY), ComparedWith("keras.fp32", Price(2.0, False, None)))),
        [f"Ship onnx.a: near enough to the reference {NEAR}, 2.0× faster than keras.fp32 on this CPU."],
    ),
    (
        Decision("ship", "onnx.a", (NotSignificantlyWorse(None), ComparedWith("keras.fp32", Price(1.01, True, 4.0)))),
        [
            "Ship onnx.a: not significantly worse, no faster (within the noise) and 4.0× smaller than keras.fp32 on "
            "this CPU."
        ],
    ),
]


@pytest.mark.parametrize(("warning", "text"), ROW_WARNINGS)
def test_row_warnings(warning, text):
    assert phrases.row_warning_text(warning, "rows") == text


@pytest.mark.parametrize(("note", "text"), CONVERSION_NOTES)
def test_conversion_notes(note, text):
    assert phrases.conversion_note_text(note) == text


@pytest.mark.parametrize(("warning", "text"), RUN_WARNINGS)
def test_run_warnings(warning, text):
    assert phrases.run_warning_sentence(warning) == text


@pytest.mark.parametrize(("caveat", "text"), CAVEATS)
def test_caveats(caveat, text):
    assert phrases.caveat_sentence(caveat, "onnx.u8s8", "images") == text


@pytest.mark.parametrize(("reason", "text"), REASONS)
def test_why_not(reason, text):
    assert phrases.rejection_sentence(Rejection("onnx.x", (reason,))) == f"Not onnx.x: {text}."


@pytest.mark.parametrize(("decision", "sentences"), OUTCOMES)
def test_decisions(decision, sentences):
    comparison = comparisons.comparison(decision=decision)
    assert phrases.first_sentence(comparison) == sentences[0]
    assert phrases.decision_sentences(comparison) == (sentences if decision else [])


def test_every_kind_has_a_sentence_here():
    """A kind that is added to a union of driver/analysis/facts.py needs a case above."""
    given = {type(each) for each, _ in (*ROW_WARNINGS, *CONVERSION_NOTES, *RUN_WARNINGS, *CAVEATS, *REASONS)}
    given |= {type(reason) for decision, _ in OUTCOMES if decision for reason in decision.reasons}
    unions = (facts.RowWarning, facts.ConversionNote, facts.RunWarning, facts.Caveat, facts.Reason)
    kinds = {kind for union in unions for kind in get_args(union)}
    assert given == kinds
    named = [next(field.default for field in fields(kind) if field.name == "kind") for kind in kinds]
    assert len(set(named)) == len(named)


def test_the_decision_on_the_rows_of_the_default_experiment():
    assert phrases.decision_sentences(comparisons.comparison()) == [
        "Ship onnx.u8s8: not significantly worse (−0.05 points, 95% −0.36…+0.26, p = 1), 6.2× faster and 4.0× smaller "
        "than keras.fp32 on this CPU.",
        "Not keras.fp32: 6.2× slower and 4.0× larger than onnx.u8s8.",
        "Not onnx.fp32: 1.8× slower and 3.0× larger than onnx.u8s8.",
        "Not torch.fp32: 4.7× slower and 3.0× larger than onnx.u8s8.",
        "Not onnx.int8: significantly worse (−0.60 points, 95% −0.95…−0.25, p = 0.0036).",
        "Not onnx.uint8: significantly worse (−0.55 points, 95% −0.89…−0.22, p = 0.0058).",
        "Not torch.int8: significantly worse (−0.57 points, 95% −0.90…−0.24, p = 0.0034).",
        "Not torch.x86: significantly worse (−0.57 points, 95% −0.90…−0.24, p = 0.0034).",
        "Not torch.uint8: unsupported.",
    ]


def test_a_share_of_another_task_is_in_points_of_it():
    difference = PairedDifference("map", -0.0125, -0.02, -0.005, 0.01)
    assert phrases.difference_text(difference) == " (−1.25 points of mAP, 95% −2.00…−0.50, p = 0.01)"
    assert phrases.difference_text(replace(difference, low=None, high=None)).startswith(" (−1.25 points of mAP, 95% , ")


def test_the_remarks_on_a_row_in_one_order():
    """What looks wrong with it, how it was made, and the rest."""
    row = replace(
        comparisons.variant("onnx.int8"),
        warnings=(FarFromFloat(None, 15.0, "onnx.int8", 40.3), LimitNotHeld()),
        conversion_notes=(StageNote("a note"),),
    )
    wrong, note, limit = phrases.row_notes(row, "images")
    assert (wrong, note, limit) == (ROW_WARNINGS[0][1], "a note", ROW_WARNINGS[7][1])


@pytest.mark.parametrize(
    ("change", "label"),
    [
        (FormatConversion("Keras", "ONNX"), "Keras→ONNX"),
        (Quantization("int8", "uint8", "static"), "FP32→INT8"),
        (Quantization("uint8", "uint8", "static"), "FP32→INT8"),
        (Quantization("int8", "uint16", "static"), "FP32→INT8, INT16 activations"),
        (Quantization("uint8", "int8", "dynamic"), "FP32→INT8, dynamic"),
        (Quantization("int8", "float32", "weights_only"), "FP32→INT8, weights only"),
        (Quantization("float16", "float32", "weights_only"), "FP32→FP16, weights only"),
    ],
)
def test_conversion_steps(change, label):
    assert phrases.change_label(change) == label


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            "weights",
            "Conv_2 (Conv), with outputs from -1.5 to 2000, loses most: its weights are too unlike for so few steps, "
            "and alone bring the accuracy to 45.0%; kept in float, the accuracy is 85.0% instead of 40.0%",
        ),
        (
            "range",
            "Conv_2 (Conv), with outputs from -1.5 to 2000, loses most: that range is too wide for so few steps, and "
            "alone brings the accuracy to 86.0%; kept in float, the accuracy is 85.0% instead of 40.0%",
        ),
        (
            "clipping",
            "Conv_2 (Conv), with outputs from -1.5 to 2000, loses most: 12.0% of them lie beyond the quantized range "
            "and are cut off; kept in float, the accuracy is 85.0% instead of 40.0%",
        ),
        (
            "everywhere",
            "no layer is to blame alone: with the weights in float the accuracy is still 50.0%; the ranges are too "
            "wide everywhere, which a few unusual calibration samples can cause: look at them, leave them out "
            "(ONNX Runtime: outliers: 10), or take 16-bit activations",
        ),
    ],
)
def test_diagnoses(kind, text):
    worst = scored_layer("Conv_2", 0.85, 0.45, 0.86, clipped=0.12)
    diagnosis = Diagnosis(kind, "" if kind == "everywhere" else "Conv_2")
    sensitivity = Sensitivity("onnx.int8", 500, 0.87, 0.4, 0.5, 0.5, 1.0, "", (worst,), diagnosis=diagnosis)
    assert phrases.diagnosis_text(sensitivity) == text


def test_a_diagnosis_of_another_score():
    sensitivity = Sensitivity(
        "onnx.int8",
        500,
        0.9,
        -1.5,
        0.5,
        0.5,
        1.0,
        "",
        (scored_layer("Gemm_1", 0.8, 0.86, -1.5),),
        "R²",
        "noise",
        Diagnosis("range", "Gemm_1"),
    )
    assert phrases.diagnosis_text(sensitivity).endswith(
        "alone brings the R² to -150.0%; kept in float, the R² is 80.0% instead of -150.0%"
    )


def test_no_diagnosis_has_no_text_and_a_sentence_of_an_earlier_version_stays():
    sensitivity = Sensitivity("onnx.int8", 500, 0.9, 0.9, 0.5, 0.5, 1.0, "", ())
    assert phrases.diagnosis_text(sensitivity) == ""
    assert phrases.diagnosis_text(replace(sensitivity, cause="Conv_1 loses it")) == "Conv_1 loses it"


def test_what_was_chosen():
    choice = Choice("onnx", "onnx.int8", "onnx.u8s8", "onnx.u8s8", "", ("onnx.u8s8", "onnx.int8"))
    ranked = comparisons.comparison(dataset={**comparisons.FULL, "test_images": 5000})
    assert phrases.choice_lines([choice], ranked) == [
        "Chosen on 5,000 training images that calibrate nothing; the test set was not looked at:",
        "onnx: onnx.u8s8 is recommended; best accuracy onnx.int8, least latency onnx.u8s8; "
        "safe on every CPU none; Pareto front onnx.u8s8, onnx.int8",
    ]
