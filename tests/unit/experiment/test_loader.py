"""Experiment files: ours load, and every mistake is refused with its file, line, key and what would be right."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from driver.catalog import declarations
from driver.catalog.declarations import Option, Stage
from driver.experiment import loader, model, recipes
from driver.experiment.model import Bound, Limits, Source
from driver.experiment.tolerance import Tolerance
from shared.artifacts import store
from shared.command import DEFAULT_EXPERIMENT
from shared.errors import CrossquantError

OURS = sorted(loader.FOLDER.glob("*.yaml"))
CATALOG = {
    "keras": (Stage("calibration", "calibration", (), options={"images": Option(1000, min=10), "seed": Option(0)}),),
    "onnx": (
        Stage("fold_batchnorm", "onnx.fp32", (), options={"enabled": Option(True)}),
        Stage("export", "exported", (), options={"opset": Option(17, min=13, max=18)}),
        Stage(
            "quantize",
            "onnx.{recipe}",
            (),
            options={"weight": Option("int8", ("int8", "uint8")), "per_channel": Option(False)},
        ),
    ),
}
TEXT = """\
name: tiny
model:
  sources:
    - path: model.keras
  sha256: 00ff
dataset:
  name: cifar10
  sources:
    - input: a.tar.gz
    - url: https://example.org/a.tar.gz
  sha256: {x_train: a0, y_train: a1, x_test: a2, y_test: a3}
calibration: {images: 100}
recipes:
  onnx:
    int8: {weight: int8}
gates:
  float:
    accuracy: {min: 0.85}
limits: {cpus: 1, memory: 4g, stage_seconds: 900, retries: 1}
"""
NAME_RULE = "must be lower-case letters, digits, '.', '_' and '-', and none of inputs, models, downloads"
TOP = (
    "name, model, dataset, recipes, reference, gates, limits, draws, split, curve, select, targets, recommended, "
    "tolerance, prefer, timing, multiplicity, require, calibration, export, fold_batchnorm"
)


def load(folder: Path, text: str) -> model.Experiment:
    path = folder / "tiny.yaml"
    path.write_text(text)
    return loader.load(path, CATALOG)


def refuse(folder: Path, text: str) -> str:
    """Return the message of the error, without the folder."""
    with pytest.raises(CrossquantError) as caught:
        load(folder, text)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{folder}/", "")


def test_all_that_the_file_says_arrives(tmp_path):
    loaded = load(tmp_path, TEXT + "reference: onnx.fp32\n")
    assert (loaded.name, loaded.reference) == ("tiny", "onnx.fp32")
    assert loaded.model == model.Model((Source(path="model.keras"),), "00ff")
    assert loaded.dataset.sources == (Source(input="a.tar.gz"), Source(url="https://example.org/a.tar.gz"))
    assert loaded.dataset.sha256 == {"x_train": "a0", "y_train": "a1", "x_test": "a2", "y_test": "a3"}
    assert loaded.recipes == {"onnx": {"int8": {"weight": "int8"}}}
    assert loaded.gates.float == {"accuracy": Bound(min=0.85)}
    assert loaded.limits == Limits(1, "4g", 900, 1)
    assert loaded.options == {"calibration": {"images": 100}}


def test_what_may_be_left_out(tmp_path):
    text = re.sub(r"calibration:.*\n", "", TEXT).partition("gates:")[0]
    loaded = load(tmp_path, text)
    assert loaded.reference == "keras.fp32"
    assert loaded.gates == model.Gates()
    assert loaded.limits == Limits()
    assert loaded.options == {}


MISTAKES = {
    # A key that nobody knows is named with those that are known.
    "unknown-key-top": (
        "name: tiny",
        "name: tiny\nrecipe: {}",
        ":2: recipe: unknown key; did you mean recipes, require?",
    ),
    "unknown-key-options": (
        "name: tiny",
        "name: tiny\noptions: {}",
        ":2: options: unknown key; write the name of the stage instead",
    ),
    "unknown-key-recipe-stage": (
        "name: tiny",
        "name: tiny\nquantize: {}",
        f":2: quantize: unknown key; known are {TOP}",
    ),
    "unknown-key-model": (
        "  sha256: 00ff",
        "  sha265: 00ff",
        ":5: model.sha265: unknown key; did you mean sha256?",
    ),
    "unknown-key-dataset": (
        "  name: cifar10",
        "  nmae: cifar10",
        ":7: dataset.nmae: unknown key; did you mean name?",
    ),
    "unknown-key-source": (
        "- url: https",
        "- uri: https",
        ":10: dataset.sources.1.uri: unknown key; did you mean url?",
    ),
    "unknown-key-recipe": (
        "int8: {weight: int8}",
        "int8: {wieght: int8}",
        ":15: recipes.onnx.int8.wieght: unknown key; did you mean weight?",
    ),
    "unknown-key-image": ("  onnx:", "  onxn:", ":14: recipes.onxn: no such image; known are onnx"),
    "unknown-key-image-without-recipes": ("  onnx:", "  keras:", ":14: recipes.keras: no such image; known are onnx"),
    "unknown-key-gates": (
        "  float:",
        "  floats:",
        ":17: gates.floats: unknown key; did you mean float?",
    ),
    "unknown-key-metric": (
        "accuracy: {min",
        "p5_ms: {min",
        ":18: gates.float.p5_ms: unknown key; did you mean p50_ms, p99_ms?",
    ),
    "unknown-key-bound": (
        "{min: 0.85}",
        "{least: 0.85}",
        ":18: gates.float.accuracy.least: unknown key; known are min, max, confidence",
    ),
    "unknown-key-limits": (
        "{cpus: 1,",
        "{cpu: 1,",
        ":19: limits.cpu: unknown key; did you mean cpus?",
    ),
    "unknown-key-stage": ("calibration:", "calibraton:", ":12: calibraton: unknown key; did you mean calibration?"),
    "unknown-key-stage-option": (
        "name: tiny",
        "name: tiny\nfold: {enabeld: true}",
        ":2: fold_batchnorm.enabeld: unknown key; did you mean enabled?",
    ),
    # A value of another type is named with the type that is asked for.
    "type-text": ("name: tiny", "name: 8", ":1: name: must be a text, not 8"),
    "type-nothing": ("  name: cifar10", "  name:", ":7: dataset.name: must be a text, not None"),
    "type-list": (
        "    - path: model.keras",
        "    path: model.keras",
        ":3: model.sources: must be a list, not {'path': 'model.keras'}",
    ),
    "type-source": ("- input: a.tar.gz", "- a.tar.gz", ":9: dataset.sources.0: must be a mapping, not 'a.tar.gz'"),
    "type-mapping": (
        "limits: {cpus: 1, memory: 4g, stage_seconds: 900, retries: 1}",
        "limits: 2",
        ":19: limits: must be a mapping, not 2",
    ),
    "type-number": (
        "{min: 0.85}",
        "{min: eighty}",
        ":18: gates.float.accuracy.min: must be a number or nothing, not 'eighty'",
    ),
    "type-whole-number": ("cpus: 1", "cpus: 1.5", ":19: limits.cpus: must be a whole number, not 1.5"),
    "type-true-is-no-number": ("cpus: 1", "cpus: true", ":19: limits.cpus: must be a whole number, not True"),
    "type-recipe": ("int8: {weight: int8}", "int8: fast", ":15: recipes.onnx.int8: must be a mapping, not 'fast'"),
    "type-recipe-option": (
        "weight: int8}",
        "per_channel: 1}",
        ":15: recipes.onnx.int8.per_channel: must be true or false, not 1",
    ),
    "type-stage": ("{images: 100}", "100", ":12: calibration: must be a mapping, not 100"),
    "type-stage-option": ("images: 100", "images: '100'", ":12: calibration.images: must be a whole number, not '100'"),
    # A value that isn't allowed is named with what is.
    "value-choice": (
        "weight: int8",
        "weight: int4",
        ":15: recipes.onnx.int8.weight: must be one of int8, uint8, not int4",
    ),
    "value-too-small": ("images: 100", "images: 9", ":12: calibration.images: must be at least 10, not 9"),
    "value-too-large": (
        "name: tiny",
        "name: tiny\nexport: {opset: 19}",
        ":2: export.opset: must be at most 18, not 19",
    ),
    "value-cpus": ("cpus: 1", "cpus: 0", ":19: limits.cpus: must be at least 1"),
    "value-seconds": ("stage_seconds: 900", "stage_seconds: 0", ":19: limits.stage_seconds: must be at least 1"),
    "value-retries": ("retries: 1", "retries: -1", ":19: limits.retries: must be at least 0"),
    "value-memory": ("memory: 4g", "memory: 4 GB", ":19: limits.memory: must be like 512m or 4g, not 4 GB"),
    "value-no-memory": ("memory: 4g", "memory: 0g", ":19: limits.memory: must be like 512m or 4g, not 0g"),
    "value-name": (
        "name: tiny",
        "name: My Model",
        f":1: name: {NAME_RULE}",
    ),
    "value-name-is-a-path": (
        "name: tiny",
        "name: ../tiny",
        f":1: name: {NAME_RULE}",
    ),
    "value-no-source": (
        "sources:\n    - path: model.keras",
        "sources: []",
        ":3: model.sources: must name at least one source",
    ),
    "value-sums": (
        "x_train:",
        "x_trian:",
        ":11: dataset.sha256: must have the sums of x_train, y_train, x_test, y_test, all of them; "
        "data of your own have a section `data`",
    ),
    "value-empty-gate": ("{min: 0.85}", "{}", ":18: gates.float.accuracy: must have min, max or both"),
    "value-data-set-is-a-path": (
        "name: cifar10",
        "name: ../x",
        f":7: dataset.name: {NAME_RULE}",
    ),
    "value-name-is-taken": (
        "name: tiny",
        "name: inputs",
        f":1: name: {NAME_RULE}",
    ),
    "value-recipe-name": ("    int8:", "    In T8:", ":15: recipes.onnx.In T8: is not a name for a recipe"),
    "value-recipe-name-with-dot": (
        "    int8:",
        "    int8.v2:",
        ":15: recipes.onnx.int8.v2: is not a name for a recipe",
    ),
    "value-recipe-name-is-taken": ("    int8:", "    fp32:", ":15: recipes.onnx.fp32: is not a name for a recipe"),
}


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_place_and_what_would_be_right(tmp_path, old, new, message):
    assert old in TEXT
    assert refuse(tmp_path, TEXT.replace(old, new)) == "tiny.yaml" + message


NEW_KEYS = {
    "no-draw": ("draws: 0", ":20: draws: must be at least 1"),
    "draws-are-a-number": ("draws: [1, 2]", ":20: draws: must be a whole number, not [1, 2]"),
    "true-is-no-number-of-draws": ("draws: true", ":20: draws: must be a whole number, not True"),
    "split": ("split: train", ":20: split: must be one of test, selection, not 'train'"),
    "curve": ("curve: [25]", ":20: curve: must be a mapping, not [25]"),
    "curve-key": ("curve: {sizes: [25]}", ":20: curve.sizes: unknown key; known are images, variants"),
    "curve-of-nothing": (
        "curve:\n  images:\n    - 25\n    - 0\n  variants: [onnx.int8]",
        ":23: curve.images.1: must be at least 1",
    ),
    "recommended-is-a-list": (
        "recommended: onnx.int8",
        ":20: recommended: must be a list, such as [onnx.int8], not 'onnx.int8'",
    ),
    "targets-are-a-list": (
        "targets: haswell",
        ":20: targets: must be a list, such as [haswell], not 'haswell'",
    ),
}


@pytest.mark.parametrize(("line", "message"), NEW_KEYS.values(), ids=NEW_KEYS)
def test_draws_splits_curves_and_targets_are_checked(tmp_path, line, message):
    assert refuse(tmp_path, f"{TEXT}{line}\n") == "tiny.yaml" + message


@pytest.mark.parametrize("name", ["onnx.int9", "onnx.fp32", "int8", "onnx.int8.d2"])
def test_what_is_no_quantized_variant_has_no_curve(tmp_path, name):
    message = refuse(tmp_path, f"{TEXT}curve:\n  images: [25]\n  variants: [onnx.int8, {name}]\n")
    assert message.startswith("tiny.yaml:22: curve.variants")
    assert message.endswith(f": no quantized variant '{name}'; known are onnx.int8")


@pytest.mark.parametrize("name", ["onnx.int9", "int8", "onnx.int8.d2"])
def test_what_is_no_variant_is_not_recommended(tmp_path, name):
    message = refuse(tmp_path, f"{TEXT}recommended: [{name}]\n")
    assert message.startswith("tiny.yaml:20: recommended")
    assert message.endswith(f": no variant '{name}'; known are keras.fp32, onnx.fp32, onnx.int8")


def test_a_float_variant_may_be_recommended(tmp_path):
    assert load(tmp_path, f"{TEXT}recommended: [onnx.fp32]\n").recommended == ("onnx.fp32",)


DECISION_MISTAKES = {
    "no-tolerance": ("tolerance: 0", ":20: tolerance: must be a number above 0, not 0"),
    "no-amount": ("tolerance: much", ":20: tolerance: must be like 1% (of the reference's metric), 0.5pp (points of "),
    "all-of-it": ("tolerance: 100%", ":20: tolerance: must be below 100 %, not 100 %"),
    "unknown-target": ("targets: [here, skylake]", ":20: targets.1: no target 'skylake'; known are here, nehalem, "),
    "unknown-criterion": (
        "prefer: speed",
        ":20: prefer.criterion: must be one of latency, throughput, size, accuracy, not 'speed'",
    ),
    "threads-of-a-size": (
        "prefer: {criterion: size, threads: 2}",
        ":20: prefer: batch and threads are of latency and throughput, not of size",
    ),
    "no-threads": ("prefer: {threads: 0}", ":20: prefer: batch must be at least 0, and threads at least 1"),
    "multiplicity": (
        "multiplicity: holm",
        ":20: multiplicity: must be one of simultaneous, sequence, not 'holm'",
    ),
}


@pytest.mark.parametrize(("line", "message"), DECISION_MISTAKES.values(), ids=DECISION_MISTAKES)
def test_what_decides_is_checked(tmp_path, line, message):
    assert refuse(tmp_path, f"{TEXT}{line}\n").startswith("tiny.yaml" + message)


def test_what_decides_arrives(tmp_path):
    more = "tolerance: 0.5pp\nprefer: {criterion: throughput, batch: 64, threads: 2}\nmultiplicity: sequence\n"
    loaded = load(tmp_path, TEXT + more)
    assert loaded.tolerance == Tolerance(0.5, "points")
    assert loaded.prefer == model.Prefer("throughput", 64, 2)
    assert loaded.multiplicity == "sequence"


def test_what_decides_where_nothing_is_said(tmp_path):
    loaded = load(tmp_path, TEXT)
    assert (loaded.tolerance, loaded.prefer, loaded.targets) == (None, model.Prefer("latency", 0, 1), ("here",))
    assert loaded.multiplicity == "simultaneous"


def test_a_criterion_alone_is_short_for_a_preference(tmp_path):
    assert load(tmp_path, f"{TEXT}prefer: size\n").prefer == model.Prefer("size")


@pytest.mark.parametrize("written", ["[haswell]", "[here, haswell]", "[haswell, here, haswell]"])
def test_this_host_is_always_a_target_and_the_first(tmp_path, written):
    loaded = load(tmp_path, f"{TEXT}targets: {written}\n")
    assert (loaded.targets, loaded.other_cpus) == (("here", "haswell"), ("haswell",))


def test_draws_splits_curves_and_targets_arrive(tmp_path):
    more = "draws: 5\nsplit: selection\ncurve: {images: [25, 100], variants: [onnx.int8]}\n"
    loaded = load(tmp_path, f"{TEXT}{more}targets: [haswell]\nrecommended: [onnx.int8]\n")
    assert (loaded.draws, loaded.split) == (5, "selection")
    assert loaded.curve == model.Curve((25, 100), ("onnx.int8",))
    assert loaded.options["emulate"] == {"cpus": ["haswell"]}
    assert loaded.emulated == ("onnx.int8",)
    assert replace(loaded, targets=("here",)).emulated == ()


PRESETS = {
    "name": ("recipes: best", ":13: recipes: no preset 'best'; known are "),
    "beside": ("recipes:\n  preset: best\n  onnx: {}", ":13: recipes: no preset 'best'; known are "),
    "nothing": ("recipes:", ":13: recipes: must be a mapping, not None"),
    "list": ("recipes: [default]", ":13: recipes: must be a mapping, not ['default']"),
    "own": (
        "recipes:\n  preset: mine\n  onnx:\n    fast: {wieght: int8}",
        ":16: recipes.onnx.fast.wieght: unknown key; did you mean weight?",
    ),
    "base": (
        "recipes:\n  preset: mine\n  onnx:\n    fast: {recipe: u8}",
        ":16: recipes.onnx.fast.recipe: no recipe 'u8' of onnx; known are int8, fast",
    ),
}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder of presets of which one is `mine`."""
    folder = tmp_path / "presets"
    folder.mkdir()
    (folder / "mine.yaml").write_text("onnx:\n  int8: {weight: int8, per_channel: true}\n")
    monkeypatch.setattr(recipes, "PRESETS", folder)


def with_recipes(lines):
    return TEXT.replace("recipes:\n  onnx:\n    int8: {weight: int8}\n", f"{lines}\n")


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(("lines", "message"), PRESETS.values(), ids=PRESETS)
def test_presets_and_what_stands_beside_them_are_checked(tmp_path, lines, message):
    names = "mine" if message.endswith("known are ") else ""
    assert refuse(tmp_path, with_recipes(lines)) == f"tiny.yaml{message}{names}"


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("lines", ["recipes: mine", "recipes:\n  preset: mine\n  onnx:\n    more: {recipe: int8}"])
def test_recipes_may_be_a_preset_with_others_beside(tmp_path, lines):
    given = {"weight": "int8", "per_channel": True}
    wanted = {"int8": given, "more": given} if "more" in lines else {"int8": given}
    assert load(tmp_path, with_recipes(lines)).recipes == {"onnx": wanted}


def test_a_mistake_in_a_preset_is_placed_where_it_is_named(tmp_path, mine, monkeypatch):  # noqa: ARG001
    (recipes.PRESETS / "mine.yaml").write_text("onnx:\n  int8: {weight: int4}\n")
    message = ":13: recipes.onnx.int8.weight: must be one of int8, uint8, not int4"
    assert refuse(tmp_path, with_recipes("recipes: mine")) == "tiny.yaml" + message


@pytest.mark.parametrize("source", ["{}", "{input: ''}", "{input: a, npm: b@1}", "{input: a, path: b, url: c, npm: d}"])
@pytest.mark.parametrize(
    ("old", "place"), [("path: model.keras", ":4: model.sources.0"), ("input: a.tar.gz", ":9: dataset.sources.0")]
)
def test_a_source_is_exactly_one_of_four(tmp_path, source, old, place):
    text = TEXT.replace(old, source)
    assert refuse(tmp_path, text) == f"tiny.yaml{place}: must have one of input, path, url, npm"


@pytest.mark.parametrize("key", ["input", "path", "url", "npm"])
def test_each_of_the_four_is_a_source(tmp_path, key):
    loaded = load(tmp_path, TEXT.replace("path: model.keras", f"{key}: there"))
    assert loaded.model.sources == (Source(**{key: "there"}),)


@pytest.mark.parametrize("key", ["name", "model", "dataset", "recipes"])
def test_a_missing_key_is_named(tmp_path, key):
    text = re.sub(rf"^{key}:.*\n(?: .*\n)*", "", TEXT, flags=re.MULTILINE)
    assert refuse(tmp_path, text) == f"tiny.yaml:1: {key}: is missing"


def test_a_missing_key_below_is_placed_at_its_mapping(tmp_path):
    text = TEXT.replace("  name: cifar10\n", "")
    assert refuse(tmp_path, text) == "tiny.yaml:6: dataset.name: is missing"


def test_a_reference_that_nobody_makes_is_refuse(tmp_path):
    message = refuse(tmp_path, TEXT + "reference: onnx.fp23\n")
    assert message.startswith("tiny.yaml:20: reference: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT + "name: again\n", ":20: name: this key stands twice"),
        (TEXT.replace("{cpus: 1,", "{cpus: 1, cpus: 2,"), ":19: limits.cpus: this key stands twice"),
        (
            TEXT.replace("    int8: {weight: int8}\n", "    int8: {}\n    int8: {}\n"),
            ":16: recipes.onnx.int8: this key stands twice",
        ),
        ("", " is empty"),
        ("# nothing but a comment\n", " is empty"),
        ("- a list\n", ":1: must be a mapping"),
        ("just words\n", ":1: must be a mapping"),
    ],
)
def test_files_that_are_no_mapping_of_single_keys(tmp_path, text, message):
    assert refuse(tmp_path, text) == "tiny.yaml" + message


@pytest.mark.parametrize(
    "text",
    [
        "name: {tiny\n",
        "a: b: c\n",
        "\tname: tiny\n",
        "a: 'open\n",
        "a: *nowhere\n",
        "name: !python tiny\n",
        "{[1]: 2}: 3\n",
    ],
)
def test_what_is_not_yaml_is_one_line_of_error(tmp_path, text):
    message = refuse(tmp_path, text)
    assert message.startswith("tiny.yaml is not YAML: ")
    assert "\n" not in message
    assert re.search(r"line \d+, column \d+", message)


def test_a_date_that_is_none_is_one_line_of_error(tmp_path):
    assert refuse(tmp_path, "name: 2026-13-45\n").startswith("tiny.yaml is not YAML: ")


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_bytes(b"name: \xff\xfe\n")
    with pytest.raises(CrossquantError, match=rf"^{re.escape(str(path))} is not YAML: "):
        loader.load(path, CATALOG)


def test_a_missing_file(tmp_path):
    path = tmp_path / "none.yaml"
    with pytest.raises(CrossquantError) as caught:
        loader.load(path, CATALOG)
    assert str(caught.value) == f"{path} can't be read: No such file or directory"


def test_an_experiment_is_found_by_path_and_by_name(tmp_path, volumes):
    (volumes / "inputs").mkdir()
    for mine in (tmp_path / "mine.yaml", volumes / "inputs" / "theirs.yaml"):
        mine.write_text(TEXT)
    assert loader.find(str(tmp_path / "mine.yaml")) == tmp_path / "mine.yaml"
    assert loader.find("theirs") == volumes / "inputs" / "theirs.yaml"
    assert loader.find("unfolded") == loader.FOLDER / "unfolded.yaml"


@pytest.mark.usefixtures("volumes")
def test_an_unknown_experiment_names_the_user_s_and_ours():
    (store.volumes() / "inputs").mkdir(parents=True)
    (store.volumes() / "inputs" / "mine.yaml").touch()
    with pytest.raises(CrossquantError) as caught:
        loader.find("resnet9")
    names = "mine, mlperf-tiny, resnet8-cifar10, unfolded"
    assert str(caught.value) == f"no experiment 'resnet9': give a YAML file, or one of {names}"


@pytest.mark.parametrize(
    ("memory", "wanted"), [("512k", 512 << 10), ("512m", 512 << 20), ("4g", 4 << 30), ("4G", 4 << 30)]
)
def test_memory_in_bytes(memory, wanted):
    assert Limits(memory=memory).memory_bytes == wanted


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_ours_load_and_are_named_like_their_file(path):
    loaded = loader.load(path, declarations.load())
    assert loaded.name == path.stem
    assert set(loaded.dataset.sha256) == {"x_train", "y_train", "x_test", "y_test"}


def test_ours_differ_only_where_they_mean_to():
    """They repeat each other so that each can be read alone; nothing but this test keeps them the same."""
    loaded = {path.stem: loader.load(path, declarations.load()) for path in OURS}
    default = loaded.pop(DEFAULT_EXPERIMENT)
    assert set(loaded) == {"mlperf-tiny", "unfolded"}
    for other in loaded.values():
        alike = {"name": default.name, "model": default.model, "options": default.options}
        alike |= {"targets": default.targets, "recommended": default.recommended}
        assert replace(other, **alike) == default
        fixed = {name: given for name, given in other.options.items() if name not in ("fold_batchnorm", "emulate")}
        assert fixed == {name: given for name, given in default.options.items() if name != "emulate"}
    assert loaded["unfolded"].other_cpus == ()
    assert loaded["unfolded"].options["fold_batchnorm"] == {"enabled": False}
    assert loaded["unfolded"].model == default.model
    assert "fold_batchnorm" not in loaded["mlperf-tiny"].options


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: " + "[" * 20_000, ":2: lists and mappings are more than 50 deep: write it flatter"),
        ("{a: " * 60 + "1" + "}" * 60, ":1: lists and mappings are more than 50 deep: write it flatter"),
        ("a: &a [*a]\n", ":1: it refers to itself: write out what the alias stands for"),
        ("a: &a {b: [1, *a]}\n", ":1: it refers to itself: write out what the alias stands for"),
    ],
)
def test_a_file_that_is_too_deep_is_placed(tmp_path, text, message):
    assert refuse(tmp_path, text) == "tiny.yaml" + message


def test_aliases_that_stand_for_millions_are_not_written_out(tmp_path):
    lines = ["l0: &l0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9)]
    message = "tiny.yaml:6: more than 100,000 values, aliases written out: leave some out"
    assert refuse(tmp_path, "\n".join(lines)) == message
    merged = ["l0: &l0 {a: 1}"] + [f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 9)}]}}" for n in range(1, 9)]
    assert "more than 100,000 values" in refuse(tmp_path, "\n".join(merged))


def test_aliases_in_one_another_are_as_deep_as_what_they_stand_for(tmp_path):
    lines = ["l0: &l0 [1]"] + [f"l{n}: &l{n} [*l{n - 1}]" for n in range(1, 60)]
    assert "more than 50 deep" in refuse(tmp_path, "\n".join(lines))


@pytest.mark.parametrize("text", ["a: !!bool maybe", "a: !!int ''", "a: !!timestamp never", "? {a: b}\n: 1"])
def test_a_value_that_is_not_of_its_tag(tmp_path, text):
    assert refuse(tmp_path, text + "\n").startswith("tiny.yaml is not YAML: ")


@pytest.mark.parametrize(("old", "new"), [(at[0], new) for at, new in loader.RENAMED.items() if len(at) == 1])
def test_a_section_by_its_former_name_is_read_and_reported(tmp_path, old, new):
    text = re.sub(r"^targets: .*\n", "", (loader.FOLDER / f"{DEFAULT_EXPERIMENT}.yaml").read_text(), flags=re.MULTILINE)
    path = tmp_path / "tiny.yaml"
    section = {"fold": "{enabled: false}", "emulated": "{images: 400}", "other_cpus": "[haswell]"}[old]
    path.write_text(f"{old}: {section}\n{text}")
    assert loader.list_deprecations(path) == [f"{path}:1: `{old}` is now called `{new}`"]
    by_former_name = loader.load(path, declarations.load())
    path.write_text(f"{new}: {section}\n{text}")
    assert loader.list_deprecations(path) == []
    assert loader.load(path, declarations.load()) == by_former_name
    path.write_text(f"{old}: {section}\n{new}: {section}\n{text}")
    with pytest.raises(CrossquantError, match=f"tiny.yaml:2: {new}: stands there twice, as `{old}` too"):
        loader.load(path, declarations.load())


def test_an_option_by_its_former_name_is_read_and_reported(tmp_path):
    path = tmp_path / "tiny.yaml"
    own = "model: {sources: [{input: m.keras}]}\ndataset: {name: own-data, sources: [{input: d.npz}]}\n"
    text = f"data: {{judged: %s}}\nname: own\n{own}recipes: {{onnx: {{u8s8: {{}}}}}}\n"
    path.write_text(text % 1)
    assert loader.list_deprecations(path) == [f"{path}:1: `data.judged` is now called `evaluated_output`"]
    by_former_name = loader.load(path, declarations.load())
    assert by_former_name.options["data"]["evaluated_output"] == 1
    path.write_text(path.read_text().replace("judged", "evaluated_output"))
    assert loader.list_deprecations(path) == []
    assert loader.load(path, declarations.load()) == by_former_name
    path.write_text(text % "1, evaluated_output: 1")
    with pytest.raises(CrossquantError, match=r"tiny.yaml:1: data.evaluated_output: stands there twice, as `judged`"):
        loader.load(path, declarations.load())
    path.write_text(text % -1)
    with pytest.raises(CrossquantError, match=r"tiny.yaml:1: data.evaluated_output: "):
        loader.load(path, declarations.load())
