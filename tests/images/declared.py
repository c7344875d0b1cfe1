"""The stages of an image as its stages.toml declares them, for tests that call them as the stage runner does."""

import importlib
from pathlib import Path
from typing import Any

from driver.catalog import declarations
from driver.catalog.declarations import Stage
from shared.artifacts.store import ROOT


def stage(image: str, run: str) -> Stage:
    """The first stage of the image that is called `run`."""
    stages = declarations.read(ROOT / "images" / image / "stages.toml").stage
    return next(each for each in stages if each.run == run)


def defaults(image: str, run: str) -> dict[str, Any]:
    """The options of the stage with their defaults, without the one that says how often it is run."""
    declared = stage(image, run)
    return {name: option.default for name, option in declared.options.items() if name != declared.repeat}


def entry(image: str, run: str) -> str:
    """The name of the module that has the stage's `run`."""
    return stage(image, run).module or f"images.{image}.{run}"


def modules(image: str, run: str) -> dict[str, Any]:
    """The modules of the image that the stage is given."""
    names = stage(image, run).modules
    return {name: importlib.import_module(f"images.{image}.{module}") for name, module in names.items()}


def call(image: str, run: str, *paths: Path | dict[str, Path], **options: Any) -> None:
    """Run the stage with its defaults and `options`, in this process."""
    module = importlib.import_module(entry(image, run))
    module.run(*paths, **modules(image, run), **defaults(image, run) | options)
