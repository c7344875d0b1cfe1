"""Every sentence that driver/report/phrases.py writes, word for word. Other tests look at kinds and values."""

from dataclasses import fields, replace
from typing import get_args

import comparisons
import pytest

from driver.analysis import facts
from driver.analysis.facts import (
    AnsweringCpu,
    AnswersOfOtherCpus,
    BusyMachine,
    CannotRun,
    CostOfFloatLayers,
    FarFromFloat,
    FormatConversion,
    LayersInFloat,
    LimitNotHeld,
    MadeByPt2e,
    MetricValue,
    MoreThreadsSlower,
    NotInterleaved,
    OperatorsInFloat,
    Quantization,
    RewrittenGraph,
    SaturatingProducts,
    SharedMachine,
    SlowerThanFloat,
    StageNote,
    ThrottledMachine,
    WorseOnCpu,
)
from driver.analysis.results import Assessment, Baseline, Draws, Gate, Metric, UncheckedGate
from driver.decision.ranking import Choice
from driver.report import phrases

FACT = "run on a CPU (AVX2, no VNNI) where products of uint8 and int8 can saturate"
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
    (MoreThreadsSlower(64, 2, 1.27), "1.3× slower on 2 threads than on one, with 64 rows a call"),
    (MoreThreadsSlower(1, 4, 2.0), "2.0× slower on 4 threads than on one, with 1 row a call"),
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


@pytest.mark.parametrize(("warning", "text"), ROW_WARNINGS)
def test_row_warnings(warning, text):
    assert phrases.row_warning_text(warning, "rows") == text


@pytest.mark.parametrize(("note", "text"), CONVERSION_NOTES)
def test_conversion_notes(note, text):
    assert phrases.conversion_note_text(note) == text


@pytest.mark.parametrize(("warning", "text"), RUN_WARNINGS)
def test_run_warnings(warning, text):
    assert phrases.run_warning_sentence(warning) == text


def test_every_kind_has_a_sentence_here():
    """A kind that is added to a union of driver/analysis/facts.py needs a case above."""
    given = {type(each) for each, _ in (*ROW_WARNINGS, *CONVERSION_NOTES, *RUN_WARNINGS)}
    unions = (facts.RowWarning, facts.ConversionNote, facts.RunWarning)
    kinds = {kind for union in unions for kind in get_args(union)}
    assert given == kinds
    named = [next(field.default for field in fields(kind) if field.name == "kind") for kind in kinds]
    assert len(set(named)) == len(named)


def test_the_remarks_on_a_row_in_one_order():
    """What looks wrong with it, how it was made, and the rest."""
    row = replace(
        comparisons.variant("onnx.int8"),
        warnings=(FarFromFloat(None, 15.0, "onnx.int8", 40.3), LimitNotHeld()),
        conversion_notes=(StageNote("a note"),),
    )
    wrong, note, limit = phrases.row_notes(row, "images")
    assert (wrong, note, limit) == (ROW_WARNINGS[0][1], "a note", phrases.row_warning_text(LimitNotHeld(), "images"))


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


def test_what_was_chosen():
    choice = Choice("onnx", "onnx.int8", "onnx.u8s8", "onnx.u8s8", "", ("onnx.u8s8", "onnx.int8"))
    ranked = comparisons.comparison(dataset={**comparisons.FULL, "test_images": 5000})
    assert phrases.choice_lines([choice], "onnx.u8s8", ranked) == [
        "Chosen on 5,000 training images that calibrate nothing; the test set was not looked at:",
        "onnx: onnx.u8s8 is recommended; best accuracy onnx.int8, least latency onnx.u8s8; "
        "safe on every CPU none; Pareto front onnx.u8s8, onnx.int8",
        "onnx.u8s8 is the overall winner: it is tested first, without a correction for those that lost.",
    ]


DRAWS = Draws((0.8832, 0.8841, 0.8835), 0.8836, 0.00046, -0.0001)
ERRORS = Draws((0.41, 0.43, 0.42), 0.42, 0.01, 0.0123)


def test_draws_are_told_before_the_remarks_on_rows():
    row = replace(comparisons.variant("onnx.u8s8"), draws=DRAWS, warnings=(LimitNotHeld(),))
    other = replace(comparisons.variant("onnx.int8"), draws=DRAWS)
    assert phrases.row_lines(comparisons.comparison(variants=(row, other))) == [
        "onnx.u8s8 over 3 draws: 88.36 ± 0.05 %, 88.32…88.41 (−0.01 points)",
        "onnx.int8 over 3 draws: 88.36 ± 0.05 %, 88.32…88.41 (−0.01 points)",
        f"onnx.u8s8: {phrases.row_warning_text(LimitNotHeld(), 'images')}",
    ]


def test_draws_of_another_metric_have_its_unit():
    error = Metric("mae", 0.41, None, 0.01, None, None, "lower")
    row = replace(comparisons.variant("onnx.u8s8"), metrics=(error,))
    assert phrases.spread(row, ERRORS) == "MAE 0.4200 ± 0.01000, 0.4100…0.4300 (+0.0123)"


DOGS = ("cat", "dog")
GATES = [
    (Gate("a.b", "accuracy", "min", 0.85, 0.84, False), "a.b has accuracy 84 %, must be at least 85 %"),
    (Gate("a.b", "drop_pp", "max", 2.0, 2.53, False), "a.b has drop_pp 2.53 pp, must be at most 2 pp"),
    (
        Gate("a.b", "drop_pp", "max", 0.5, 0.95, False, 0.95),
        "a.b has drop_pp 0.95 pp with 95% confidence, must be at most 0.5 pp",
    ),
    (
        Gate("a.b", "class_drop_pp", "max", 3.0, 4.0, False, label=1),
        "a.b has class_drop_pp 4 pp (class dog), must be at most 3 pp",
    ),
    (
        Gate("a.b", "class_accuracy", "min", 0.7, 0.6, False, label=2),
        "a.b has class_accuracy 60 % (class 2), must be at least 70 %",
    ),
    (
        Gate("a.b", "p50_ms", "max", 0.33, 0.4, False, before=0.3),
        "a.b has p50_ms 0.4 ms (0.3 ms before), must be at most 0.33 ms",
    ),
    (
        Gate("a.b", "throughput", "min", 2e6, 1234567.8, False),
        "a.b has throughput 1234568 samples/s, must be at least 2000000 samples/s",
    ),
    (Gate("a.b", "mae", "max", 1.0, 1.00001, False), "a.b has mae 1.00001, must be at most 1"),
    (Gate("a.b", "sqnr", "min", 30.0, 29.5, False), "a.b has sqnr 29.5 dB, must be at least 30 dB"),
]


@pytest.mark.parametrize(("gate", "text"), GATES)
def test_gates_have_their_unit(gate, text):
    assert phrases.gate_sentence(gate, DOGS) == text


HOLDS, FAILS = Gate("a.b", "p50_ms", "max", 0.5, 0.4, True), Gate("a.b", "p50_ms", "max", 0.3, 0.4, False)
UNCHECKED = UncheckedGate("a.b", "p50_ms")
SUMMARIES = [
    ((HOLDS,), (), "The one gate holds."),
    ((HOLDS, HOLDS), (), "All 2 gates hold."),
    ((HOLDS, FAILS), (), "1 of 2 gates fails."),
    ((FAILS, FAILS), (UNCHECKED,), "2 of 2 gates fail, and 1 gate is not checked."),
    ((), (UNCHECKED, UNCHECKED), "2 gates are not checked."),
]


@pytest.mark.parametrize(("gates", "unchecked", "text"), SUMMARIES)
def test_what_became_of_all_gates(gates, unchecked, text):
    assert phrases.gates_summary(comparisons.comparison(gates=gates, unchecked=unchecked)) == text


def test_what_is_wrong_with_gates():
    lines = phrases.gate_lines(comparisons.comparison(gates=(HOLDS, FAILS), unchecked=(UNCHECKED,)))
    assert lines == [
        ("gate fails", "a.b has p50_ms 0.4 ms, must be at most 0.3 ms"),
        ("gate not checked", "p50_ms of a.b was not measured"),
    ]


def test_which_rows_are_not_held_to_the_gates():
    spared = [replace(FAILS, variant=name, metric=metric) for name in ("a.b", "a.c") for metric in ("p50_ms", "p99_ms")]
    assert phrases.not_held(comparisons.comparison(not_held=tuple(spared))) == (
        "Not held to gates.quantized on this CPU (AVX2, no VNNI), but to gates.saturating: a.b, a.c."
    )
    assert phrases.not_held(comparisons.comparison()) == ""
    assert phrases.not_held_sentence(FAILS) == (
        "not held on this CPU (AVX2, no VNNI): a.b has p50_ms 0.4 ms, must be at most 0.3 ms"
    )


LIMITS = ("p50_ms=10%", "drop_pp=0.5")
BASELINES = [
    (Baseline("old", LIMITS, (HOLDS, HOLDS)), "Against old (p50_ms=10%, drop_pp=0.5): all 2 checks hold.", []),
    (
        Baseline("old", LIMITS[:1], (HOLDS,), cpu="Intel 486"),
        "Against old (p50_ms=10%): the one check holds. Its timings are of another CPU, Intel 486.",
        [],
    ),
    (
        Baseline("old", LIMITS, (HOLDS, FAILS), (UNCHECKED, UncheckedGate("a.b", "drop_pp")), ("a.c",)),
        "Against old (p50_ms=10%, drop_pp=0.5): 1 of 2 checks fails, 2 are not made, 1 variant has no result any more.",
        [
            ("worse than old", "a.c has no result, and had one"),
            ("worse than old", "a.b has p50_ms 0.4 ms, must be at most 0.3 ms"),
            ("not checked against old", "p50_ms of a.b was not measured in both runs"),
            (
                "not checked against old",
                "drop_pp of a.b is not known: the runs did not both answer the same samples",
            ),
        ],
    ),
]


@pytest.mark.parametrize(("baseline", "summary", "lines"), BASELINES)
def test_what_became_of_the_checks_against_another_run(baseline, summary, lines):
    assert phrases.baseline_summary(baseline) == summary
    assert phrases.baseline_lines(comparisons.comparison(), baseline) == lines


BOUND = Assessment("here", "good_enough", "accuracy", "loss", 0.002, -0.001, 0.005, 0.0088, 10_000, 9)
LEFT = Assessment("here", "worse", "sqnr", "value", 31.0, 30.2, 32.1, 40.0, 500, 9)
LEGEND = "loss ≤: at most so much is lost, with 95% confidence; 0.88 pp is tolerated"
LEGENDS = [
    (
        (BOUND, replace(BOUND, outcome="not_shown"), BOUND),
        f"{LEGEND}: ✓ shown good enough, ? not shown",
    ),
    (
        (LEFT,),
        "SQNR ≥: at least so much is left, with 95% confidence; 40.0 dB is asked for: ✗ shown worse",
    ),
    ((), ""),
    ((replace(BOUND, outcome="not_tested"),), f"{LEGEND}: ? not shown"),
    ((replace(BOUND, outcome="not_run"), replace(BOUND, outcome="worse")), f"{LEGEND}: ? not shown, ✗ shown worse"),
]


@pytest.mark.parametrize(("assessments", "text"), LEGENDS)
def test_the_signs_of_the_main_table(assessments, text):
    default = comparisons.unassessed()
    rows = [replace(row, assessments=(each,)) for row, each in zip(default.variants, assessments, strict=False)]
    assert phrases.legend(replace(default, variants=(*rows, *default.variants[len(rows) :]))) == text


def test_float_variants_may_be_asked_for_more_than_quantized_ones():
    default = comparisons.unassessed()
    held = {row.name: LEFT if row.quantized else replace(LEFT, limit=100.0) for row in default.variants[1:]}
    rows = [replace(row, assessments=(held[row.name],)) if row.name in held else row for row in default.variants]
    assert phrases.legend(replace(default, variants=tuple(rows))) == (
        "SQNR ≥: at least so much is left, with 95% confidence; 40.0 dB, 100.0 dB of float variants, is asked for: "
        "✗ shown worse"
    )
