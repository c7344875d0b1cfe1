"""What the commands have in common: an experiment from the arguments, its plan, a run of it, and what came of it."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from driver import (
    catalog,
    comparison_folder,
    execute,
    experiment,
    fetching,
    host,
    optional,
    plan,
    reporting,
    tables,
    yaml_lines,
)
from driver.display import Terminal
from driver.engine import Engine
from driver.evidence import Evidence
from driver.experiment import Experiment
from driver.results import Comparison
from shared import store
from shared.contract import Plan, encode, read
from shared.errors import CrossquantError
from shared.freshness import Freshness

PLAIN_WIDTH = 120  # columns
ATTEMPTS = 3  # comparisons of evidence that changes meanwhile
T = TypeVar("T")


def make(
    chosen: Experiment, targets: Sequence[str], arguments: argparse.Namespace, console: Console
) -> tuple[Freshness, bool]:
    """Carry out the plan. True with it if a stage failed, or was skipped because one did."""
    with execute.lock(chosen.name), Terminal(console) as terminal:
        freshness = prepare(chosen, arguments.sample, terminal)
        steps = plan.select(freshness.plan, targets)
        engine = partial(choose_engine, arguments.engine, chosen, terminal)
        failed = execute.run(freshness, steps, engine, terminal, arguments.force)
        for line in fetching.list_doubtful(chosen) if failed else ():
            terminal.say(line)
        return freshness, failed


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


def prepare(chosen: Experiment, sample: bool, terminal: Terminal) -> Freshness:
    """Fetch the inputs, and write the plan that the stage runners read. A damaged copy of an input is fetched again."""
    fetched = fetching.fetch(chosen, sample, terminal.say, terminal.download)
    freshness = Freshness(plan.make(chosen, catalog.load(chosen.images), fetched.locations, host.cores()))
    damaged = [name for name in fetched.locations if is_damaged(freshness, name)]
    if damaged:
        terminal.say(f"damaged on the volume: {', '.join(damaged)}; fetching it again")
        fetched = fetching.fetch(chosen, sample, terminal.say, terminal.download, damaged)
        freshness = Freshness(plan.make(chosen, catalog.load(chosen.images), fetched.locations, host.cores()))
    if fetched.sample and not sample:
        terminal.say("no source of the full data set answers: going on with the embedded sample")
    store.write_atomically(store.plan_path(chosen.name), encode(freshness.plan))
    return freshness


def is_damaged(freshness: Freshness, name: str) -> bool:
    """Are the files of an input that was fetched others than those that were sealed?"""
    try:
        return freshness.seal(name) is None
    except CrossquantError:
        return True


def current_plan(chosen: Experiment) -> Plan:
    """The plan of today's code and experiment on the inputs that the last `fetch` left, or is going to leave."""
    path = store.plan_path(chosen.name)
    written = read(Plan, path).locations if path.exists() else fetching.locations(chosen, sample=False)
    inputs = {key: folder for key, folder in written.items() if key.startswith("input.")}
    return plan.make(chosen, catalog.load(chosen.images), inputs, host.cores())


def choose_engine(name: str, chosen: Experiment, terminal: Terminal) -> Engine:
    """The engine that was asked for; for `auto`, Docker where a daemon answers."""
    if name == "venv":
        return venv_engine(chosen, terminal)
    from driver.docker_engine import DockerEngine

    try:
        return DockerEngine(chosen.limits)
    except CrossquantError:
        if name == "docker":
            raise
    terminal.say("no Docker daemon answers: using virtual environments; `make docker-host` sets Docker up")
    return venv_engine(chosen, terminal)


def venv_engine(chosen: Experiment, terminal: Terminal) -> Engine:
    """CrossquantError for an experiment with the user's own code: that takes a container, without network."""
    from driver.venv_engine import VenvEngine

    if chosen.runs_code:
        raise CrossquantError("this experiment runs Python code of its own, which takes a container: start Docker")
    return VenvEngine(chosen.limits, terminal.say)


def conclude(freshness: Freshness, chosen: Experiment, console: Console, arguments: argparse.Namespace) -> Comparison:
    """Judge and show. What was judged before, and is undamaged, is not judged again."""
    folder = comparison_folder.locate(chosen.name)
    earlier = read_earlier(folder, console)
    text = experiment.find(arguments.experiment).read_text()

    def compare(evidence: Evidence) -> tuple[Comparison, dict[str, str]]:
        if earlier is not None and earlier.evidence == evidence.fingerprint(chosen):
            return earlier, {}
        return judge(evidence, chosen, text)

    result, files = of_unchanged_evidence(freshness, compare)
    if files:
        comparison_folder.publish(folder, files)
    if arguments.junit:
        store.write_atomically(Path(arguments.junit), tables.junit(result))
    reporting.show(result, console)
    console.print(f"written to {shown(folder)}/", soft_wrap=True, highlight=False)
    return result


def read_earlier(folder: Path, console: Console) -> Comparison | None:
    """What an earlier command left; None where it has to be made anew. That it is damaged is told."""
    try:
        return comparison_folder.read_comparison(folder)
    except comparison_folder.DamagedComparison as error:
        console.print(f"the comparison was damaged: made anew ({error.finding})", soft_wrap=True, highlight=False)
    except comparison_folder.OtherVersion:
        pass
    return None


def of_unchanged_evidence(freshness: Freshness, compare: Callable[[Evidence], T]) -> T:
    """What `compare` makes of evidence that no other command replaced meanwhile: figures of two runs must not be mixed.

    CrossquantError where it is replaced all the time.
    """
    replaced = ""
    for _ in range(ATTEMPTS):
        evidence = Evidence(freshness)
        try:
            result = compare(evidence)
        except (OSError, ValueError, CrossquantError):
            replaced = evidence.replaced()
            if not replaced:
                raise
        else:
            replaced = evidence.replaced()
            if not replaced:
                return result
        freshness = Freshness(freshness.plan)
    raise CrossquantError(
        f"another command makes '{replaced}' anew while it is compared: wait for it, then `python -m driver report`"
    )


def judge(evidence: Evidence, chosen: Experiment, text: str) -> tuple[Comparison, dict[str, str]]:
    """Compare; with it, the texts of all files of the comparison. `text` is the experiment's file."""
    from driver import comparison, material, page  # SciPy, statsmodels and Matplotlib take two seconds to import

    result = comparison.compare(evidence, chosen)
    raw = material.collect(evidence, result.reference, text)
    pages = {"comparison.html": page.html(result, raw), "changed.csv": tables.changed_text(raw.changed)}
    return result, reporting.texts(result) | pages


def make_console() -> Console:
    """Eighty columns cut a table where no terminal says how wide it is."""
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


def shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
