"""Commands: `python -m driver new | inspect | run | list | report | explain | check-data | diff | fetch | doctor`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn, TypeAlias, get_args

from driver.experiment import loader

try:
    from rich.console import Console
except ModuleNotFoundError:
    print(f"error: {sys.executable} lacks what the driver needs: `make setup`, then .venv/bin/python", file=sys.stderr)
    sys.exit(2)

from driver.cli import commands
from shared.data.samples import Task
from shared.errors import CrossquantError, StageError, explain
from shared.text import printable

LONGEST = 4000  # characters of an error
INTERRUPTED = 130
TASKS = get_args(Task)

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(argv: Sequence[str] | None = None) -> int:
    """0: all gates hold; 1: one fails; 2: wrong use or a broken contract; 3: a stage failed."""
    arguments = parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return int(arguments.command(arguments))
    except CrossquantError as error:
        return refuse(str(error), error.exit_code)
    except OSError as error:
        return refuse(explain(error), StageError.exit_code)
    except KeyboardInterrupt:
        print("stopped: finished artifacts are kept, run again to go on", file=sys.stderr)
        return INTERRUPTED


def refuse(message: str, exit_code: int) -> int:
    text = f"error: {printable(message, LONGEST)}"
    Console(stderr=True).print(text, style="bold red", soft_wrap=True, markup=False, highlight=False)
    return exit_code


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m driver", description=__doc__)
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")
    looking = (add_list, add_report, add_explain, add_check_data, add_diff)
    for add in (add_new, add_inspect, add_run, *looking, add_fetch, add_doctor):
        add(subparsers)
    return top


def add_new(to: Commands) -> None:
    add = to.add_parser("new", help="write an experiment for a model and data of your own")
    add.add_argument("--model", required=True, metavar="FILE", help=".keras, .h5 or .onnx, or a SavedModel folder")
    add.add_argument("--data", required=True, metavar="PATH", help="a file or folder: docs/your-data.md")
    add.add_argument("--name", default="", help="of the experiment (default: that of the model's file)")
    add.add_argument("--task", default="", choices=TASKS, help="what the model does (default: by the labels)")
    add.add_argument("--code", default="", metavar="FILE", help="Python file with the model's own layers")
    add.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the data section")
    add.add_argument("--trust", action="store_true", help="let code inside the model file run, in its sandbox")
    add.add_argument("--force", action="store_true", help="write over the experiment that is there")
    add.set_defaults(command=commands.new)


def add_run(to: Commands) -> None:
    add = to.add_parser("run", help="make artifacts, then compare")
    add.add_argument("targets", nargs="*", metavar="TARGET", help="artifacts, with all they need (default: all)")
    add_engine(add)
    add.add_argument("--select", action="store_true", help="choose recipes on training images, then test the winners")
    add_experiment(add)
    add_sample(add)
    add_junit(add)
    add.set_defaults(command=commands.run)


def add_list(to: Commands) -> None:
    add = to.add_parser("list", help="show every stage, its inputs and whether it is fresh")
    add_with(add)
    add_experiment(add)
    add.set_defaults(command=commands.list_stages, looks_back=True)


def add_report(to: Commands) -> None:
    add = to.add_parser("report", help="compare what is on the volume, running nothing")
    add_experiment(add)
    add_junit(add)
    add.set_defaults(command=commands.report, looks_back=True)


def add_explain(to: Commands) -> None:
    add = to.add_parser("explain", help="which layers of a quantized variant lose how much")
    add.add_argument("variant", metavar="VARIANT", help="such as onnx.int8")
    add_engine(add)
    add_experiment(add)
    add_sample(add)
    add.set_defaults(command=commands.explain)


def add_check_data(to: Commands) -> None:
    add = to.add_parser("check-data", help="ranges, classes, duplicates, and twins of the declared preprocessing")
    add_engine(add)
    add_experiment(add)
    add_sample(add)
    add.set_defaults(command=commands.check_data)


def add_diff(to: Commands) -> None:
    add = to.add_parser("diff", help="two runs side by side: versions, accuracy, size, latency")
    add.add_argument("before", metavar="RUN_A", help="the folder of an experiment's run, or its name below volumes/")
    add.add_argument("after", metavar="RUN_B")
    add.set_defaults(command=commands.diff)


def add_inspect(to: Commands) -> None:
    add = to.add_parser("inspect", help="what a model is, and how far each framework carries it")
    add.add_argument("model", metavar="MODEL", help="a .keras, .h5 or .onnx file, or a SavedModel folder")
    add.add_argument("--code", metavar="FILE", help="the Python file with the model's own layers")
    add.add_argument("--json", action="store_true", help="print JSON")
    add_engine(add)
    add.set_defaults(command=commands.inspect)


def add_fetch(to: Commands) -> None:
    add = to.add_parser("fetch", help="get data set and model, and write the plan")
    add_experiment(add)
    add_sample(add)
    add.set_defaults(command=commands.fetch)


def add_doctor(to: Commands) -> None:
    add = to.add_parser("doctor", help="what this host has and lacks, and what mends it")
    add.add_argument("--fix", action="store_true", help="write .env, copy wheels, get the base image")
    add.set_defaults(command=commands.doctor)


def add_with(add: argparse.ArgumentParser) -> None:
    add.add_argument("--with", dest="with_", action="append", default=[], metavar="IMAGE", help="an optional image too")


def add_engine(add: argparse.ArgumentParser) -> None:
    add_with(add)
    add.add_argument("--trust", action="store_true", help="let code inside the model file run, in its sandbox")
    add.add_argument("--engine", choices=("auto", "docker", "venv"), default="auto", help="default: auto")
    add.add_argument("--no-sandbox", action="store_true", help="virtual environments without bubblewrap around them")
    add.add_argument("--force", action="store_true", help="make them even if they are fresh")


def add_experiment(add: argparse.ArgumentParser) -> None:
    chosen = loader.DEFAULT
    add.add_argument("--experiment", default=chosen, metavar="FILE", help=f"a file, or one of ours (default: {chosen})")


def add_sample(add: argparse.ArgumentParser) -> None:
    add.add_argument("--sample", action="store_true", help="use the embedded sample of the data")


def add_junit(add: argparse.ArgumentParser) -> None:
    add.add_argument("--junit", metavar="FILE", help="write the gates as JUnit XML, for a CI server")


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
