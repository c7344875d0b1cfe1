"""Presets, recipes built upon others, and the choice of the stage that makes a recipe."""

import itertools

import pytest

from driver.catalog import declarations
from driver.catalog.declarations import Option, Stage
from driver.experiment import recipes
from shared.errors import FieldError

STAGES = (
    Stage("fold_batchnorm", "onnx.fp32", ()),
    Stage("quantize", "onnx.{recipe}", (), when={"method": "static"}, options={"exclude": Option([])}),
    Stage("dynamic", "onnx.{recipe}", (), when={"method": "dynamic"}),
    Stage("accuracy_aware", "onnx.{recipe}", (), when={"method": "static", "exclude": "auto"}),
)


def test_a_recipe_may_be_built_upon_another():
    given = {"onnx": {"a": {"weight": "int8", "per_channel": True}, "b": {"recipe": "a", "weight": "uint8"}}}
    assert recipes.resolve_recipes(given)["onnx"]["b"] == {"weight": "uint8", "per_channel": True}


def test_a_chain_of_recipes_ends_at_its_first():
    given = {"onnx": {"c": {"recipe": "b"}, "b": {"recipe": "a", "x": 2}, "a": {"x": 1, "y": 1}}}
    assert recipes.resolve_recipes(given)["onnx"]["c"] == {"x": 2, "y": 1}


@pytest.mark.parametrize(
    ("given", "path", "problem"),
    [
        ({"a": {"recipe": "z"}}, ("recipes", "onnx", "a", "recipe"), "no recipe 'z' of onnx; known are a"),
        ({"a": {"recipe": "a"}}, ("recipes", "onnx", "a", "recipe"), "'a' is built upon itself"),
        (
            {"a": {"recipe": "b"}, "b": {"recipe": "a"}},
            ("recipes", "onnx", "b", "recipe"),
            "'b' is built upon itself",
        ),
    ],
)
def test_a_base_that_can_not_be(given, path, problem):
    with pytest.raises(FieldError) as caught:
        recipes.resolve_recipes({"onnx": given})
    assert (caught.value.path, caught.value.problem) == (path, problem)


def test_a_preset_by_name_and_with_recipes_beside_it():
    preset = recipes.resolve_recipes("default")
    assert preset["onnx"]["int8"] == {"activation": "int8", "weight": "int8"}
    more = recipes.resolve_recipes({"preset": "default", "onnx": {"mine": {"recipe": "int8", "weight": "uint8"}}})
    assert more["onnx"] == {**preset["onnx"], "mine": {"activation": "int8", "weight": "uint8"}}
    assert more["torch"] == preset["torch"]


def test_an_unknown_preset_names_the_known():
    with pytest.raises(FieldError) as caught:
        recipes.resolve_recipes("best")
    assert caught.value.problem.startswith("no preset 'best'; known are default")


@pytest.mark.parametrize(
    ("given", "run"),
    [
        ({}, "quantize"),
        ({"method": "static"}, "quantize"),
        ({"exclude": ["conv1"]}, "quantize"),
        ({"exclude": "auto"}, "accuracy_aware"),
        ({"method": "dynamic"}, "dynamic"),
    ],
)
def test_a_recipe_chooses_its_stage(given, run):
    assert recipes.stage_for(STAGES, "onnx", "mine", given).run == run


def test_an_unknown_method_names_the_known_ones():
    with pytest.raises(FieldError) as caught:
        recipes.stage_for(STAGES, "onnx", "mine", {"method": "magic"})
    assert str(caught.value) == "recipes.onnx.mine.method: must be one of static, dynamic, not magic"


def test_what_chose_the_stage_is_not_passed_on_unless_it_is_an_option():
    assert recipes.parameters(STAGES[1], {"method": "static", "exclude": ["a"]}, ()) == {"exclude": ["a"]}
    assert recipes.parameters(STAGES[3], {"exclude": "auto"}, ()) == {}
    with pytest.raises(FieldError):
        recipes.parameters(STAGES[1], {"exclude": [1]}, ())


@pytest.mark.parametrize("path", sorted(recipes.PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_has_recipes_that_the_images_know(path):
    for image, image_recipes in recipes.resolve_recipes(path.stem).items():
        stages = declarations.load()[image]
        for name, given in image_recipes.items():
            stage = recipes.stage_for(stages, image, name, given)
            recipes.parameters(stage, given, ("recipes", image, name))


ALL = declarations.load(declarations.list_optional())
MAKERS = [(image, stage) for image in ALL for stage in ALL[image] if stage.takes_recipe]


@pytest.mark.parametrize(("image", "stage"), MAKERS, ids=lambda value: getattr(value, "run", value))
def test_no_recipe_of_ours_both_saturates_and_answers_alike_everywhere(image, stage):
    """Of every combination of the settings that the two are declared by, each an option with such a value."""
    named = {key for choice in (*stage.cpu_invariant, *stage.saturates) for key in choice}
    for choice in (*stage.cpu_invariant, *stage.saturates):
        stage.parameters(choice, (image, stage.run))
    values = [stage.options[key].values or (False, True) for key in sorted(named)]
    for combination in itertools.product(*values):
        given = dict(zip(sorted(named), combination, strict=True))
        assert not (recipes.is_cpu_invariant(stage, given) and recipes.saturates(stage, given)), given
