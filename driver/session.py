"""What the commands have in common: an experiment from the arguments, its plan, a run of it, and what came of it."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from driver import catalog, execute, experiment, fetching, host, optional, plan, reporting, tables, yaml_lines
from driver.display import SafeConsole, Terminal
from driver.engine import Engine
from driver.evidence import Evidence
from driver.experiment import Experiment
from driver.results import Comparison
from shared import store
from shared.contract import Plan, Seal, encode, read_if_whole
from shared.errors import CrossquantError
from shared.freshness import Freshness

PLAIN_WIDTH = 120  # columns


def make(
    chosen: Experiment, targets: Sequence[str], arguments: argparse.Namespace, console: Console
) -> tuple[Freshness, bool]:
    """Carry out the plan. True with it if a stage failed, or was skipped because one did."""
    with execute.lock(chosen.name), Terminal(console) as terminal:
        made = prepare(chosen, arguments.sample, terminal)
        steps = plan.select(made, targets)
        freshness = Freshness(made)
        if damaged := freshness.damaged_inputs():
            freshness = Freshness(bring_again(chosen, made, damaged, arguments.sample, terminal))
        engine = partial(choose_engine, arguments, chosen, freshness, terminal)
        return freshness, execute.run(freshness, steps, engine, terminal, arguments.force)


def load(arguments: argparse.Namespace) -> Experiment:
    """The experiment that the arguments name, with the optional images that take part."""
    path = experiment.find(arguments.experiment)
    data, _ = yaml_lines.load(path)
    data = data if isinstance(data, dict) else {}
    images = optional.included(
        getattr(arguments, "with_", ()), data.get("recipes"), getattr(arguments, "engine", "auto")
    )
    if getattr(arguments, "looks_back", False):  # at what was run, by whatever plan
        images = tuple(dict.fromkeys((*images, *optional.planned(str(data.get("name", ""))))))
    chosen = experiment.load(path, catalog.load(images))
    chosen = replace(chosen, images=images)
    return experiment.trusting(chosen) if getattr(arguments, "trust", False) else chosen


def prepare(chosen: Experiment, sample: bool, terminal: Terminal) -> Plan:
    """Fetch the inputs, and write the plan that the stage runners read."""
    fetched = fetching.fetch(chosen, sample, terminal.say, terminal.download)
    if fetched.sample and not sample:
        terminal.say("no source of the full data set answers: going on with the embedded sample")
    own = is_own(chosen, fetched.locations["input.model"])
    made = plan.make(chosen, catalog.load(chosen.images), fetched.locations, host.cores(), own_model=own)
    store.write_atomically(store.plan_path(chosen.name), encode(made))
    return made


def is_own(chosen: Experiment, location: str) -> bool:
    """Are model and data the project's own? By the content of the model on the volume, below `location`."""
    path = store.volumes() / location
    if not experiment.is_own(chosen, read_if_whole(Seal, path / store.SEAL)):
        return False
    try:
        return store.open_sealed(path, "input.model") is not None
    except store.Damaged:
        return False


def bring_again(chosen: Experiment, made: Plan, damaged: Sequence[str], sample: bool, terminal: Terminal) -> Plan:
    """Fetch inputs anew that are not what was sealed, in the volume's place of them."""
    for name in damaged:
        terminal.say(f"{name} on the volume is damaged: getting it again")
        store.remove(store.artifact_path(made, name))
    return prepare(chosen, sample, terminal)


def current_plan(chosen: Experiment) -> Plan:
    """The plan of today's code and experiment on the inputs that the last `fetch` left, or is going to leave."""
    before = read_if_whole(Plan, store.plan_path(chosen.name))
    written = before.locations if before else fetching.locations(chosen, sample=False)
    inputs = {key: folder for key, folder in written.items() if key.startswith("input.")}
    return plan.make(chosen, catalog.load(chosen.images), inputs, host.cores())


def choose_engine(
    arguments: argparse.Namespace, chosen: Experiment, freshness: Freshness, terminal: Terminal
) -> Engine:
    """The engine that was asked for; for `auto`, Docker where a daemon answers."""
    no_sandbox = getattr(arguments, "no_sandbox", False)
    if arguments.engine == "docker" and no_sandbox:
        raise CrossquantError("--no-sandbox is of the venv engine, a container has no such switch: leave it out")
    own = experiment.is_own(chosen, freshness.seal("input.model"))
    if arguments.engine == "venv":
        return venv_engine(chosen, own, no_sandbox, terminal)
    from driver.docker_engine import DockerEngine

    try:
        return DockerEngine(chosen.limits)
    except CrossquantError:
        if arguments.engine == "docker":
            raise
    terminal.say("no Docker daemon answers: using virtual environments; `make docker-host` sets Docker up")
    return venv_engine(chosen, own, no_sandbox, terminal)


def venv_engine(chosen: Experiment, own: bool, no_sandbox: bool, terminal: Terminal) -> Engine:
    """In bubblewrap, unless the user says otherwise. Without it, none but the project's own model and data: any other
    may be hostile, and CrossquantError says what it takes.
    """
    from driver import bubblewrap
    from driver.venv_engine import VenvEngine

    if no_sandbox:
        if not own:
            terminal.say(f"warning: --no-sandbox: code in the model or the data of '{chosen.name}' can do all you can")
        return VenvEngine(chosen.limits, terminal.say, None)
    trial = bubblewrap.trial()
    if trial.command:
        return VenvEngine(chosen.limits, terminal.say, trial)
    if not own:
        mend = f"`{trial.mend}`, or start Docker" if trial.mend else "start Docker"
        raise CrossquantError(
            f"'{chosen.name}' has a model or data that are not the project's own, which run in a sandbox alone, "
            f"and {trial.lack}: {mend}"
        )
    terminal.say(f"{trial.lack}: the project's own model and data run without a sandbox")
    return VenvEngine(chosen.limits, terminal.say, None)


def conclude(freshness: Freshness, chosen: Experiment, console: Console, arguments: argparse.Namespace) -> Comparison:
    """Judge and show. What was judged before is not judged again."""
    folder = store.volumes() / chosen.name / "comparison"
    evidence = Evidence(freshness)
    result = reporting.earlier(folder, evidence.fingerprint(chosen))
    if result is None:
        result = judge(evidence, chosen, folder, experiment.find(arguments.experiment).read_text())
    if arguments.junit:
        store.write_atomically(Path(arguments.junit), tables.junit(result))
    reporting.show(result, console)
    console.print(f"written to {shown(folder)}/", soft_wrap=True, highlight=False)
    return result


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
    console = SafeConsole()
    return console if console.is_terminal else SafeConsole(width=PLAIN_WIDTH)


def shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
