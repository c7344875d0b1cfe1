"""The options of each command, for argparse and for what a shell completes.

Only the standard library and modules that do the same are imported here: `--help` must not wait for NumPy.
"""

import argparse
from collections.abc import Callable
from typing import Any, get_args

from driver.cli import completion
from driver.cli.arguments import TASKS, EngineName
from shared.command import DEFAULT_EXPERIMENT


def add_new(to: argparse.ArgumentParser) -> None:
    to.add_argument("--model", required=True, metavar="FILE", help=".keras, .h5 or .onnx, or a SavedModel folder")
    to.add_argument("--data", required=True, metavar="PATH", help="a file or folder: docs/your-data.md")
    to.add_argument("--name", default="", help="of the experiment (default: that of the model's file)")
    to.add_argument("--task", default="", choices=TASKS, help="what the model does (default: by the labels)")
    to.add_argument("--code", default="", metavar="FILE", help="Python file with the model's own layers")
    settings = "a setting of the data section"
    to.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", help=settings)
    look = "write it without opening the model and reading the data"
    to.add_argument("--no-check", dest="check", action="store_false", help=look)
    add_sandbox(to)
    to.add_argument("--force", action="store_true", help="write over the experiment that is there")


def add_run(to: argparse.ArgumentParser) -> None:
    targets = to.add_argument(
        "targets", nargs="*", metavar="TARGET", help="artifacts, with all they need (default: all)"
    )
    complete(targets, completion.list_artifacts)
    add_engine(to)
    to.add_argument("--select", action="store_true", help="choose recipes on training images, then test the winners")
    add_experiment(to)
    add_sample(to)
    add_junit(to)
    add_baseline(to)


def add_list(to: argparse.ArgumentParser) -> None:
    add_images(to)
    add_experiment(to)


def add_report(to: argparse.ArgumentParser) -> None:
    add_experiment(to)
    add_junit(to)
    add_baseline(to)


def add_explain(to: argparse.ArgumentParser) -> None:
    complete(to.add_argument("variant", metavar="VARIANT", help="such as onnx.int8"), completion.list_variants)
    add_check_data(to)


def add_check_data(to: argparse.ArgumentParser) -> None:
    add_engine(to)
    add_experiment(to)
    add_sample(to)


def add_diff(to: argparse.ArgumentParser) -> None:
    run = "the folder of an experiment's run, or its name below volumes/"
    complete(to.add_argument("before", metavar="RUN_A", help=run), completion.list_runs)
    complete(to.add_argument("after", metavar="RUN_B"), completion.list_runs)
    add_fail_on(to)


def add_inspect(to: argparse.ArgumentParser) -> None:
    to.add_argument("model", metavar="MODEL", help="a .keras, .h5 or .onnx file, or a SavedModel folder")
    to.add_argument("--code", default="", metavar="FILE", help="the Python file with the model's own layers")
    add_engine(to)


def add_fetch(to: argparse.ArgumentParser) -> None:
    add_experiment(to)
    add_sample(to)


def add_build(to: argparse.ArgumentParser) -> None:
    images = "such as litert (default: all that aren't optional, and those that are built)"
    complete(to.add_argument("images", nargs="*", metavar="IMAGE", help=images), completion.list_images)


def add_doctor(to: argparse.ArgumentParser) -> None:
    to.add_argument("--fix", action="store_true", help="write .env, copy wheels, get the base image")


def add_images(to: argparse.ArgumentParser) -> None:
    option = to.add_argument(
        "--with", dest="images", action="append", default=[], metavar="IMAGE", help="an optional image too"
    )
    complete(option, completion.list_optional_images)


def add_engine(to: argparse.ArgumentParser) -> None:
    add_images(to)
    add_sandbox(to)
    to.add_argument("--force", action="store_true", help="make them even if they are fresh")


def add_sandbox(to: argparse.ArgumentParser) -> None:
    """What the stages run in, and how far the model is trusted there."""
    to.add_argument("--trust", action="store_true", help="let code inside the model file run, in its sandbox")
    to.add_argument("--engine", choices=get_args(EngineName), default="auto", help="default: auto")
    to.add_argument("--no-sandbox", action="store_true", help="virtual environments without bubblewrap around them")


def add_experiment(to: argparse.ArgumentParser) -> None:
    default = DEFAULT_EXPERIMENT
    help_text = f"a file, or one of ours (default: {default})"
    option = to.add_argument("--experiment", default=default, metavar="FILE", help=help_text)
    complete(option, completion.list_experiments)


def add_sample(to: argparse.ArgumentParser) -> None:
    to.add_argument("--sample", action="store_true", help="use the embedded sample of the data")


def add_junit(to: argparse.ArgumentParser) -> None:
    to.add_argument(
        "--junit", default="", metavar="FILE", help="write decision and gates as JUnit XML, for a CI server"
    )


def add_baseline(to: argparse.ArgumentParser) -> None:
    run = "a run that this one must not be worse than, by --fail-on: a folder, or a name below volumes/"
    complete(to.add_argument("--baseline", default="", metavar="RUN", help=run), completion.list_runs)
    add_fail_on(to)


def add_fail_on(to: argparse.ArgumentParser) -> None:
    limit = (
        "exit with 1 where a variant is worse by more: drop_pp=0.5 (points), drop_pp=0.5@95%% (by the worse end of "
        "the interval), worse_percent=1, changed=1%%, class_drop_pp=3, p50_ms=10%% (or 0.05), size_kb=5%%, and the "
        "other gates on costs; repeatable: docs/ci.md"
    )
    to.add_argument("--fail-on", action="append", default=[], metavar="METRIC=LIMIT", help=limit)


def add_json(to: argparse.ArgumentParser) -> None:
    to.add_argument("--json", action="store_true", help="print the answer as JSON, and everything else to stderr")


def add_display(to: argparse.ArgumentParser, *, default: Any = False) -> None:
    """Beside the command's name or after it: `default` is argparse.SUPPRESS where the other one must hold."""
    either = to.add_mutually_exclusive_group()
    either.add_argument(
        "--quiet", "-q", action="store_true", default=default, help="print errors and the answer, no progress"
    )
    either.add_argument(
        "--verbose",
        "-v",
        action="store_true",
        default=default,
        help="print what is started, where logs are, and all of a comparison",
    )


def complete(action: argparse.Action, completer: Callable[..., list[str]]) -> None:
    """What argcomplete offers for the values of an argument."""
    action.completer = completer  # type: ignore[attr-defined]  # as argcomplete wants it
