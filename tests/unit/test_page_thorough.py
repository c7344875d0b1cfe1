"""What the page shows of a thorough experiment: remarks, draws, calibration sizes, other CPUs, explained layers."""

from dataclasses import replace

import comparisons
import pytest
import thorough
from test_page import Reader, cells, section

from driver.analysis.facts import CannotRun
from driver.analysis.results import Draws
from driver.report import phrases
from driver.report.page import cross_cpu, draws, layers, page
from shared.sensitivity.layer_errors import Error


@pytest.fixture(scope="module")
def whole():
    made = thorough.comparison()
    return page.html(made, thorough.material(made))


def rows(text, name):
    return {row[0]: row for row in cells(section(text, name))}


def drawn(**accuracies):
    """A comparison whose rows have these draws."""
    base = comparisons.variant("onnx.int8")
    found = [
        replace(base, name=name, draws=Draws(values, sum(values) / len(values), 0.001, 0.0))
        for name, values in accuracies.items()
    ]
    return comparisons.comparison(variants=tuple(found))


def test_remarks_stand_right_below_their_row(whole):
    shown = cells(section(whole, "verdict"))
    place = {row[0]: number for number, row in enumerate(shown)}
    assert shown[place["onnx.int8"] + 1] == ["⚠ 1.3× slower than onnx.fp32, its float twin"]
    assert shown[place["torch.int8"] + 1] == [f"⚠ 2 of its layers stayed in float: {', '.join(thorough.EXCLUDED)}"]
    assert shown[place["torch.x86"] + 1] == ["⚠ can't run on haswell: needs AVX512"]
    assert shown[place["onnx.u8s8 ship"] + 1][0].startswith("⚠ 84.2 % on haswell, 88.0 % here")
    assert shown[place["onnx.fp32"] + 1][0] == "torch.fp32"


def test_a_row_without_figures_has_its_remarks_too():
    made = comparisons.comparison()
    refused = replace(made.variants[-1], warnings=(CannotRun("haswell", "<no>"),))
    text = page.html(replace(made, variants=(*made.variants[:-1], refused)), comparisons.bare())
    shown = cells(section(text, "verdict"))
    assert shown[-2:] == [
        ["torch.uint8", "∅ unsupported", comparisons.REFUSED],
        ["⚠ can't run on haswell: <no>"],
    ]


def test_draws_have_their_figures_and_a_judgement(whole):
    assert rows(whole, "draws")["onnx.int8"] == ["onnx.int8", "5", "87.79", "0.04", "87.76…87.86", "−0.58"]
    text = Reader(section(whole, "draws")).text
    assert "The draws can't tell apart: torch.int8, torch.x86, onnx.int8 and onnx.uint8." in text


@pytest.mark.parametrize(
    ("accuracies", "said"),
    [
        ({"a": (0.8, 0.81)}, "Only a was drawn several times: there is nothing to tell it from."),
        ({"a": (0.8, 0.81, 0.82), "b": (0.9, 0.91, 0.921)}, "The draws tell each of these 2 recipes from every other."),
        ({"a": (0.8, 0.81), "b": (0.8, 0.81)}, "The draws tell none of these 2 recipes from another."),
        (
            {"a": (0.8, 0.81, 0.82), "b": (0.9, 0.91, 0.921), "c": (0.8, 0.81, 0.82), "d": (0.9, 0.91, 0.921)},
            "The draws can't tell apart: b and d; a and c.",
        ),
    ],
)
def test_which_recipes_the_draws_tell_apart(accuracies, said):
    assert draws.sentence(drawn(**accuracies)) == said


def test_a_recipe_between_two_is_in_both_groups():
    """The middle one is like either, which are not like each other."""
    low, middle, high = (0.80, 0.80, 0.81, 0.80), (0.80, 0.81, 0.80, 0.805), (0.81, 0.809, 0.811, 0.811)
    assert draws.alike({"low": low, "middle": middle, "high": high}) == [["low", "middle"], ["middle", "high"]]


def test_of_many_recipes_those_are_named_that_are_as_good_as_the_best():
    names = {f"r{number}": (0.8 + number / 1000, 0.81 + number / 1000, 0.82 + number / 999) for number in range(30)}
    names["twin"] = names["r29"]
    assert draws.sentence(drawn(**names)) == (
        "The draws tell all others from r29, which has the best mean, but for twin."
    )


def test_a_curve_has_its_intervals_and_its_judge(whole):
    shown = rows(whole, "curve")
    assert shown["variant"][1:] == ["25", "50", "100", "250", "500", "1,000", "2,500", "5,000"]
    assert shown["onnx.u8s8"][-1] == "88.40 86.92…89.73"
    assert "judged by the selection set" in Reader(section(whole, "curve")).text


def test_a_size_that_a_curve_lacks_is_a_dash():
    made = thorough.comparison()
    short = [replace(row, curve=row.curve[1:]) if row.name == "onnx.int8" else row for row in made.variants]
    found = dict(draws.curves(replace(made, variants=tuple(short))))
    assert [found["onnx.int8"][0], found["onnx.u8s8"][0].images] == [None, 25]


def test_other_cpus_say_in_words_what_loses(whole):
    shown = rows(whole, "cpus")
    assert shown["onnx.u8s8 ship on haswell"][1:] == [
        "▼ loses 3.80 points",
        "500",
        "88.00",
        "84.20 80.74…87.13",
        "91.40",
        "<0.001",
    ]
    assert shown["onnx.uint8 on haswell"][1] == "✓ every answer kept"
    assert shown["onnx.uint8 on cascadelake"][1] == "≠ 1 answer differs, no significant loss"
    text = Reader(section(whole, "cpus")).text
    assert "1 of 4 runs loses significantly" in text
    assert "torch.x86 can't run on haswell: needs AVX512" in text


def test_refusals_alone_are_told():
    made = comparisons.comparison()
    only = (replace(made.variants[3], warnings=(CannotRun("other CPUs", "no QEMU"),)),)
    text = page.html(replace(made, variants=only), comparisons.bare())
    assert "onnx.int8 can't run on other CPUs: no QEMU" in Reader(section(text, "cpus")).text
    assert "No variant was run on another CPU" not in text


def test_a_few_losers_are_counted():
    good = thorough.RUNS["onnx.uint8"]
    row = replace(comparisons.variant("onnx.uint8"), emulated=good)
    made = comparisons.comparison(variants=(row,))
    assert cross_cpu.sentence(made) == "None of these 2 runs loses significantly."


def test_each_explained_variant_has_its_summary_diagnosis_plot_and_layers(whole):
    found = section(whole, "layers")
    text = Reader(found).text
    assert (
        "On 500 calibration images the accuracy is 83.20 % quantized, 88.60 % in float; 88.40 % with its weights alone"
        in text
    )
    assert text.count(phrases.diagnosis_text(thorough.explained()["onnx.int8"])) == 1
    assert [attributes["data-plot"] for attributes in Reader(found).of("svg")] == [
        "layers-onnx.int8",
        "layers-onnx.u8s8",
    ]
    shown = rows(whole, "layers")
    first, *_, last = thorough.explained()["onnx.u8s8"].layers
    assert shown[f"{first.name} Conv"][1:] == [
        "0.0726",
        "88.00",
        "88.40",
        "86.10",
        "11.8",
        "0.9125",
        "4.2",
        "35.0",
        "−1.25…412",
        "1.31",
    ]
    assert shown[f"{last.name} Conv"][1] == "0.110"
    assert len([name for name in shown if "expanded_depthwise" in name]) == 60


def test_many_explained_variants_are_folded():
    made = thorough.comparison()
    one = thorough.explained()["onnx.u8s8"]
    known = {row.name: replace(one, variant=row.name) for row in made.variants if row.quantized}
    text = page.html(made, comparisons.material(made, explained=known))
    assert section(text, "layers").count("<summary>Layers of ") == len(known)


def test_an_explained_variant_without_layers_says_so():
    made = thorough.comparison()
    found = replace(thorough.explained()["onnx.u8s8"], layers=())
    text = page.html(made, comparisons.material(made, explained={"onnx.u8s8": found}))
    assert "no layers that could be looked at" in section(text, "layers")


@pytest.mark.parametrize(
    ("error", "shown"),
    [(None, "–"), (Error(None, 1.0, 0.0), "exact"), (Error(-1.25, 0.5, 1.0), "−1.2"), (Error(20.04, 0.9, 1.0), "20.0")],
)
def test_decibels(error, shown):
    assert layers.decibels(error) == shown


def test_what_is_clipped_a_little_is_not_nothing():
    assert [layers.clipped(share) for share in (0.0, 0.00002, 0.0131)] == ["0.00", "<0.01", "1.31"]


def test_a_hundred_thorough_variants_make_no_huge_page():
    made = thorough.hundred()
    text = page.html(made, thorough.material(made))
    assert len(text.encode()) < 4_500_000
    assert "Drawn are the 60 of 196 runs that lose most." in text
    assert "Drawn are the first 12 of 98 variants." in text
