"""The page: every row and figure of the comparison, whatever is missing from it, and nothing from anywhere else."""

import base64
import re
from dataclasses import replace
from functools import cache
from io import BytesIO
from itertools import pairwise

import comparisons
import numpy as np
import pytest
import thorough
from page_reader import Reader, cells, section
from PIL import Image

from driver.analysis import numbers
from driver.analysis.facts import CannotRun
from driver.analysis.results import Changed, Count, Draws, Gate, Interval, Origin, SmallestLoss
from driver.report import decision_phrases, gate_format, layer_phrases, phrases
from driver.report.page import class_tables, cross_cpu, draws, layers, page, tables, thumbnails
from shared.sensitivity.layer_errors import Error

EDGES = {
    "default": comparisons.comparison,
    "troubled": comparisons.troubled,
    "nothing": comparisons.nothing,
    "one image": lambda: comparisons.of(1, 1),
    "all right": lambda: comparisons.of(1000, 1000),
    "all wrong": lambda: comparisons.of(0, 1000),
    "hostile": comparisons.hostile,
    "thorough": thorough.comparison,
}
SECTIONS = [
    "verdict",
    "gates",
    "front",
    "latency",
    "cpus",
    "conversion-steps",
    "layers",
    "classes",
    "pairs",
    "confidence",
    "changed",
    "draws",
    "curve",
    "calibration",
    "origin",
    "definitions",
]


def made(comparison, **changes):
    return page.page_html(comparison, comparisons.make_page_data(comparison, **changes))


@cache
def edge_page(edge):
    return made(EDGES[edge]())


@pytest.fixture(scope="module")
def default():
    return edge_page("default")


@pytest.fixture(scope="module")
def hundred():
    """A page of a hundred variants, with all that a thorough experiment has."""
    comparison = thorough.hundred()
    return page.page_html(comparison, thorough.make_page_data(comparison))


@pytest.mark.parametrize("edge", EDGES)
def test_every_section_and_every_row_is_there(edge):
    comparison = EDGES[edge]()
    reader = Reader(edge_page(edge))
    assert [attributes["id"] for attributes in reader.of("section")] == SECTIONS
    links = [a["href"] for a in reader.of("a")][1:]
    assert links[: len(SECTIONS)] == [f"#{name}" for name in SECTIONS]
    assert set(links[len(SECTIONS) :]) == {"#definitions"}, "of each definition, to all of them"
    rows = [attributes["data-variant"] for attributes in reader.of("tr") if "data-variant" in attributes]
    assert rows == [row.name for row in comparison.variants]
    for row in comparison.variants:
        assert " ".join(row.reason.split()) in reader.text


def test_the_verdict_comes_first_and_whole(default):
    first, *others = decision_phrases.decision_sentences(comparisons.comparison())
    text = Reader(default).text
    assert text.index(first) < text.index(others[0]) < text.index("All variants.")
    assert all(sentence in text for sentence in others)


def test_what_each_preference_would_choose_stands_below_the_decision(default):
    decision = section(default, "verdict")
    choices = re.findall(
        r"<div><dt>(\w+)</dt><dd>(.*?)</dd></div>", re.search('<dl class="choices">.*?</dl>', decision, re.DOTALL)[0]
    )
    words = {name: re.sub("<[^>]*>", "", text) for name, text in choices}
    assert words == {
        "latency": "onnx.u8s8 ship",
        "throughput": "onnx.u8s8 ship",
        "size": "onnx.u8s8 ship",
        "accuracy": "onnx.u8s8 ship",
    }


@pytest.mark.usefixtures("without_plots")
def test_another_preference_may_choose_another_variant_or_none():
    compared = comparisons.comparison()
    choices = {"latency": "onnx.u8s8", "size": "onnx.fp32", "accuracy": ""}
    text = page.page_html(replace(compared, decision=replace(compared.decision, choices=choices)), comparisons.bare())
    assert "size onnx.fp32 accuracy nothing" in " ".join(
        re.sub("<[^>]*>", " ", re.search('<dl class="choices">.*?</dl>', text, re.DOTALL)[0]).split()
    )
    undecided = page.page_html(comparisons.troubled(), comparisons.bare())
    assert 'class="choices"' not in undecided, "where there is no choice"


@pytest.mark.usefixtures("without_plots")
def test_the_smallest_loss_that_the_samples_can_show_is_told_at_the_top():
    smallest = SmallestLoss("accuracy", 0.00284, 10_000, 0.025)
    text = page.page_html(comparisons.comparison(smallest_loss=smallest), comparisons.bare())
    sentence = decision_phrases.smallest_loss_sentence(smallest, "images")
    assert text.index(sentence) < text.index('id="verdict"')
    assert "can show a variant" not in page.page_html(comparisons.comparison(), comparisons.bare())


@pytest.mark.usefixtures("without_plots")
def test_what_is_not_held_on_this_cpu_is_told_with_its_limit():
    compared = comparisons.comparison()
    broken = next(gate for gate in compared.gates if gate.variant == "onnx.u8s8" and gate.metric == "drop_pp")
    spared = replace(broken, value=2.53, holds=False)
    compared = replace(compared, not_held=(spared,))
    text = Reader(section(page.page_html(compared, comparisons.bare()), "gates")).text
    assert phrases.not_held(compared) in text
    assert f"○ not held {phrases.gate_sentence(spared)}." in text
    lines = tables.gate_definitions(compared)
    assert "Quantized variants: drop below the reference ≤ 2 pp with 95% confidence" in lines
    assert "Quantized variants that saturate on this CPU: top-1 ≥ 85 %" in lines


def test_a_row_has_all_its_figures(default):
    rows = {row[0]: row for row in cells(section(default, "verdict"))}
    assert rows["onnx.u8s8 ship"][1:] == [
        "✓ good enough",
        "88.32",
        "−0.05",
        "0.44",
        "97.09",
        "0.463",
        "106",
        "0.129",
        "0.144",
        "0.245",
        "8,694",
    ]
    assert rows["keras.fp32 reference"][1:7] == ["✓ ok", "88.37", "0.00", "–", "100.00", "0"]
    assert rows["torch.uint8"][1:] == ["∅ unsupported", comparisons.REFUSED]


def test_a_failed_row_with_figures_shows_both_its_figures_and_its_reason():
    rows = cells(section(edge_page("troubled"), "verdict"))
    place = next(number for number, row in enumerate(rows) if row[0] == "onnx.int8")
    assert rows[place][1:3] == ["✕ failed", "10.05"]
    assert rows[place + 1] == ["onnx.int8: answers no better than chance: 10.05% with 10 classes"]


def test_what_the_reader_must_know_stands_before_the_verdict():
    text = Reader(edge_page("troubled")).text
    assert (
        text.index("Embedded sample: 2,000 test images instead of 10,000.")
        < text.index("Busy machine")
        < text.index("Ship nothing: the reference has no result")
        < text.index("failed latency.onnx: no answer in 900 s")
    )


def test_a_gate_that_fails_is_named():
    gates_section = section(edge_page("troubled"), "gates")
    assert "1 of 1 gates fails." in gates_section
    assert "onnx.int8 has accuracy 10.05 %, must be at least 85 %." in Reader(gates_section).text
    assert cells(gates_section)[-1] == ["onnx.int8", "✕ fails: 10.05 % ≥ 85 %"]


def test_gates_that_hold_are_shown_with_their_limits(default):
    rows = cells(section(default, "gates"))
    assert "All 16 gates hold." in default
    assert rows[0] == ["variant", "top-1", "changed answers", "drop below the reference"]
    assert rows[1] == ["keras.fp32", "✓ 88.37 % ≥ 85 %", "✓ 0.00 % ≤ 0.01 %", "–"]
    assert rows[4] == ["onnx.int8", "✓ 87.77 % ≥ 85 %", "–", "✓ 0.60 pp ≤ 2 pp with 95% confidence"]


def test_a_step_that_lost_names_its_tool(default):
    text = Reader(section(default, "conversion-steps")).text
    assert "onnx.int8 ▼ onnxruntime 1.32.0 lost 0.60 points" in text
    assert "onnx.u8s8 ≠ onnxruntime 1.32.0 changed 291 answers, no significant loss" in text
    assert "Keras→ONNX by tf2onnx 1.17.0, onnxruntime 1.32.0 ✓ every answer kept" in text
    rows = {row[0]: row for row in cells(section(default, "conversion-steps"))}
    assert rows["onnx.fp32 →onnx.int8"][1] == "onnxruntime 1.32.0▼ FP32→INT8 lost"
    assert rows["onnx.fp32 →onnx.int8"][2:] == [
        "381",
        "96.19",
        "−0.60",
        "<0.001",
        "20.5",
        "0.9912",
        "0.113",
        "0.565",
        "0.0075",
    ]


def test_the_chain_goes_through_the_float_variants_in_order():
    stops = tables.chain(comparisons.comparison())
    assert [stop.name for stop in stops] == ["keras.fp32", "onnx.fp32", "torch.fp32"]
    assert [stop.step and (stop.step.change.source, stop.step.change.target) for stop in stops] == [
        None,
        ("Keras", "ONNX"),
        ("ONNX", "PyTorch"),
    ]
    assert [[step.after for step in stop.quantized] for stop in stops] == [
        [],
        ["onnx.int8", "onnx.uint8", "onnx.u8s8"],
        ["torch.int8", "torch.x86"],
    ]


def test_classes_that_lose_significantly_are_marked(default):
    rows = {row[0]: row for row in cells(section(default, "classes"))}
    assert rows["variant"][1:] == comparisons.CLASSES
    assert rows["keras.fp32"][6] == "81.6"
    assert rows["onnx.int8"][6] == "▼significant loss −1.4"
    assert rows["onnx.u8s8"][6] == "−0.9"
    assert rows["onnx.fp32"][6] == "0.0"


@pytest.mark.usefixtures("without_plots")
def test_of_many_classes_those_that_differ_most_are_shown():
    comparison = comparisons.comparison()
    base, other = comparison.variants[0], comparison.variants[3]
    counts = tuple(Count(50, 100) for _ in range(1000))
    worse = tuple(Count(50 - (label in (7, 900)) * 20, 100) for label in range(1000))
    rows = (replace(base, classes=counts), replace(other, classes=worse, losing=()))
    comparison = replace(comparison, variants=rows)
    labels, (row,) = class_tables.table(comparison)
    assert len(labels) == class_tables.CLASSES
    assert {7, 900} <= set(labels)
    assert labels == sorted(labels)
    assert [cell.level for cell in row[1] if cell.value] == ["loss-3", "loss-3"]
    assert "the 24 of 1000 classes that differ most" in Reader(made(comparison)).text


def test_paired_counts(default):
    rows = {row[0]: row for row in cells(section(default, "pairs"))}
    assert rows["onnx.int8"][1:] == [
        "87.77 87.11…88.40",
        "8,648",
        "189",
        "129",
        "1,034",
        "−0.60",
        "−0.95…−0.25",
        "<0.001",
    ]
    assert not any("Holm" in heading for heading in rows["variant"]), "nothing adjusted beside what is not"


def test_each_batch_and_thread_count_has_its_table(default):
    latency_section = section(default, "latency")
    captions = re.findall(r"<caption><span>(Batch.*?)</span>", latency_section)
    assert captions == ["Batch 1, 1 thread", "Batch 64, 1 thread", "Batch 1, 2 threads", "Batch 64, 2 threads"]
    assert ["onnx.u8s8", "0.129", "0.144", "0.245", "7,752", "420"] in cells(latency_section)
    assert ["onnx.u8s8", "0.22", "0.24", "0.26", "79"] in cells(latency_section)
    assert "keras 3.0 %, onnx 0.4 %, torch 2.3 %" in Reader(latency_section).text


def test_a_changed_image_is_a_picture_that_is_told(default):
    images = Reader(section(default, "changed")).of("img")
    assert len(images) == 5 * 24
    assert images[1]["alt"] == "image 37: automobile, was bird, now deer"
    assert decoded(images[1]["src"]).tolist() == comparisons.pictures(200)[37].tolist()


def decoded(uri):
    kind, _, data = uri.partition(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(BytesIO(base64.b64decode(data))))


@pytest.mark.parametrize(
    ("label", "before", "after", "outcome"),
    [(3, 3, 5, "now wrong"), (3, 5, 3, "now right"), (3, 5, 7, "still wrong")],
)
def test_a_change_says_whether_it_is_for_the_better(label, before, after, outcome):
    item = Changed(4, label, before, after, 0.1, 0.2)
    assert page.describe_changed(item, comparisons.CLASSES, None).outcome == outcome


def summaries(text):
    return [" ".join(re.sub("<[^>]*>", " ", each).split()) for each in re.findall("<summary>(.*?)</summary>", text)]


def test_the_shipped_variant_s_changed_images_are_open(default):
    changed = section(default, "changed")
    opened = re.findall(r"<details open[^>]*><summary><code>([^<]*)", changed)
    assert opened == ["onnx.u8s8"]
    assert len(re.findall("<details", changed)) == 5


def test_flips_are_told_both_ways(default):
    told = next(each for each in summaries(section(default, "changed")) if each.startswith("onnx.u8s8"))
    changes = comparisons.changed(comparisons.comparison())["onnx.u8s8"]
    lost = sum(each.reference_answer == each.label for each in changes)
    won = sum(each.variant_answer == each.label for each in changes)
    assert 0 < lost < len(changes)
    assert told.startswith(
        f"onnx.u8s8 : 30 changed ▼ {lost} right → wrong ✓ {won} wrong → right · {30 - lost - won} wrong → wrong"
    )


@pytest.mark.slow
def test_of_many_variants_the_shipped_one_has_the_most_pictures(hundred):
    counts = {
        name: len(re.findall("<img", gallery))
        for name, gallery in re.findall(r"<summary><code>([^<]*)</code>: \d(.*?)</details>", hundred, re.DOTALL)
    }
    assert counts.pop("onnx.r00") == 24
    assert set(counts.values()) == {4}


def test_each_heading_shows_a_definition_that_is_there(default):
    reader = Reader(default)
    wanted = [each["popovertarget"] for each in reader.of("button") if each.get("class") == "term"]
    defined = {each["id"] for each in reader.of("div") if "popover" in each}
    assert len(wanted) > 40
    assert set(wanted) == defined
    heads = re.findall(r'<th [^>]*scope="col"[^>]*>(.*?)</th>', section(default, "verdict"))
    assert len(heads) == 12
    assert [head for head in heads if "popovertarget" not in head] == []
    bare = section(page.page_html(comparisons.unassessed(), comparisons.bare()), "verdict")
    heads = re.findall(r'<th [^>]*scope="col"[^>]*>(.*?)</th>', bare)
    assert [head for head in heads if "popovertarget" not in head] == ["status"], "where nothing is assessed"


def test_the_definitions_have_all_that_is_used_and_nothing_twice(default):
    names = re.findall("<dt>([^<]*)</dt>", section(default, "definitions"))
    assert {"top-1", "max |Δp|", "p50", "variant", "gate"} <= set(names)
    assert len(names) == len(set(names))
    assert "MAE" not in names, "a figure of another task"


@pytest.mark.usefixtures("without_plots")
def test_when_and_by_what_it_was_measured_stands_at_the_top(default):
    origin = Origin("2026-11-28", "0.2.0", "8134a9f07cf3d30bfe50250f3f34673e96f3988c", "./crossquant run --sample")
    text = made(comparisons.comparison(origin=origin))
    head = " ".join(Reader(text[text.index("<header>") : text.index("</header>") + 9]).text.split())
    assert head.endswith("measured 2026-11-28 crossquant 0.2.0, commit 8134a9f07c command ./crossquant run --sample")
    assert 'class="origin"' not in default, "where nothing of it is known"
    unknown = made(comparisons.comparison(origin=replace(origin, measured="", commit="")))
    assert '<p class="origin"><span>crossquant 0.2.0</span> ' in unknown


def test_what_is_preferred_has_a_table_of_its_own():
    module = page.load_template().environment.get_template("macros.html.j2").make_module()
    text = str(module.preferences({"latency": "onnx.u8s8", "size": ""}, "onnx.u8s8"))
    named = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", text)
    assert [(each, re.sub("<[^>]*>", "", variant)) for each, variant in named] == [
        ("latency", "onnx.u8s8 ship"),
        ("size", "nothing"),
    ]


@pytest.mark.usefixtures("without_plots")
def test_a_changed_image_without_its_picture_is_told_all_the_same():
    text = made(comparisons.comparison(), test_images=None)
    assert Reader(section(text, "changed")).of("img") == []
    assert "image 37: automobile, was bird, now deer" in section(text, "changed")


@pytest.mark.usefixtures("without_plots")
def test_classes_without_names_are_numbers():
    nameless = {key: value for key, value in comparisons.FULL.items() if key != "classes"}
    assert "image 37: 1, was 2, now 4" in made(comparisons.comparison(dataset=nameless))


def test_the_calibration_set_is_one_picture(default):
    (sheet,) = Reader(section(default, "calibration")).of("img")
    pixels = decoded(sheet["src"])
    assert pixels.shape == (25 * 32, 40 * 32, 3)
    assert (sheet["width"], sheet["height"]) == ("1280", "800")
    away = np.abs(comparisons.pictures(1000, 2).astype(int) - pixels[32:64, 32:64]).mean(axis=(1, 2, 3))
    assert away.argmin() == 41  # the second in the second row of 40


@pytest.mark.parametrize("shape", [(3, 8, 8, 1), (3, 8, 8, 2), (3, 8, 8, 3), (3, 8, 8, 4), (1, 300, 200, 3)])
def test_pictures_of_any_shape(shape):
    images = np.zeros(shape, np.uint8)
    assert decoded(thumbnails.single(images[0])).shape[2] == 3
    uri, width, height, count = thumbnails.sheet(images)
    assert (decoded(uri).shape, count) == ((height, width, 3), shape[0])
    assert max(decoded(thumbnails.single(images[0])).shape[:2]) <= thumbnails.LARGEST


def test_many_large_images_make_no_large_sheet():
    uri, width, _, count = thumbnails.sheet(np.zeros((2500, 64, 64, 3), np.uint8))
    assert (width, count) == (1280, thumbnails.MOST)
    assert len(uri) < 1_000_000


def test_what_the_figures_come_from(default):
    text = Reader(section(default, "origin")).text
    for expected in (
        "./crossquant run --experiment resnet8-cifar10",
        "./crossquant report --experiment resnet8-cifar10",
        "docker compose up --build",
        "AMD EPYC 9654",
        "tensorflow-cpu 2.21.0",
        "Float variants: top-1 ≥ 85 %",
        "Quantized variants: drop below the reference ≤ 2 pp with 95% confidence",
        "calibration: {images: 1000, seed: 0}",
        f"{0:064x}",
    ):
        assert expected in text


def test_texts_from_outside_are_no_markup():
    text = made(comparisons.hostile(), experiment_text=comparisons.MARKUP)
    reader = Reader(text)
    assert text.count("<script") == 1, "our own"
    assert not any("alert" in script for script in re.findall("<script>(.*?)</script>", text, re.DOTALL))
    assert 'onload="' not in text
    assert not [image for image in reader.of("img") if not image["src"].startswith("data:")]
    assert reader.text.count("<script>alert('x')</script>") >= 8


@pytest.mark.parametrize("edge", EDGES)
def test_the_page_needs_nothing_but_itself(edge):
    reader = Reader(edge_page(edge))
    assert not {"iframe", "object", "embed", "base", "form"} & {tag for tag, _ in reader.tags}
    for tag, attributes in reader.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href", "srcset", "data", "poster"):
            assert re.match(r"data:|#", attributes.get(name, "#")), (tag, attributes)
    style = (page.TEMPLATES / "style.css").read_text()
    assert "@import" not in style
    assert "url(" not in style


@pytest.mark.parametrize("edge", EDGES)
def test_no_figure_is_a_word_of_the_program(edge):
    assert not re.search(r"\b(None|nan|inf|True|False|Undefined)\b", Reader(edge_page(edge)).text)


@pytest.mark.usefixtures("draw_anew")
def test_the_same_data_gives_the_same_bytes(default):
    assert made(comparisons.comparison()) == default


def test_the_default_page_is_small(default):
    assert len(default.encode()) < 1_500_000


@pytest.mark.slow
def test_forty_variants_make_a_page_of_less_than_two_megabytes():
    """With six hundred changed images of each, and all that a thorough experiment has."""
    comparison = thorough.hundred()
    rows = comparison.variants[:40]
    names = {row.name for row in rows}
    gates = tuple(gate for gate in comparison.gates if gate.variant in names)
    comparison = replace(comparison, variants=rows, gates=gates, conversion_steps=comparison.conversion_steps[:39])
    page_data = replace(thorough.make_page_data(comparison), changed=comparisons.changed(comparison, 600))
    assert len(page.page_html(comparison, page_data).encode()) < 2_000_000


@pytest.mark.slow
def test_a_hundred_variants(hundred):
    reader = Reader(hundred)
    names = [row.name for row in thorough.hundred().variants]
    assert [a["data-variant"] for a in reader.of("tr") if "data-variant" in a] == names
    assert len(hundred.encode()) < 4_500_000
    assert "Drawn are the 60 of 196 runs that lose most." in hundred
    assert "Drawn are the first 12 of 98 variants." in hundred
    assert len(Reader(section(hundred, "changed")).of("img")) == 97 * 4 + 24


def test_names_are_unique_and_headings_in_order(default):
    reader = Reader(default)
    names = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(names) == len(set(names))
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_table_scrolls_in_a_box_of_its_own(default):
    assert default.count("<table") == default.count("<caption>")
    assert len(re.findall(r'<div class="scroll" tabindex="0" role="region" aria-label="[^"]+">\s*<table', default)) == (
        default.count("<table")
    )


def test_bare_material_is_enough():
    comparison = comparisons.comparison()
    text = Reader(page.page_html(comparison, comparisons.bare())).text
    for sentence in (
        "No single calls were kept.",
        "No answer changed.",
        "The calibration images are not on the volume.",
        "No variant was run on another CPU.",
        "./crossquant explain onnx.int8 --experiment resnet8-cifar10",
        "Each recipe was calibrated on one draw",
        "No variant was calibrated with sets of other sizes.",
    ):
        assert sentence in text


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (-0.001, "0.00"), (0.0, "0.00"), (-0.6, "−0.60"), (1.25, "+1.25"), (-78.32, "−78.32")],
)
def test_a_signed_figure(value, shown):
    assert numbers.signed(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (0.0, "0"), (0.565, "0.565"), (0.0075, "0.0075"), (2.4e-6, "2.4e−06"), (1.0, "1.000")],
)
def test_a_figure_of_any_magnitude(value, shown):
    assert numbers.tiny(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(None, "–"), (0.0004, "<0.001"), (0.0042, "0.004"), (1.0, "1.000")])
def test_a_p_value(value, shown):
    assert numbers.p_value(value) == shown


def test_an_interval_across_zero():
    assert numbers.span(Interval(-0.36, 0.26), "{:+.2f}") == "−0.36…+0.26"
    assert numbers.span(None) == ""


def test_a_gate_on_a_share_is_in_percent():
    gate = Gate("onnx.fp32", "changed", "max", 0.0001, 0.00004, True)
    assert (gate_format.gate_value(gate), gate_format.gate_limit(gate)) == ("0.00 %", "≤ 0.01 %")


@pytest.mark.usefixtures("without_plots")
def test_the_confusion_has_labels_in_rows_and_answers_in_columns():
    comparison = comparisons.comparison()
    first = replace(comparison.variants[0], confusion=((7, 2), (1, 9)))
    comparison = replace(comparison, variants=(first, *comparison.variants[1:]))
    text = section(made(comparison), "classes")
    assert "Confusion of <code>keras.fp32</code>" in text
    names = comparison.dataset["classes"][:2]
    assert cells(text)[-3:] == [["label", *names], [names[0], "7", "2"], [names[1], "1", "9"]]


@pytest.mark.usefixtures("without_plots")
def test_a_confusion_of_many_classes_is_left_to_the_json():
    comparison = comparisons.comparison()
    many = replace(comparison.variants[0], confusion=((0,) * 25,) * 25)
    text = made(replace(comparison, variants=(many, *comparison.variants[1:])))
    assert "Confusion of" not in text


# a thorough experiment: remarks, draws, calibration sizes, other CPUs, explained layers


@pytest.fixture(scope="module")
def whole():
    comparison = thorough.comparison()
    return page.page_html(comparison, thorough.make_page_data(comparison))


def rows_of(text, name):
    return {row[0]: row for row in cells(section(text, name))}


def drawn(**accuracies):
    """A comparison whose rows have these draws."""
    base = comparisons.variant("onnx.int8")
    variants = [
        replace(base, name=name, draws=Draws(values, sum(values) / len(values), 0.001, 0.0))
        for name, values in accuracies.items()
    ]
    return comparisons.comparison(variants=tuple(variants))


def test_remarks_stand_right_below_their_row(whole):
    shown = cells(section(whole, "verdict"))
    place = {row[0]: number for number, row in enumerate(shown)}
    assert shown[place["onnx.int8"] + 1] == ["⚠ 1.3× slower than onnx.fp32, its float baseline"]
    assert shown[place["torch.int8"] + 1] == [f"⚠ 2 of its layers stayed in float: {', '.join(thorough.EXCLUDED)}"]
    assert shown[place["torch.x86"] + 1] == ["⚠ can't run on haswell: needs AVX512"]
    assert shown[place["onnx.u8s8 ship"] + 1][0].startswith("⚠ 84.2 % on haswell, 88.0 % here")
    assert shown[place["onnx.fp32"] + 1][0] == "torch.fp32"


@pytest.mark.usefixtures("without_plots")
def test_a_row_without_figures_has_its_remarks_too():
    comparison = comparisons.comparison()
    refused = replace(comparison.variants[-1], warnings=(CannotRun("haswell", "<no>"),))
    text = page.page_html(replace(comparison, variants=(*comparison.variants[:-1], refused)), comparisons.bare())
    shown = cells(section(text, "verdict"))
    assert shown[-2:] == [
        ["torch.uint8", "∅ unsupported", comparisons.REFUSED],
        ["⚠ can't run on haswell: <no>"],
    ]


def test_draws_have_their_figures_and_a_judgement(whole):
    assert rows_of(whole, "draws")["onnx.int8"] == ["onnx.int8", "5", "87.79", "0.04", "87.76…87.86", "−0.58"]
    text = Reader(section(whole, "draws")).text
    assert "The draws can't tell apart: torch.int8, torch.x86, onnx.int8 and onnx.uint8." in text


@pytest.mark.parametrize(
    ("accuracies", "sentence"),
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
def test_which_recipes_the_draws_tell_apart(accuracies, sentence):
    assert draws.sentence(drawn(**accuracies)) == sentence


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
    shown = rows_of(whole, "curve")
    assert shown["variant"][1:] == ["25", "50", "100", "250", "500", "1,000", "2,500", "5,000"]
    assert shown["onnx.u8s8"][-1] == "88.40 86.92…89.73"
    assert "judged by the selection set" in Reader(section(whole, "curve")).text


def test_a_size_that_a_curve_lacks_is_a_dash():
    comparison = thorough.comparison()
    short = [replace(row, curve=row.curve[1:]) if row.name == "onnx.int8" else row for row in comparison.variants]
    curves = dict(draws.curves(replace(comparison, variants=tuple(short))))
    assert [curves["onnx.int8"][0], curves["onnx.u8s8"][0].images] == [None, 25]


def test_other_cpus_say_in_words_what_loses(whole):
    shown = rows_of(whole, "cpus")
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


@pytest.mark.usefixtures("without_plots")
def test_refusals_alone_are_told():
    comparison = comparisons.comparison()
    only = (replace(comparison.variants[3], warnings=(CannotRun("other CPUs", "no QEMU"),)),)
    text = page.page_html(replace(comparison, variants=only), comparisons.bare())
    assert "onnx.int8 can't run on other CPUs: no QEMU" in Reader(section(text, "cpus")).text
    assert "No variant was run on another CPU" not in text


def test_a_few_losers_are_counted():
    good = thorough.RUNS["onnx.uint8"]
    row = replace(comparisons.variant("onnx.uint8"), emulated=good)
    comparison = comparisons.comparison(variants=(row,))
    assert cross_cpu.sentence(comparison) == "None of these 2 runs loses significantly."


def test_each_explained_variant_has_its_summary_diagnosis_plot_and_layers(whole):
    layers_section = section(whole, "layers")
    text = Reader(layers_section).text
    assert (
        "On 500 calibration images the accuracy is 83.20 % quantized, 88.60 % in float; 88.40 % with its weights alone"
        in text
    )
    assert text.count(layer_phrases.diagnosis_text(thorough.explained()["onnx.int8"])) == 1
    assert [attributes["data-plot"] for attributes in Reader(layers_section).of("svg")] == [
        "layers-onnx.int8",
        "layers-onnx.int8-narrow",
        "layers-onnx.u8s8",
        "layers-onnx.u8s8-narrow",
    ]
    shown = rows_of(whole, "layers")
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


@pytest.mark.usefixtures("without_plots")
def test_many_explained_variants_are_folded():
    comparison = thorough.comparison()
    one = thorough.explained()["onnx.u8s8"]
    sensitivities = {row.name: replace(one, variant=row.name) for row in comparison.variants if row.quantized}
    text = page.page_html(comparison, comparisons.make_page_data(comparison, explained=sensitivities))
    assert section(text, "layers").count("<summary>Layers of ") == len(sensitivities)


@pytest.mark.usefixtures("without_plots")
def test_an_explained_variant_without_layers_says_so():
    comparison = thorough.comparison()
    sensitivity = replace(thorough.explained()["onnx.u8s8"], layers=())
    text = page.page_html(comparison, comparisons.make_page_data(comparison, explained={"onnx.u8s8": sensitivity}))
    assert "no layers that could be looked at" in section(text, "layers")


@pytest.mark.parametrize(
    ("error", "shown"),
    [(None, "–"), (Error(None, 1.0, 0.0), "exact"), (Error(-1.25, 0.5, 1.0), "−1.2"), (Error(20.04, 0.9, 1.0), "20.0")],
)
def test_decibels(error, shown):
    assert layers.decibels(error) == shown


def test_what_is_clipped_a_little_is_not_nothing():
    assert [layers.clipped(share) for share in (0.0, 0.00002, 0.0131)] == ["0.00", "<0.01", "1.31"]
