"""The command: its parser, and the exit code of each end. What a command does is in the module of its name.

Each command's module is imported when it is called: with NumPy and Rich, `--help` would take a second.
"""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from driver import __version__
from driver.cli import arguments, options
from shared.command import COMMAND
from shared.errors import CrossquantError, StageError, explain

LONGEST = 4000  # characters of an error
WRONG_USE = 2
INTERRUPTED = 130
GARBAGE = 50_000  # new objects: with Python's 700, a tenth of a run with nothing to do goes into looking for cycles
ABOUT = "What a Keras model loses and gains through ONNX Runtime and PyTorch, in float and in 8 bits."
NEEDS = ("rich", "numpy", "yaml")  # some of driver/requirements.in: with these, the others are there
CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Command:
    """`module` below driver.cli has `run(arguments)`, which returns the exit code; `kind` are its arguments."""

    name: str
    help: str
    module: str
    kind: type[Any]
    add_options: Callable[[argparse.ArgumentParser], None]
    json: bool = True  # has it an answer that a program would read?


GROUPS = {
    "look": (
        Command(
            "doctor",
            "what this host has and lacks, and what fixes it",
            "doctor",
            arguments.Doctor,
            options.add_doctor,
        ),
        Command(
            "inspect",
            "what a model is, and how far each framework carries it",
            "inspect",
            arguments.Inspect,
            options.add_inspect,
        ),
        Command(
            "check-data",
            "ranges, classes, duplicates, and variants of the declared preprocessing",
            "check_data",
            arguments.CheckData,
            options.add_check_data,
        ),
    ),
    "run": (
        Command("build", "build the images", "build", arguments.Build, options.add_build, json=False),
        Command(
            "new",
            "write an experiment for a model and data of your own",
            "new",
            arguments.New,
            options.add_new,
            json=False,
        ),
        Command(
            "fetch",
            "get data set and model, and write the plan",
            "fetch",
            arguments.Fetch,
            options.add_fetch,
            json=False,
        ),
        Command("run", "make artifacts, then compare", "run", arguments.Run, options.add_run),
        Command(
            "list",
            "show every stage, its inputs and whether it is fresh",
            "list_stages",
            arguments.ListStages,
            options.add_list,
        ),
    ),
    "understand": (
        Command(
            "report",
            "compare what is on the volume, running nothing",
            "report",
            arguments.Report,
            options.add_report,
        ),
        Command(
            "explain",
            "which layers of a quantized variant lose how much",
            "explain",
            arguments.Explain,
            options.add_explain,
        ),
        Command(
            "diff",
            "two runs side by side: versions, accuracy, size, latency",
            "diff",
            arguments.Diff,
            options.add_diff,
        ),
    ),
}
COMMANDS = {command.name: command for group in GROUPS.values() for command in group}


def main(argv: Sequence[str] | None = None) -> int:
    """0: all gates hold; 1: one fails; 2: wrong use or a broken contract; 3: a stage failed; 130: stopped."""
    parser = make_parser()
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete  # a shell asks for completions: nobody else needs it

        argcomplete.autocomplete(parser, always_complete_options="long")
    namespace = parser.parse_args(argv)
    if namespace.command is None:  # not 0, which says that all gates hold
        parser.print_help(sys.stderr)
        return WRONG_USE
    if problem := find_problem():
        print(f"error: {problem}", file=sys.stderr)
        return WRONG_USE
    return run_command(COMMANDS[namespace.command], namespace)


def run_command(command: Command, namespace: argparse.Namespace) -> int:
    """Run the command. An error that the user can fix becomes one line and an exit code here, and nowhere else."""
    signal.signal(signal.SIGTERM, _interrupt)
    gc.set_threshold(GARBAGE)
    try:
        command_arguments = arguments.read_arguments(command.kind, namespace)
        return int(import_module(f"driver.cli.{command.module}").run(command_arguments))
    except CrossquantError as error:
        return print_error(str(error), error.exit_code)
    except OSError as error:
        return print_error(explain(error), StageError.exit_code)
    except KeyboardInterrupt:
        print("stopped: finished artifacts are kept, run again to go on", file=sys.stderr)
        return INTERRUPTED


def find_problem() -> str:
    """Why no command can run, because of this Python or of the driver's folder; "" where one can."""
    if any(find_spec(name) is None for name in NEEDS):
        return f"{sys.executable} lacks what the driver needs: use {COMMAND}, which makes .venv"
    if not (CHECKOUT / "images").is_dir():
        return f"{CHECKOUT} is no checkout of crossquant: install it by `pip install -e` from one"
    return ""


def print_error(message: str, exit_code: int) -> int:
    from rich.console import Console  # 50 ms

    from shared.text import printable

    text = f"error: {printable(message, LONGEST)}"
    Console(stderr=True).print(text, style="bold red", soft_wrap=True, markup=False, highlight=False)
    return exit_code


def make_parser() -> argparse.ArgumentParser:
    name = find_name(sys.argv[0])
    parser = argparse.ArgumentParser(
        prog=name,
        usage="%(prog)s [--version] [--quiet | --verbose] COMMAND …",
        description=ABOUT,
        epilog=describe_commands(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"crossquant {__version__}")
    options.add_display(parser)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", help=argparse.SUPPRESS, prog=name)
    for command in COMMANDS.values():
        add = subparsers.add_parser(command.name, help=command.help, description=f"{command.help}.".capitalize())
        command.add_options(add)
        if command.json:
            options.add_json(add)
        options.add_display(add, default=argparse.SUPPRESS)
    return parser


def find_name(typed: str) -> str:
    """How the user called us, as far as it can be typed again."""
    path = Path(typed)
    if path.parts[-2:] == ("driver", "__main__.py"):
        return "python -m driver"
    return typed if path.name == "crossquant" else COMMAND


def describe_commands(name: str) -> str:
    """The commands by what a user wants, since argparse can't group them."""
    lines = []
    for group, commands in GROUPS.items():
        lines += [f"{group}:", *(f"  {command.name:<12}{command.help}" for command in commands), ""]
    return "\n".join([*lines, f"The options of a command: {name} COMMAND --help"])


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
