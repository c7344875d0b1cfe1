"""What each command does, in a few lines; `__main__` reads the arguments and prints the errors."""

import argparse
from functools import partial
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from driver import catalog, execute, experiment, fetching, host, plan, reporting, tables
from driver.display import Terminal
from driver.engine import Engine
from driver.evidence import Evidence
from driver.experiment import Experiment
from driver.results import Comparison
from shared import store
from shared.contract import Plan, encode, read
from shared.errors import CrossquantError, StageError
from shared.freshness import Freshness

PLAIN_WIDTH = 120  # columns


def run(arguments: argparse.Namespace) -> int:
    """Make the targets and, where none is named, compare."""
    console = make_console()
    chosen = load(arguments)
    with execute.lock(chosen.name), Terminal(console) as terminal:
        made = prepare(chosen, arguments.sample, terminal)
        steps = plan.select(made, arguments.targets)
        engine = partial(choose_engine, arguments.engine, chosen, terminal)
        freshness = Freshness(made)
        failed = execute.run(freshness, steps, engine, terminal, arguments.force)
    if not arguments.targets:
        return conclude(freshness, chosen, console, arguments)
    for target in arguments.targets:
        if freshness.current(target):
            console.print(f"{target}: {shown(store.artifact_path(made, target))}/", soft_wrap=True, highlight=False)
    return StageError.exit_code if failed else 0


def list_stages(arguments: argparse.Namespace) -> int:
    """A table of all steps of the experiment, in the order in which a run makes them."""
    made = current_plan(load(arguments))
    freshness = Freshness(made)
    table = Table("artifact", "image", "stage", "state", "inputs", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for step in made.steps:
        inputs = ", ".join(step.inputs + step.optional)
        table.add_row(step.output, step.image, step.run, freshness.state(step), inputs)
    make_console().print(table)
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Compare what is on the volume; nothing is run."""
    chosen = load(arguments)
    read(Plan, store.plan_path(chosen.name))
    return conclude(Freshness(current_plan(chosen)), chosen, make_console(), arguments)


def diff(arguments: argparse.Namespace) -> int:
    """Two runs side by side."""
    from driver import difference  # SciPy and statsmodels take a second to import

    difference.show(difference.load(arguments.before), difference.load(arguments.after), make_console())
    return 0


def fetch(arguments: argparse.Namespace) -> int:
    """Bring the inputs onto the volume, and the plan."""
    chosen = load(arguments)
    with execute.lock(chosen.name), Terminal(make_console()) as terminal:
        prepare(chosen, arguments.sample, terminal)
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Look at this host, and mend it with --fix."""
    from driver import doctor as examination  # the Docker SDK takes a quarter of a second to import

    return examination.run(make_console(), arguments.fix)


def load(arguments: argparse.Namespace) -> Experiment:
    return experiment.load(experiment.find(arguments.experiment), catalog.load())


def prepare(chosen: Experiment, sample: bool, terminal: Terminal) -> Plan:
    """Fetch the inputs, and write the plan that the stage runners read."""
    fetched = fetching.fetch(chosen, sample, terminal.say, terminal.download)
    if fetched.sample and not sample:
        terminal.say("no source of the full data set answers: going on with the embedded sample")
    made = plan.make(chosen, catalog.load(), fetched.locations, host.cores())
    store.write_atomically(store.plan_path(chosen.name), encode(made))
    return made


def current_plan(chosen: Experiment) -> Plan:
    """The plan of today's code and experiment on the inputs that the last `fetch` left, or is going to leave."""
    path = store.plan_path(chosen.name)
    written = read(Plan, path).locations if path.exists() else fetching.locations(chosen, sample=False)
    inputs = {key: folder for key, folder in written.items() if key.startswith("input.")}
    return plan.make(chosen, catalog.load(), inputs, host.cores())


def choose_engine(name: str, chosen: Experiment, terminal: Terminal) -> Engine:
    """The engine that was asked for; for `auto`, Docker where a daemon answers."""
    from driver.venv_engine import VenvEngine

    if name == "venv":
        return VenvEngine(chosen.limits, terminal.say)
    from driver.docker_engine import DockerEngine

    try:
        return DockerEngine(chosen.limits)
    except CrossquantError:
        if name == "docker":
            raise
    terminal.say("no Docker daemon answers: using virtual environments; `make docker-host` sets Docker up")
    return VenvEngine(chosen.limits, terminal.say)


def conclude(freshness: Freshness, chosen: Experiment, console: Console, arguments: argparse.Namespace) -> int:
    """Judge and show; the exit code is the comparison's. What was judged before is not judged again."""
    folder = store.volumes() / chosen.name / "comparison"
    evidence = Evidence(freshness)
    result = reporting.earlier(folder, evidence.fingerprint(chosen))
    if result is None:
        result = judge(evidence, chosen, folder, experiment.find(arguments.experiment).read_text())
    if arguments.junit:
        store.write_atomically(Path(arguments.junit), tables.junit(result))
    reporting.show(result, console)
    console.print(f"written to {shown(folder)}/", soft_wrap=True, highlight=False)
    return result.exit_code


def judge(evidence: Evidence, chosen: Experiment, folder: Path, text: str) -> Comparison:
    """Compare, and write the comparison in all its forms; `text` is the experiment's file."""
    from driver import comparison, material, page  # SciPy, statsmodels and Matplotlib take two seconds to import

    result = comparison.compare(evidence, chosen)
    raw = material.collect(evidence, result.reference, text)
    store.write_atomically(folder / "comparison.html", page.html(result, raw))
    store.write_atomically(folder / "changed.csv", tables.changed_text(raw.changed))
    reporting.write(result, folder)  # last: its fingerprint says that all is written
    return result


def make_console() -> Console:
    """Eighty columns cut a table where no terminal says how wide it is."""
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
