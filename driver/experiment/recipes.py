"""Recipes: presets, one recipe built upon another, and the stage that carries one out."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from driver.catalog import declarations
from driver.catalog.declarations import Stage
from driver.experiment.yaml_source import LOADER
from shared.contract import Step
from shared.errors import FieldError

PRESETS = Path(__file__).parent / "presets"
PRESET, BASE = "preset", "recipe"
At = tuple[str, ...]


def resolve_recipes(given: Any, catalog: Collection[str] = ()) -> Any:
    """What an experiment's `recipes` stand for: a preset's name, or recipes by image with `preset` beside them.

    A preset also has the recipes that the files of the images in `catalog` add to it. A recipe may name another one of
    its image under `recipe`; it then has that one's settings, but for its own.
    """
    if isinstance(given, str):
        given = {PRESET: given}
    if not isinstance(given, Mapping):
        return given  # decode says what it must be
    own = {image: value for image, value in given.items() if image != PRESET}
    images = load_preset(given[PRESET], ("recipes",), catalog) if PRESET in given else {}
    for image, recipes in own.items():
        images[image] = {**images.get(image, {}), **recipes} if isinstance(recipes, Mapping) else recipes
    return {image: merge_bases(image, recipes) for image, recipes in images.items()}


def load_preset(name: Any, at: At, images: Collection[str] = ()) -> dict[str, Any]:
    """The recipes of a preset by image, with those of `images` own files. FieldError at `at` for an unknown preset."""
    presets = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    if name not in presets:
        raise FieldError(at, f"no preset '{name}'; known are {', '.join(presets)}")
    recipes: dict[str, Any] = yaml.load((PRESETS / f"{name}.yaml").read_text(), LOADER)
    return {**(recipes or {}), **declarations.list_presets(name, images)}


def merge_bases(image: str, recipes: Any) -> Any:
    """The recipes of an image with those they are built upon merged in."""
    if not isinstance(recipes, Mapping):
        return recipes
    named = {str(name): settings for name, settings in recipes.items()}
    return {name: merge_recipe(image, name, named, ()) for name in named}


def merge_recipe(image: str, name: str, recipes: Mapping[str, Any], above: At) -> Any:
    settings = recipes[name]
    if not isinstance(settings, Mapping) or BASE not in settings:
        return settings
    base, at = str(settings[BASE]), ("recipes", image, name, BASE)
    if base not in recipes:
        raise FieldError(at, f"no recipe '{base}' of {image}; known are {', '.join(recipes)}")
    if base in (*above, name):
        raise FieldError(at, f"'{name}' is built upon itself")
    own = {key: value for key, value in settings.items() if key != BASE}
    return {**merge_recipe(image, base, recipes, (*above, name)), **own}


def stage_for(stages: Sequence[Stage], image: str, name: str, given: Mapping[str, Any]) -> Stage:
    """The stage of `image` that makes this recipe: of those whose `when` fits, the one that asks for most.

    A key that the recipe doesn't have counts as the first stage's. FieldError where no stage fits.
    """
    makers = [stage for stage in stages if stage.takes_recipe]
    asked = {**makers[0].when, **given}
    fitting = [stage for stage in makers if all(asked.get(key) == value for key, value in stage.when.items())]
    if fitting:
        return max(fitting, key=lambda stage: len(stage.when))
    key = next(key for key in makers[0].when if not any(stage.when.get(key) == asked[key] for stage in makers))
    allowed = dict.fromkeys(str(stage.when[key]) for stage in makers if key in stage.when)
    raise FieldError(("recipes", image, name, key), f"must be one of {', '.join(allowed)}, not {asked[key]}")


def is_cpu_invariant(stage: Stage, given: Mapping[str, Any]) -> bool:
    """Does the recipe give the same answers on every CPU, by what its stage declares?"""
    return has_all_settings(stage, given, stage.cpu_invariant)


def saturates(stage: Stage, given: Mapping[str, Any]) -> bool:
    """Does it multiply uint8 by int8 in all their bits, by what its stage declares?"""
    return has_all_settings(stage, given, stage.saturates)


def has_all_settings(stage: Stage, given: Mapping[str, Any], choices: Sequence[Mapping[str, Any]]) -> bool:
    """Has the recipe all settings of one of the `choices`? A setting that it doesn't have is the stage's default."""
    settings = {name: given.get(name, option.default) for name, option in stage.options.items()}
    return any(all(settings.get(key) == value for key, value in wanted.items()) for wanted in choices)


def find_maker(step: Step) -> Stage | None:
    """The stage that makes the recipe of this step; None for any other step."""
    stages = declarations.read_all()[step.image].stage if step.image in declarations.read_all() else ()
    return next((stage for stage in stages if stage.takes_recipe and stage.run == step.run), None)


def parameters(stage: Stage, given: Mapping[str, Any], path: At) -> dict[str, Any]:
    """What `stage` is called with; what chose it and is no option of its own is not passed on."""
    own = {key: value for key, value in given.items() if key in stage.options or key not in stage.when}
    return stage.parameters(own, path)
