"""The command line: `python -m driver run | list | report | fetch | doctor`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.table import Table

from driver import catalog, comparison, execute, experiment, fetch, host, plan, report
from driver.display import Terminal
from driver.engine import Engine
from driver.experiment import Experiment
from shared import store
from shared.contract import Plan, encode, read
from shared.errors import CrossquantError, StageError, explain
from shared.freshness import Freshness

INTERRUPTED = 130
PLAIN_WIDTH = 120  # columns


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
    Console(stderr=True).print(f"error: {message}", style="bold red", soft_wrap=True, markup=False)
    return exit_code


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m driver", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    adders = (add_run, add_list, add_report, add_fetch, add_doctor)
    for add in adders:
        add(commands)
    return top


def add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    add = commands.add_parser("run", help="make artifacts, then compare")
    add.add_argument("targets", nargs="*", metavar="TARGET", help="artifacts (default: all)")
    add.add_argument("--engine", choices=("auto", "docker", "venv"), default="auto")
    add.add_argument("--force", action="store_true", help="make them even if they are fresh")
    add_experiment(add)
    add_sample(add)
    add.set_defaults(command=run)


def add_list(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    add = commands.add_parser("list", help="show every stage, its inputs and whether it is fresh")
    add_experiment(add)
    add.set_defaults(command=list_stages)


def add_report(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    add = commands.add_parser("report", help="compare what is on the volume, running nothing")
    add_experiment(add)
    add.set_defaults(command=make_report)


def add_fetch(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    add = commands.add_parser("fetch", help="get data set and model, and write the plan")
    add_experiment(add)
    add_sample(add)
    add.set_defaults(command=fetch_inputs)


def add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    add = commands.add_parser("doctor", help="what this host has and lacks, and what mends it")
    add.add_argument("--fix", action="store_true", help="write .env, copy wheels, get the base image")
    add.set_defaults(command=doctor)


def add_experiment(add: argparse.ArgumentParser) -> None:
    add.add_argument("--experiment", default=str(experiment.DEFAULT), metavar="FILE")


def add_sample(add: argparse.ArgumentParser) -> None:
    add.add_argument("--sample", action="store_true", help="use the embedded sample of the data")


def run(arguments: argparse.Namespace) -> int:
    console = make_console()
    chosen = load(arguments)
    with execute.lock(chosen.name), Terminal(console) as terminal:
        made = prepare(chosen, arguments.sample, terminal)
        steps = plan.select(made, arguments.targets)
        engine = partial(choose_engine, arguments.engine, chosen, terminal)
        freshness = Freshness(made)
        failed = execute.run(freshness, steps, engine, terminal, arguments.force)
    if arguments.targets:
        return StageError.exit_code if failed else 0
    return conclude(freshness, chosen, console)


def list_stages(arguments: argparse.Namespace) -> int:
    chosen = load(arguments)
    made = current_plan(chosen)
    freshness = Freshness(made)
    table = Table("artifact", "image", "stage", "state", "inputs")
    for step in made.steps:
        inputs = ", ".join(step.inputs + step.optional)
        table.add_row(step.output, step.image, step.run, freshness.state(step), inputs)
    make_console().print(table)
    return 0


def make_report(arguments: argparse.Namespace) -> int:
    chosen = load(arguments)
    return conclude(Freshness(current_plan(chosen)), chosen, make_console())


def fetch_inputs(arguments: argparse.Namespace) -> int:
    chosen = load(arguments)
    with execute.lock(chosen.name), Terminal(make_console()) as terminal:
        prepare(chosen, arguments.sample, terminal)
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    from driver import doctor as examination  # the Docker SDK takes a quarter of a second to import

    return examination.run(make_console(), arguments.fix)


def load(arguments: argparse.Namespace) -> Experiment:
    return experiment.load(experiment.find(arguments.experiment), catalog.load())


def prepare(chosen: Experiment, sample: bool, terminal: Terminal) -> Plan:
    """Fetch the inputs, and write the plan that the stage runners read."""
    fetched = fetch.fetch(chosen, sample, terminal.say, terminal.download)
    if fetched.sample and not sample:
        terminal.say("no source of the full data set answers: going on with the embedded sample")
    made = plan.make(chosen, catalog.load(), fetched.locations, host.cores())
    store.write_atomically(store.plan_path(chosen.name), encode(made))
    return made


def current_plan(chosen: Experiment) -> Plan:
    """The plan of today's code and experiment on the inputs that the last `fetch` left."""
    written = read(Plan, store.plan_path(chosen.name))
    inputs = {key: path for key, path in written.locations.items() if key.startswith("input.")}
    return plan.make(chosen, catalog.load(), inputs, host.cores())


def choose_engine(name: str, chosen: Experiment, terminal: Terminal) -> Engine:
    """The engine that was asked for; for `auto`, Docker where a daemon answers."""
    from driver.venv_engine import VenvEngine

    if name == "venv":
        return VenvEngine(chosen.limits)
    from driver.docker_engine import DockerEngine

    try:
        return DockerEngine(chosen.limits)
    except CrossquantError:
        if name == "docker":
            raise
    terminal.say("no Docker daemon answers: using virtual environments; `make docker-host` sets Docker up")
    return VenvEngine(chosen.limits)


def conclude(freshness: Freshness, chosen: Experiment, console: Console) -> int:
    result = comparison.compare(freshness, chosen)
    folder = store.volumes() / chosen.name / "comparison"
    report.write(result, folder)
    report.show(result, console)
    console.print(f"written to {shown(folder)}/", soft_wrap=True, highlight=False)
    return result.exit_code


def make_console() -> Console:
    """Eighty columns cut a table where no terminal says how wide it is."""
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
