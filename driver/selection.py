"""Choose recipes honestly: ranked on training images that calibrate nothing, the winners' test accuracy told once.

Two experiments come of one. `NAME.select` has many recipes, several draws and the selection set as its judge;
`NAME.selected` has the winners, and the test set as its judge. Both are files in volumes/inputs/, to be looked at, run
and reported like any other.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from driver import draws
from driver.results import Comparison, Variant
from driver.wording import milliseconds
from shared import store

PRESET, DRAWS = "thorough", 5
TRIAL, FINAL = "select", "selected"
WHY_TRIAL = "Made by `run --select`: many recipes, ranked on training images that calibrate nothing."
WHY_FINAL = "Made by `run --select`: the recipes that won, and their accuracy on the test set."
TOLERANCE = 0.001  # of accuracy: less than any selection set of a sensible size can tell


@dataclass(frozen=True)
class Choice:
    """Of one image: names of its best variants. `front` is the Pareto front of accuracy and latency, fastest first.

    `accuracy`: of those that the draws' noise doesn't tell from the most accurate, the fastest. `latency`: of those
    that the timings' noise doesn't tell from the fastest, the most accurate. `recommended`: of those that are faster
    than their float twin and within TOLERANCE of the most accurate of these, the fastest.
    """

    image: str
    accuracy: str
    latency: str
    recommended: str
    front: tuple[str, ...]

    @property
    def winners(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.recommended, self.accuracy, self.latency)))


def choose(trial: Comparison) -> tuple[Choice, ...]:
    """The best of each image that has sound quantized variants with timings."""
    floor = max((item.share for item in trial.noise), default=0.0)
    timed = [row for row in trial.variants if row.status == "ok" and row.latency_ms is not None]
    floats = {row.image: row for row in timed if not row.quantized}
    images = dict.fromkeys(row.image for row in timed if row.quantized)
    return tuple(
        best(image, [row for row in timed if row.image == image and row.quantized], floats.get(image), floor)
        for image in images
    )


def best(image: str, rows: Sequence[Variant], twin: Variant | None, floor: float) -> Choice:
    most, fastest = max(rows, key=accuracy), min(rows, key=milliseconds)
    as_good = [row for row in rows if row is most or draws.equal(accuracies(row), accuracies(most))]
    as_fast = [row for row in rows if milliseconds(row) <= milliseconds(fastest) * (1 + floor)]
    faster = [row for row in rows if twin is None or milliseconds(row) < milliseconds(twin)] or list(rows)
    near = max(accuracy(row) for row in faster) - TOLERANCE
    return Choice(
        image,
        accuracy=min(as_good, key=milliseconds).name,
        latency=max(as_fast, key=accuracy).name,
        recommended=min((row for row in faster if accuracy(row) >= near), key=milliseconds).name,
        front=tuple(row.name for row in pareto(rows)),
    )


def pareto(rows: Sequence[Variant]) -> list[Variant]:
    """Those than which no other one is both as fast and more accurate, the fastest first."""
    front: list[Variant] = []
    for row in sorted(rows, key=lambda row: (milliseconds(row), -accuracy(row))):
        if not front or accuracy(row) > accuracy(front[-1]):
            front.append(row)
    return front


def accuracy(row: Variant) -> float:
    """The mean over the draws, where there are several."""
    return row.draws.mean if row.draws else row.accuracy or 0.0


def accuracies(row: Variant) -> tuple[float, ...]:
    return row.draws.accuracies if row.draws else (row.accuracy or 0.0,)


def trial(data: dict[str, Any]) -> dict[str, Any]:
    """The experiment that ranks: `data` is the file of the one that was asked for. No gates, and no other CPUs yet."""
    left_out = ("gates", "other_cpus", "recommended", "curve")
    kept = {key: value for key, value in data.items() if key not in left_out}
    return kept | {
        "name": f"{data['name']}.{TRIAL}",
        "split": "selection",
        "draws": max(data.get("draws", 1), DRAWS),
        "recipes": {"preset": PRESET, **own(data.get("recipes", {}))},
    }


def own(recipes: Any) -> dict[str, Any]:
    """The recipes that the experiment has beside its preset: they take part too."""
    return {} if isinstance(recipes, str) else {key: value for key, value in recipes.items() if key != "preset"}


def final(data: dict[str, Any], choices: Sequence[Choice], recipes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The experiment that tells the winners' test accuracy; `recipes` are those of the trial, by image.

    A quantized reference takes part too. Of the curve there remains what is asked of winners.
    """
    winners = [name for choice in choices for name in choice.winners]
    return data | {
        "name": f"{data['name']}.{FINAL}",
        "split": "test",
        "draws": max(data.get("draws", 1), DRAWS),
        "recipes": only(recipes, {*winners, data.get("reference", "")}),
        "recommended": winners,
        "curve": curve(data.get("curve", {}), winners),
    }


def only(recipes: dict[str, dict[str, Any]], variants: Container[str]) -> dict[str, dict[str, Any]]:
    """Those of `recipes` that make `variants`."""
    found = {
        image: {name: given for name, given in named.items() if f"{image}.{name}" in variants}
        for image, named in recipes.items()
    }
    return {image: named for image, named in found.items() if named}


def curve(asked: dict[str, Any], winners: Sequence[str]) -> dict[str, Any]:
    variants = [name for name in asked.get("variants", ()) if name in winners]
    return asked | {"variants": variants} if variants else {}


def write(data: dict[str, Any], why: str) -> Path:
    """The experiment as a file in volumes/inputs/, where `--experiment` finds it by name."""
    path = store.volumes() / "inputs" / f"{data['name']}.yaml"
    store.write_atomically(path, f"# {why}\n" + yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    return path


def told(choices: Sequence[Choice], ranked: Comparison) -> list[str]:
    """What was chosen, in words."""
    images = ranked.dataset["test_images"]
    lines = [f"Chosen on {images:,} training images that calibrate nothing; the test set was not looked at:"]
    for choice in choices:
        lines += [
            f"{choice.image}: {choice.recommended} is recommended; best accuracy {choice.accuracy}, "
            f"least latency {choice.latency}; Pareto front {', '.join(choice.front)}"
        ]
    return lines
