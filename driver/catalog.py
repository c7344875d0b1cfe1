"""What the images can make: `images/*/stages.toml`, found by folder, checked, and never imported."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.contract import decode
from shared.errors import CrossquantError, FieldError
from shared.store import ROOT


@dataclass(frozen=True)
class Option:
    """A setting of a stage. The default gives the type; `values` are all that is allowed, if there are any."""

    default: Any
    values: tuple[Any, ...] = ()
    min: float | None = None
    max: float | None = None

    def check(self, value: Any, path: tuple[str, ...]) -> Any:
        """`value`, if it is allowed. FieldError says what would be."""
        decode(list[str] if self.default == [] else type(self.default), value, path)
        if self.values and value not in self.values:
            raise FieldError(path, f"must be one of {', '.join(map(str, self.values))}, not {value}")
        if self.min is not None and value < self.min:
            raise FieldError(path, f"must be at least {self.min:g}, not {value}")
        if self.max is not None and value > self.max:
            raise FieldError(path, f"must be at most {self.max:g}, not {value}")
        return value


@dataclass(frozen=True)
class Stage:
    """One `[[stage]]` of a stages.toml; `{recipe}` and `{variant}` in its names stand for many.

    `when` has the settings of the recipes that this stage makes, where an image has several stages for recipes: the
    first stage's are what a recipe has that doesn't say. `safe` has settings any of which makes a recipe answer alike
    on every CPU. `repeat` names the option that says how often the stage is run, image after image in turn; `tool` the
    package whose work the stage is.
    """

    run: str
    output: str
    inputs: tuple[str, ...]
    optional: tuple[str, ...] = ()
    default: bool = True
    when: dict[str, Any] = field(default_factory=dict)
    safe: tuple[dict[str, Any], ...] = ()
    repeat: str = ""
    tool: str = ""
    options: dict[str, Option] = field(default_factory=dict)

    @property
    def takes_recipe(self) -> bool:
        return "{recipe}" in self.output

    def parameters(self, given: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
        """All options of the stage, with what is `given`. FieldError for an unknown or disallowed one."""
        for key in given:
            if key not in self.options:
                raise FieldError((*path, key), f"unknown key; known are {', '.join(self.options)}")
        return {
            name: option.check(given.get(name, option.default), (*path, name)) for name, option in self.options.items()
        }


@dataclass(frozen=True)
class _File:
    stage: tuple[Stage, ...]


Catalog = dict[str, tuple[Stage, ...]]


def load(root: Path = ROOT) -> Catalog:
    """The stages of each image, by the name of its folder."""
    found = sorted((root / "images").glob("*/stages.toml"))
    return {path.parent.name: read(path) for path in found}


def read(path: Path) -> tuple[Stage, ...]:
    try:
        file: _File = decode(_File, tomllib.loads(path.read_text()))
    except (tomllib.TOMLDecodeError, FieldError) as error:
        raise CrossquantError(f"{path}: {error}") from None
    return file.stage
