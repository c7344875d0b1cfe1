"""What a shell offers for the values of arguments, by argcomplete. A completer that fails offers nothing.

Every import of the driver is late: these modules take longer to import than `--help` may take.
"""

import argparse
from collections.abc import Callable
from functools import wraps
from typing import Any

Completer = Callable[..., list[str]]


def offer(complete: Callable[[argparse.Namespace], list[str]]) -> Completer:
    """Called by argcomplete. An error can't be shown while a user types."""

    @wraps(complete)
    def completer(prefix: str = "", parsed_args: argparse.Namespace | None = None, **_: object) -> list[str]:
        try:
            names = complete(parsed_args or argparse.Namespace())
        except Exception:  # noqa: BLE001 - a broken experiment, say: the command itself will tell
            return []
        return [name for name in names if name.startswith(prefix)]

    return completer


def list_experiments(prefix: str = "", **_: object) -> list[str]:
    """The experiments that `--experiment` finds by name, and files."""
    from argcomplete.completers import FilesCompleter

    return [*_list_names(prefix), *FilesCompleter(("yaml", "yml"))(prefix)]


@offer
def _list_names(_: argparse.Namespace) -> list[str]:
    from driver.experiment import loader

    return loader.list_names()


@offer
def list_images(_: argparse.Namespace) -> list[str]:
    from driver.catalog import declarations

    return [*declarations.load(declarations.list_optional()), "driver"]


@offer
def list_optional_images(_: argparse.Namespace) -> list[str]:
    from driver.catalog import declarations

    return list(declarations.list_optional())


@offer
def list_runs(_: argparse.Namespace) -> list[str]:
    """Folders below volumes/ that have a comparison."""
    from shared.artifacts import store

    return sorted(path.parents[1].name for path in store.volumes().glob("*/comparison/comparison.json"))


@offer
def list_artifacts(arguments: argparse.Namespace) -> list[str]:
    """The artifacts that `run` can make of the experiment on the command line."""
    return [step.output for step in _make_plan(arguments).steps]


@offer
def list_variants(arguments: argparse.Namespace) -> list[str]:
    """The quantized variants that `explain` takes."""
    from driver.cli.workflow import list_explainable

    return list_explainable(_make_plan(arguments))


def _make_plan(arguments: argparse.Namespace) -> Any:  # Plan, which takes as long to import as all the rest of `--help`
    from driver.cli.workflow import load_experiment, make_current_plan
    from shared.command import DEFAULT_EXPERIMENT

    name = getattr(arguments, "experiment", None) or DEFAULT_EXPERIMENT
    return make_current_plan(load_experiment(name, looks_back=True, warn=False))
