"""The same recipes on a CPU with VNNI and on one without: warnings on the rows, gates, and what is said of both.

The CPU is what `cpu.json` beside the answers says, as the stages write it.
"""

from dataclasses import asdict, replace
from io import StringIO
from xml.etree import ElementTree

import comparisons
import pytest
from evidence_makers import Volume, answers, default_experiment, evaluate
from rich.console import Console
from variant_makers import assess, change, make_variant

from driver.analysis import gates
from driver.analysis.facts import AnsweringCpu, GateFails, SaturatingProducts
from driver.analysis.results import Gate, Latency, Metric, Paired
from driver.catalog import declarations
from driver.comparison import compare
from driver.decision import row_warnings
from driver.decision.run_outcome import find_exit_code
from driver.experiment import loader, recipes
from driver.experiment.model import Bound, Gates
from driver.report import junit, markdown, terminal
from driver.report.page import page
from shared.measure import instructions
from shared.measure.instructions import Cpu

AVX2, VNNI, ARM = ("avx2",), ("avx2", "avx512f", "avx512_vnni"), ("asimddp", "i8mm")
SATURATING = "onnx.u8s8"
ALL_SATURATING = {"onnx.u8s8", "onnx.int8"}  # of the recipes of ORDER, those that multiply uint8 by int8 in all bits
STRICT = Gates({}, {"accuracy": Bound(min=0.85)})
OWN = replace(STRICT, saturating={"accuracy": Bound(min=0.6)})

pytestmark = pytest.mark.usefixtures("volumes")


class Host(Volume):
    """A run whose answers are those of a CPU with these instructions; `wrong` has how many each variant gets wrong."""

    def __init__(self, flags, wrong, **changes):
        super().__init__(default_experiment(**changes))
        self.flags, self.wrong = flags, wrong

    def found(self, name):
        return answers(self.wrong.get(name, 10))

    def publish(self, name, files=None, refused="", **changes):
        if name.startswith("predictions.") and self.flags is not None:
            files = {**files, instructions.FILE: asdict(Cpu("Some CPU", self.flags))}
        super().publish(name, files, refused, **changes)


def compared(flags, wrong, limits=OWN, **changes):
    volume = Host(flags, wrong, gates=limits, **changes).whole()
    return compare.compare(evaluate(volume), volume.experiment)


def rows(comparison):
    return {row.name: row for row in comparison.variants}


@pytest.mark.parametrize(
    ("flags", "saturates"),
    [
        (AVX2, True),
        (("avx2", "avx512f"), True),
        (VNNI, False),
        (("avx2", "avx_vnni"), False),
        (("avx2", "amx_int8"), False),
        (ARM, False),
        ((), False),
    ],
)
def test_a_cpu_saturates_that_has_avx2_and_nothing_that_adds_in_32_bits(flags, saturates):
    assert Cpu("", flags).saturates is saturates


@pytest.mark.parametrize("flags", [AVX2, VNNI, ARM, None])
def test_only_on_such_a_cpu_a_row_that_lost_is_told_why(flags):
    variants = rows(compared(flags, {SATURATING: 40, "onnx.uint8": 40}))
    assert {name for name, row in variants.items() if row.saturated} == (ALL_SATURATING if flags == AVX2 else set())
    warned = {
        name for name, row in variants.items() if any(warning.kind == "saturating_products" for warning in row.warnings)
    }
    assert warned == ({SATURATING} if flags == AVX2 else set()), "onnx.uint8 lost as much, and for another reason"


def test_the_cpu_that_answered_counts_not_the_one_that_compares():
    """A row whose answers came from elsewhere, beside others of this host."""
    volume = Host(VNNI, {SATURATING: 40, "torch.int8": 40}, gates=OWN).whole()
    volume.flags = AVX2
    volume.variant(SATURATING, volume.found(SATURATING))
    comparison = compare.compare(evaluate(volume), volume.experiment)
    assert [row.name for row in comparison.variants if row.saturated] == [SATURATING]
    (warning,) = [each for each in comparison.warnings if each.kind == "answers_of_other_cpus"]
    for flags in (AVX2, VNNI):
        assert (AnsweringCpu("Some CPU", flags) in warning.cpus) is (instructions.int8_instructions() != list(flags))


def test_of_answers_of_this_host_nothing_is_said():
    assert compared(tuple(instructions.int8_instructions()), {}).warnings == ()
    assert compared(None, {}).warnings == ()


def test_what_lost_no_more_than_chance_allows_is_not_warned_of():
    row = rows(compared(AVX2, {SATURATING: 11}))[SATURATING]
    assert row.saturated
    assert row.warnings == ()


def test_the_warning_names_what_to_take():
    (warning,) = rows(compared(AVX2, {SATURATING: 40, "onnx.uint8": 12, "onnx.int8": 11}))[SATURATING].warnings
    assert warning == SaturatingProducts("onnx.uint8", {})


def test_of_several_it_names_the_fastest_that_is_not_worse():
    def row(name, p50, lost=0, **changes):
        paired = comparisons.pairs(lost, 0)
        variant = make_variant(
            name, "onnx", name.removeprefix("onnx."), "ok", paired=paired, accuracy=0.8837 - lost / 10_000
        )
        return change(variant, latency_ms=Latency(p50, 1, 1, 9), delta_pp=paired.delta_pp, **changes)

    alike = {"cpu_invariant": True}
    others = [
        row("onnx.fast-and-worse", 0.1, 300, **alike),
        row("onnx.slow", 0.4, **alike),
        row("onnx.good", 0.2, **alike),
    ]
    every = assess([row("onnx.u8s8", 0.1, 1000, saturated=True), *others, row("onnx.x", 0.1)])
    saturated_row, *_ = row_warnings.add_warnings(every, (), {})
    assert saturated_row.warnings == (SaturatingProducts("onnx.good", {}),)


def test_where_no_row_is_better_the_warning_names_the_setting():
    (warning,) = rows(compared(AVX2, {SATURATING: 40, "onnx.uint8": 40, "onnx.int8": 10}))[SATURATING].warnings
    assert warning == SaturatingProducts("", {"reduce_range": True})


def test_a_stage_that_knows_no_safe_setting_leaves_it_at_the_reason():
    paired = Paired(80, 20, 0, 0, -20.0, None, 1e-6)
    paired = replace(paired, interval_pp=comparisons.variant("onnx.int8").paired.interval_pp)
    row = make_variant("onnx.dynamic", "onnx", "dynamic", "ok", accuracy=0.8, saturated=True, paired=paired)
    (warned_row,) = row_warnings.add_warnings(assess([row]), (), {})
    assert warned_row.warnings == (SaturatingProducts("", {}),)


def test_without_labels_nobody_knows_whether_it_lost_and_it_is_told_all_the_same():
    metric = Metric("sqnr", 9.0, None, None, None, None, "higher")
    row = make_variant("onnx.u8s8", "onnx", "u8s8", "ok", metrics=(metric,), saturated=True)
    (warned_row,) = row_warnings.add_warnings([row], (), {})
    assert warned_row.warnings == (SaturatingProducts("", {}),)


@pytest.mark.parametrize("flags", [VNNI, ARM, None])
def test_every_other_cpu_is_held_to_the_gates_on_quantized_ones(flags):
    comparison = compared(flags, {SATURATING: 20})
    assert comparison.not_held == ()
    assert [gate.variant for gate in comparison.gates if not gate.holds] == [SATURATING]
    assert find_exit_code(comparison) == 1


def test_where_products_saturate_the_row_is_held_to_the_gates_for_that():
    comparison = compared(AVX2, {SATURATING: 20})
    assert comparison.not_held == (Gate(SATURATING, "accuracy", "min", 0.85, 0.8, False),)
    assert Gate(SATURATING, "accuracy", "min", 0.6, 0.8, True) in comparison.gates
    assert {gate.limit for gate in comparison.gates if gate.variant != SATURATING} == {0.85}
    assert find_exit_code(comparison) == 0
    (rejection,) = [each for each in comparison.decision.rejections if each.variant == SATURATING]
    assert rejection.reasons[0] == GateFails("accuracy", "min", 0.85, 0.8)


def test_a_row_that_is_broken_beyond_saturation_fails_there_too():
    comparison = compared(AVX2, {SATURATING: 45})
    assert [gate for gate in comparison.gates if not gate.holds] == [
        Gate(SATURATING, "accuracy", "min", 0.6, 0.55, False)
    ]
    assert find_exit_code(comparison) == 1


def test_a_row_that_holds_all_gates_is_held_to_them_wherever_it_ran():
    comparison = compared(AVX2, {SATURATING: 14})
    assert comparison.not_held == ()
    assert Gate(SATURATING, "accuracy", "min", 0.85, 0.86, True) in comparison.gates


@pytest.mark.parametrize("name", ["torch.int8", "onnx.uint8", "torch.x86"])
def test_no_gate_is_weaker_for_a_recipe_that_holds_everywhere(name):
    comparison = compared(AVX2, {name: 20})
    assert [gate.variant for gate in comparison.gates if not gate.holds] == [name]
    assert (comparison.not_held, find_exit_code(comparison)) == ((), 1)


def test_an_experiment_that_says_nothing_of_it_is_strict():
    comparison = compared(AVX2, {SATURATING: 20}, STRICT)
    assert (comparison.not_held, find_exit_code(comparison)) == ((), 1)
    assert rows(comparison)[SATURATING].warnings, "but the reason is told"


def test_what_pt2e_made_in_the_place_of_fx_has_other_products():
    """Of a recipe whose graph FX refuses, the exported program computes in float."""
    torch_recipes = {"torch": {"onednn": {"backend": "onednn"}}}
    for about, saturated in (({}, True), ({"reason": "it can't trace this"}, False)):
        volume = Host(AVX2, {}, recipes=torch_recipes).start()
        volume.variant("onnx.fp32", answers(10))
        volume.publish("torch.onednn", {"model.pt": b"x", "quantized.json": about})
        volume.publish("predictions.torch.onednn", {"output_0.npy": answers(40)})
        comparison = compare.compare(evaluate(volume), volume.experiment)
        assert rows(comparison)["torch.onednn"].saturated is saturated


def test_a_row_without_the_figure_of_its_own_gates_is_held_to_the_usual_ones():
    row = make_variant("onnx.u8s8", "onnx", "u8s8", "ok", accuracy=0.8, saturated=True)
    limits = replace(STRICT, saturating={"sqnr": Bound(min=5)})
    assert [(gate.limit, gate.holds) for gate in gates.check_gates(limits, [row])] == [(0.85, False)]
    assert gates.find_gates_not_held(limits, row) == ()


def test_a_figure_that_the_task_has_not_is_refused_in_every_group():
    row = make_variant("onnx.u8s8", "onnx", "u8s8", "ok", accuracy=0.8)
    with pytest.raises(Exception, match=r"^gates\.saturating\.mae: the task is classification"):
        list(gates.check_gates(Gates(saturating={"mae": Bound(max=1)}), [row]))


ALL = declarations.load(declarations.list_optional())
SHIPPED = sorted(path.stem for path in loader.FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_experiments_hold_all_but_what_saturates_everywhere(name):
    """Of their rows just these have gates of their own on such a CPU: each other recipe is held to the usual ones."""
    chosen = loader.load(loader.FOLDER / f"{name}.yaml", ALL)
    assert chosen.gates.quantized["accuracy"].min == 0.85
    assert chosen.gates.saturating["accuracy"].min >= 0.5, "chance is 0.1"
    saturating = {
        f"{image}.{recipe}"
        for image, named in chosen.recipes.items()
        for recipe, given in named.items()
        if recipes.saturates(recipes.stage_for(ALL[image], image, recipe, given), given)
    }
    assert saturating - {"openvino.int8"} == {"onnx.int8", "onnx.u8s8", "onnx.u8s8-percentile", "torch.onednn"}


SPARED = (Gate(SATURATING, "accuracy", "min", 0.85, 0.7565, False), Gate(SATURATING, "drop_pp", "max", 2, 12.72, False))
LINE = "Not held to gates.quantized on this CPU (AVX2, no VNNI), but to gates.saturating: onnx.u8s8."


def spared(**changes):
    comparison = comparisons.comparison()
    held = tuple(gate for gate in comparison.gates if gate.variant != SATURATING)
    own = Gate(SATURATING, "accuracy", "min", 0.6, 0.7565, True)
    return replace(comparison, gates=(*held, own), not_held=SPARED, **changes)


def test_the_terminal_names_the_rows_in_one_line_before_the_last():
    console = Console(file=StringIO(), width=200)
    terminal.show(spared(), console)
    assert console.file.getvalue().splitlines()[-2:] == [f"- {LINE}", "All 15 gates hold."]


def test_markdown_names_them_too():
    lines = markdown.markdown_text(spared()).splitlines()
    assert f"- **{LINE}**" in lines
    assert "All 15 gates hold." in lines


def test_nothing_is_said_where_every_row_is_held():
    assert "Not held" not in markdown.markdown_text(comparisons.comparison())
    assert "not held" not in page.page_html(comparisons.comparison(), comparisons.bare())


def test_junit_has_them_as_skipped_with_the_reason():
    suite = ElementTree.fromstring(junit.junit_text(spared()))
    skipped = [case for case in suite if case.find("skipped") is not None and case.get("classname") == SATURATING]
    assert [case.get("name") for case in skipped] == [
        "accuracy min of gates.quantized",
        "drop_pp max of gates.quantized",
    ]
    assert skipped[0].find("skipped").get("message") == (
        "not held on this CPU (AVX2, no VNNI): onnx.u8s8 has accuracy 75.65 %, must be at least 85 %"
    )
    names = [(case.get("classname"), case.get("name")) for case in suite.iter("testcase")]
    assert len(names) == len(set(names))
    assert suite.get("failures") == "0"


def test_the_page_lists_them_with_their_limits():
    html = page.page_html(spared(), comparisons.bare())
    assert LINE in html
    assert html.count("○ not held</span>") == 2
    assert "Quantized variants that saturate on this CPU: top-1 ≥ 60 %" in html
    assert "Quantized variants: top-1 ≥ 85 %" in html


def test_a_row_that_is_not_held_is_no_sound_one():
    assert SATURATING in spared().broken
