"""Choose recipes honestly: rank them on training images that calibrate nothing, and test the winners once.

Two experiments come of one. `NAME.select` has many recipes, several draws and is evaluated on the selection set;
`NAME.selected` has the winners, and is evaluated on the test set. Both are files in volumes/inputs/, to be looked at,
run and reported like any other.
"""

from collections.abc import Collection, Container, Sequence
from pathlib import Path
from typing import Any

import yaml

from driver.catalog.declarations import Catalog
from driver.decision.ranking import Choice
from driver.experiment import recipes
from driver.experiment.model import Select
from shared.artifacts import store

TRIAL, FINAL = "select", "selected"
WHY_TRIAL = "Made by `run --select`: many recipes, ranked on training images that calibrate nothing."
WHY_FINAL = "Made by `run --select`: the recipes that won, and their accuracy on the test set."


def find_cpu_invariant_variants(catalog: Catalog, recipes_by_image: dict[str, dict[str, dict[str, Any]]]) -> set[str]:
    """Of recipes by image and name, the variants that answer alike on every CPU."""
    return {
        f"{image}.{name}"
        for image, named in recipes_by_image.items()
        for name, given in named.items()
        if recipes.is_cpu_invariant(recipes.stage_for(catalog[image], image, name, given), given)
    }


def make_trial(data: dict[str, Any], asked: Select, images: Collection[str] = ()) -> dict[str, Any]:
    """The experiment that ranks: `data` is the file of the one that was asked for. No gates, and no other CPUs yet.

    `images` are those that take part.
    """
    left_out = ("gates", "targets", "other_cpus", "recommended", "curve", "multiplicity", "require")
    kept = {key: value for key, value in data.items() if key not in left_out}
    return kept | {
        "name": f"{data['name']}.{TRIAL}",
        "split": "selection",
        "draws": max(data.get("draws", 1), asked.draws),
        "recipes": {"preset": asked.preset, **recipes.resolve_recipes(data.get("recipes", {}), images)},
    }


def make_final(
    data: dict[str, Any],
    asked: Select,
    choices: Sequence[Choice],
    overall: str,
    trial_recipes: dict[str, dict[str, dict[str, Any]]],
) -> dict[str, Any]:
    """The experiment that tests the winners; `trial_recipes` are the recipes of the trial, by image.

    They are tested in a sequence, the `overall` winner first: since the training images chose it, it needs no
    correction for those that lost. A quantized reference takes part too. Of the curve there remains what is asked of
    winners.
    """
    winners = list(dict.fromkeys([overall, *(name for choice in choices for name in choice.winners)]))
    return data | {
        "name": f"{data['name']}.{FINAL}",
        "split": "test",
        "draws": max(data.get("draws", 1), asked.draws),
        "recipes": select_recipes(trial_recipes, {*winners, data.get("reference", "")}),
        "recommended": winners,
        "multiplicity": "sequence",
        "curve": select_curve(data.get("curve", {}), winners),
    }


def select_recipes(every: dict[str, dict[str, dict[str, Any]]], variants: Container[str]) -> dict[str, dict[str, Any]]:
    """Those of `every` recipe that make `variants`."""
    chosen = {
        image: {name: given for name, given in named.items() if f"{image}.{name}" in variants}
        for image, named in every.items()
    }
    return {image: named for image, named in chosen.items() if named}


def select_curve(asked: dict[str, Any], winners: Sequence[str]) -> dict[str, Any]:
    variants = [name for name in asked.get("variants", ()) if name in winners]
    return asked | {"variants": variants} if variants else {}


class PlainDumper(yaml.SafeDumper):
    """Writes every value in full, without YAML aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_experiment(data: dict[str, Any], why: str) -> Path:
    """The experiment as a file in volumes/inputs/, where `--experiment` finds it by name."""
    path = store.volumes() / "inputs" / f"{data['name']}.yaml"
    text = yaml.dump(data, Dumper=PlainDumper, sort_keys=False, allow_unicode=True)
    store.write_atomically(path, f"# {why}\n{text}")
    return path
