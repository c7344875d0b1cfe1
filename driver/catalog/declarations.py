"""What the images can make: `images/*/stages.toml`, found by folder, checked, and never imported."""

import tomllib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from shared.artifacts.store import ROOT
from shared.contract import decode
from shared.errors import CrossquantError, FieldError
from shared.text import suggest_names

SHARED_GROUPS = ROOT / "shared" / "stages" / "groups.toml"
LISTS: dict[str, Any] = {"str": list[str], "int": list[int], "float": list[float]}
WEIGHTS = (list[float], dict[str, float], Literal["balanced"])  # of classes: in their order, by name, or all alike


@dataclass(frozen=True)
class Option:
    """A setting of a stage. The default gives the type, of a list `items`; `values` are all that is allowed, if any.

    `help` is one sentence for the reference pages (driver/catalog/reference.py).
    """

    default: Any
    values: tuple[Any, ...] = ()
    min: float | None = None
    max: float | None = None
    items: Literal["str", "int", "float", "weight"] = "str"
    help: str = ""

    def check(self, value: Any, path: tuple[str, ...]) -> Any:
        """`value`, if it is allowed. FieldError says what would be."""
        if isinstance(self.default, list):
            value = check_weights(value, path) if self.items == "weight" else decode(LISTS[self.items], value, path)
        else:
            value = decode(type(self.default), value, path)
        if self.values and value not in self.values:
            raise FieldError(path, f"must be one of {', '.join(map(str, self.values))}, not {value}")
        if self.min is not None and value < self.min:
            raise FieldError(path, f"must be at least {self.min:g}, not {value}")
        if self.max is not None and value > self.max:
            raise FieldError(path, f"must be at most {self.max:g}, not {value}")
        return value


def check_weights(value: Any, path: tuple[str, ...]) -> Any:
    """`value` as one of WEIGHTS. FieldError where it is none."""
    for kind in WEIGHTS:
        with suppress(FieldError):
            return decode(kind, value, path)
    raise FieldError(path, "must be balanced, a number for each class, or numbers by class, such as {cat: 1, dog: 5}")


@dataclass(frozen=True)
class Group:
    """What several stages have in common: a `[group.NAME]` of a stages.toml, or one of shared/stages/groups.toml."""

    cpu_invariant: tuple[dict[str, Any], ...] = ()
    saturates: tuple[dict[str, Any], ...] = ()
    options: dict[str, Option] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """One `[[stage]]` of a stages.toml; `{recipe}` and `{variant}` in its names stand for many.

    `when` has the settings of the recipes that this stage makes, where an image has several stages for recipes: the
    first stage's are what a recipe has that doesn't say. A stage that makes no recipe is part of an experiment if
    `when` is true of it: `start` is `keras` or `onnx`, what the user's model is. `cpu_invariant` has settings any of
    which makes a recipe answer alike on every CPU, `saturates` settings any of which makes it multiply uint8 by int8 in
    all their bits, which saturates on a CPU that has AVX2 and no VNNI. `repeat` names the option that says how often
    the stage is run, image after image in turn; `tool` the package whose work the stage is.

    `run` is the name of the stage and of its module in the image's folder, unless `module` names another one. `modules`
    are modules of the image, by the names of the arguments that a shared stage takes them by. What the `groups` have is
    part of the stage when its file has been read.
    """

    run: str
    output: str
    inputs: tuple[str, ...]
    optional: tuple[str, ...] = ()
    default: bool = True
    when: dict[str, Any] = field(default_factory=dict)
    cpu_invariant: tuple[dict[str, Any], ...] = ()
    saturates: tuple[dict[str, Any], ...] = ()
    repeat: str = ""
    tool: str = ""
    module: str = ""
    modules: dict[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    options: dict[str, Option] = field(default_factory=dict)

    @property
    def takes_recipe(self) -> bool:
        return "{recipe}" in self.output

    def parameters(self, given: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        """All options of the stage, with what is `given`. FieldError for an unknown or disallowed one."""
        for key in given:
            if key not in self.options:
                raise FieldError((*path, key), f"unknown key; {suggest_names(key, self.options)}")
        return {
            name: option.check(given.get(name, option.default), (*path, name)) for name, option in self.options.items()
        }


@dataclass(frozen=True)
class Image:
    """One stages.toml. `title` is the framework's name; an `optional` image takes part where it is built or asked for.

    `presets` has, by the name of a preset, the recipes that it has for this image.
    """

    stage: tuple[Stage, ...]
    title: str = ""
    optional: bool = False
    group: dict[str, Group] = field(default_factory=dict)
    presets: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)


Catalog = dict[str, tuple[Stage, ...]]


def load(wanted: Collection[str] = (), root: Path = ROOT) -> Catalog:
    """The stages of each image by the name of its folder: those of all that aren't optional, and of those `wanted`."""
    images = read_all(root)
    for name in wanted:
        if name not in images:
            raise CrossquantError(f"no image '{name}': known are {', '.join(images)}")
    return {name: image.stage for name, image in images.items() if not image.optional or name in wanted}


def list_optional(root: Path = ROOT) -> tuple[str, ...]:
    """The names of the optional images."""
    return tuple(name for name, image in read_all(root).items() if image.optional)


def list_presets(preset: str, images: Collection[str], root: Path = ROOT) -> dict[str, dict[str, dict[str, Any]]]:
    """The recipes, by image, that these images' own files have in a preset."""
    by_image = {name: image.presets.get(preset, {}) for name, image in read_all(root).items() if name in images}
    return {name: recipes for name, recipes in by_image.items() if recipes}


def list_titles(root: Path = ROOT) -> dict[str, str]:
    """What each image's framework is called."""
    return {name: image.title or name for name, image in read_all(root).items()}


@cache
def read_all(root: Path = ROOT) -> dict[str, Image]:
    """Every image's file, by the name of its folder."""
    return {path.parent.name: read(path) for path in sorted((root / "images").glob("*/stages.toml"))}


def read(path: Path) -> Image:
    """The image's file, with what each stage has by its groups."""
    try:
        image: Image = decode(Image, tomllib.loads(path.read_text()))
        groups = {**read_shared_groups(), **image.group}
        stages = [add_groups(stage, groups, ("stage", str(number))) for number, stage in enumerate(image.stage)]
    except (tomllib.TOMLDecodeError, FieldError) as error:
        raise CrossquantError(f"{path}: {error}") from None
    return replace(image, stage=tuple(stages))


@cache
def read_shared_groups() -> dict[str, Group]:
    """The groups that the stages of every image can name."""
    groups: dict[str, Group] = decode(dict[str, Group], tomllib.loads(SHARED_GROUPS.read_text()))
    return groups


def add_groups(stage: Stage, groups: Mapping[str, Group], path: tuple[str, ...]) -> Stage:
    """The stage with all that its groups have before its own. FieldError for an option that is there twice."""
    for name in stage.groups:
        if name not in groups:
            raise FieldError((*path, "groups"), f"no group '{name}'; known are {', '.join(groups)}")
    members: list[Group | Stage] = [*(groups[name] for name in stage.groups), stage]
    options: dict[str, Option] = {}
    for name, option in chain.from_iterable(member.options.items() for member in members):
        if name in options:
            raise FieldError((*path, "options", name), "is an option of one of the groups already")
        options[name] = option
    return replace(
        stage,
        cpu_invariant=tuple(chain.from_iterable(member.cpu_invariant for member in members)),
        saturates=tuple(chain.from_iterable(member.saturates for member in members)),
        options=options,
    )
