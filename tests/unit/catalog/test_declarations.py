"""What the images say they can make: found by folder, checked to the last key."""

import pytest

from driver.catalog import declarations
from driver.catalog.declarations import Option, Stage
from shared.artifacts.store import ROOT
from shared.errors import CrossquantError, FieldError

GOOD = """
[[stage]]
run = "count"
inputs = ["dataset"]
output = "counted"
[stage.options]
share = { default = 0.5, min = 0, max = 1 }
unit = { default = "one", values = ["one", "ten"] }
"""


def written(root, text, image="extra"):
    path = root / "images" / image / "stages.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_images_are_found_by_folder(tmp_path):
    written(tmp_path, GOOD, "zebra")
    written(tmp_path, GOOD, "ant")
    (tmp_path / "images" / "base").mkdir()
    stages_by_image = declarations.load(root=tmp_path)
    assert list(stages_by_image) == ["ant", "zebra"]
    options = {"share": Option(0.5, min=0, max=1), "unit": Option("one", ("one", "ten"))}
    assert stages_by_image["ant"] == (Stage("count", "counted", ("dataset",), options=options),)


OPTIONAL = 'title = "Zebra"\noptional = true\n' + GOOD + "\n[presets.default]\nint8 = { share = 0.1 }\n"


def test_an_optional_image_is_left_out_unless_it_is_wanted(tmp_path):
    written(tmp_path, GOOD, "ant")
    written(tmp_path, OPTIONAL, "zebra")
    assert list(declarations.load(root=tmp_path)) == ["ant"]
    assert list(declarations.load(["zebra"], tmp_path)) == ["ant", "zebra"]
    assert declarations.list_optional(tmp_path) == ("zebra",)
    with pytest.raises(CrossquantError, match="no image 'lion': known are ant, zebra"):
        declarations.load(["lion"], tmp_path)


def test_an_image_brings_its_title_and_its_recipes(tmp_path):
    written(tmp_path, GOOD, "ant")
    written(tmp_path, OPTIONAL, "zebra")
    assert declarations.list_titles(tmp_path) == {"ant": "ant", "zebra": "Zebra"}
    assert declarations.list_presets("default", ["ant", "zebra"], tmp_path) == {"zebra": {"int8": {"share": 0.1}}}
    assert declarations.list_presets("default", ["ant"], tmp_path) == {}
    assert declarations.list_presets("thorough", ["zebra"], tmp_path) == {}


@pytest.mark.parametrize(
    ("items", "good", "bad"), [("int", [224, 224], [0.5]), ("float", [1, 0.5], ["x"]), ("str", ["a"], [1])]
)
def test_a_list_says_what_its_items_are(items, good, bad):
    option = Option([], items=items)
    assert option.check(good, ("at",)) == good
    with pytest.raises(FieldError, match=r"^at\.0: must be a"):
        option.check(bad, ("at",))


@pytest.mark.parametrize("good", ["balanced", [], [1, 0.5], {"cat": 1, "dog": 5.5}])
def test_weights_of_classes(good):
    assert Option([], items="weight").check(good, ("at",)) == good


@pytest.mark.parametrize("bad", ["balance", ["x"], {"cat": "x"}, 3, None])
def test_what_are_no_weights_of_classes(bad):
    with pytest.raises(FieldError, match=r"^at: must be balanced, a number for each class, or numbers by class"):
        Option([], items="weight").check(bad, ("at",))


def test_every_stage_of_ours_has_its_file():
    stages_by_image = declarations.load()
    assert set(stages_by_image) == {"keras", "onnx", "torch"}
    modules = [
        stage.module or f"images.{image}.{stage.run}" for image, stages in stages_by_image.items() for stage in stages
    ]
    files = [ROOT / module.replace(".", "/") for module in modules]
    lacking = [file for file in files if not (file.is_dir() or file.with_suffix(".py").is_file())]
    assert lacking == []


def test_every_default_of_ours_is_allowed():
    for image, stages in declarations.load().items():
        for stage in stages:
            wanted = {name: option.default for name, option in stage.options.items()}
            assert stage.parameters({}, (image, stage.run)) == wanted


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("run =", "runs =", "stage.0.runs: unknown key; did you mean run, groups?"),
        ('output = "counted"\n', "", "stage.0.output: is missing"),
        ('["dataset"]', '"dataset"', "stage.0.inputs: must be a list, such as [dataset], not 'dataset'"),
        (
            "max = 1",
            "most = 1",
            "stage.0.options.share.most: unknown key; known are default, values, min, max, items, help",
        ),
        ("default = 0.5, ", "", "stage.0.options.share.default: is missing"),
        ("[[stage]]", "[[stages]]", "stages: unknown key; did you mean stage?"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(tmp_path, old, new, message):
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(CrossquantError) as caught:
        declarations.load(root=tmp_path)
    assert str(caught.value) == f"{path}: {message}"


def test_what_is_not_toml_is_named_with_its_file(tmp_path):
    path = written(tmp_path, "[[stage]\n")
    with pytest.raises(CrossquantError) as caught:
        declarations.load(root=tmp_path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "line 1" in str(caught.value)


@pytest.mark.parametrize("value", [0, 0.25, 1.0])
def test_a_value_at_the_limits_is_allowed(value):
    assert Option(0.5, min=0, max=1).check(value, ("share",)) == value


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        (Option(0.5, min=0), -0.1, "at: must be at least 0, not -0.1"),
        (Option(0.5, max=1), 1.01, "at: must be at most 1, not 1.01"),
        (Option(1), 1.0, "at: must be a whole number, not 1.0"),
        (Option(1), True, "at: must be a whole number, not True"),
        (Option(True), 1, "at: must be true or false, not 1"),
        (Option("one", ("one", "ten")), "two", "at: must be one of one, ten, not two"),
    ],
)
def test_a_value_that_is_not_allowed(option, value, message):
    with pytest.raises(FieldError) as caught:
        option.check(value, ("at",))
    assert str(caught.value) == message


def test_given_values_take_the_place_of_defaults():
    stage = Stage("count", "counted", (), options={"a": Option(1), "b": Option(2)})
    assert stage.parameters({"b": 3}, ()) == {"a": 1, "b": 3}


@pytest.mark.parametrize(("output", "takes"), [("onnx.{recipe}", True), ("predictions.{variant}", False)])
def test_only_recipes_make_a_stage_take_recipes(output, takes):
    assert Stage("any", output, ()).takes_recipe is takes


def test_a_stage_says_what_repeats_it_and_whose_work_it_is(tmp_path):
    text = GOOD.replace('run = "count"', 'run = "count"\nrepeat = "times"\ntool = "abacus"')
    path = written(tmp_path, text + "times = { default = 2, min = 1 }\n")
    (stage,) = declarations.read(path).stage
    assert (stage.repeat, stage.tool) == ("times", "abacus")
    assert stage.parameters({"times": 5}, ())["times"] == 5
    (plain,) = declarations.read(written(tmp_path, GOOD, "plain")).stage
    assert (plain.repeat, plain.tool) == ("", "")


def test_what_repeats_a_stage_of_ours_is_an_option_of_it_that_is_at_least_one():
    repeated = [(stage, stage.options[stage.repeat]) for stages in declarations.load().values() for stage in stages
                if stage.repeat]  # fmt: skip
    assert [stage.run for stage, _ in repeated] == ["latency"] * 3
    for _, option in repeated:
        assert type(option.default) is int
        assert option.min == 1


def test_a_tool_of_ours_is_asked_for_by_its_image():
    """Its version is read from the manifest, where it is as the image installs it."""
    for image, stages in declarations.load().items():
        lock = (ROOT / "images" / image / "requirements.lock").read_text()
        for tool in {stage.tool for stage in stages} - {""}:
            assert f"\n{tool}==" in "\n" + lock


GROUPED = """
[group.common]
saturates = [{ bits = 8 }]
[group.common.options.bits]
help = "The size of a weight."
default = 8
values = [4, 8]

[[stage]]
run = "count"
inputs = ["dataset"]
output = "counted"
groups = ["common", "predict"]
saturates = [{ share = 1.0 }]
[stage.options]
share = { default = 0.5 }
"""


def test_a_stage_has_what_its_groups_have(tmp_path):
    (stage,) = declarations.read(written(tmp_path, GROUPED)).stage
    assert list(stage.options) == ["bits", "batch_size", "share"], "a group of the file, one that all images can name"
    assert stage.options["bits"] == Option(8, (4, 8), help="The size of a weight.")
    assert stage.options["batch_size"] == declarations.read_shared_groups()["predict"].options["batch_size"]
    assert stage.saturates == ({"bits": 8}, {"share": 1.0})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["common", "predict"]', '["comon"]', "stage.0.groups: no group 'comon'; known are predict, latency, "),
        ("share = {", "bits = {", "stage.0.options.bits: is an option of one of the groups already"),
    ],
    ids=["unknown", "twice"],
)
def test_a_wrong_group_is_named_with_its_file(tmp_path, old, new, message):
    path = written(tmp_path, GROUPED.replace(old, new))
    with pytest.raises(CrossquantError) as caught:
        declarations.read(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_every_option_of_ours_is_explained_in_one_sentence():
    for image, stages in declarations.load(declarations.list_optional()).items():
        for stage in stages:
            for name, option in stage.options.items():
                where = f"{image}.{stage.run}.{name}"
                assert option.help.endswith(".") and "\n" not in option.help, where


def test_stages_that_make_recipes_declare_no_option_twice_with_another_meaning():
    """Recipes move between `quantize` and its accuracy-aware form: what both have, both have alike."""
    for stages in declarations.load(declarations.list_optional()).values():
        by_run = {stage.run: stage for stage in stages}
        if "accuracy_aware" in by_run:
            plain, searched = by_run["quantize"], by_run["accuracy_aware"]
            assert (plain.saturates, plain.cpu_invariant) == (searched.saturates, searched.cpu_invariant)
            for name in plain.options.keys() & searched.options.keys():
                assert plain.options[name] == searched.options[name]
