"""What the commands have in common: an experiment from the arguments, its plan, a run of it, and what came of it."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from driver.analysis.artifacts import Evidence
from driver.analysis.results import Comparison
from driver.catalog import declarations
from driver.cli.console import SafeConsole, Terminal
from driver.comparison import publication
from driver.engines import available_images, execute
from driver.engines.base import Engine
from driver.experiment import loader, yaml_source
from driver.experiment.model import Experiment
from driver.host import facts
from driver.inputs import fetching
from driver.plan import schedule
from driver.report import documents, terminal
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.contract import Plan, encode, read_if_whole
from shared.errors import CrossquantError

PLAIN_WIDTH = 120  # columns
ATTEMPTS = 3  # comparisons of evidence that changes meanwhile
T = TypeVar("T")


def make(
    chosen: Experiment, targets: Sequence[str], arguments: argparse.Namespace, console: Console
) -> tuple[Freshness, bool]:
    """Carry out the plan. True with it if a stage failed, or was skipped because one did."""
    with execute.lock(chosen.name), Terminal(console) as terminal:
        freshness = prepare(chosen, arguments.sample, terminal)
        steps = schedule.select(freshness.plan, targets)
        engine = partial(choose_engine, arguments, chosen, freshness, terminal)
        failed = execute.run(freshness, steps, engine, terminal, arguments.force)
        for line in fetching.list_doubtful(chosen) if failed else ():
            terminal.say(line)
        return freshness, failed


def load(arguments: argparse.Namespace) -> Experiment:
    """The experiment that the arguments name, with the optional images that take part."""
    path = loader.find(arguments.experiment)
    for line in loader.list_deprecations(path):
        make_console(stderr=True).print(line, soft_wrap=True, highlight=False, markup=False, style="yellow")
    data, _ = yaml_source.load(path)
    data = data if isinstance(data, dict) else {}
    images = available_images.included(
        getattr(arguments, "with_", ()), data.get("recipes"), getattr(arguments, "engine", "auto")
    )
    if getattr(arguments, "looks_back", False):  # at what was run, by whatever plan
        images = tuple(dict.fromkeys((*images, *available_images.planned(str(data.get("name", ""))))))
    chosen = loader.load(path, declarations.load(images))
    chosen = replace(chosen, images=images)
    return loader.trusting(chosen) if getattr(arguments, "trust", False) else chosen


def prepare(chosen: Experiment, sample: bool, terminal: Terminal) -> Freshness:
    """Fetch the inputs, and write the plan that the stage runners read. A damaged copy of an input is fetched again."""
    fetched = fetching.fetch(chosen, sample, terminal.say, terminal.download)
    freshness = Freshness(schedule.make(chosen, declarations.load(chosen.images), fetched.locations, facts.cores()))
    if damaged := [name for name in fetched.locations if freshness.seal(name) is None]:
        terminal.say(f"damaged on the volume: {', '.join(damaged)}; fetching it again")
        fetched = fetching.fetch(chosen, sample, terminal.say, terminal.download, damaged)
        freshness = Freshness(schedule.make(chosen, declarations.load(chosen.images), fetched.locations, facts.cores()))
    if fetched.sample and not sample:
        terminal.say("no source of the full data set answers: going on with the embedded sample")
    own = loader.is_own(chosen, freshness.seal(fetching.MODEL))
    freshness.plan = replace(freshness.plan, own_model=own)
    store.write_atomically(store.plan_path(chosen.name), encode(freshness.plan))
    return freshness


def current_plan(chosen: Experiment) -> Plan:
    """The plan of today's code and experiment on the inputs that the last `fetch` left, or is going to leave."""
    before = read_if_whole(Plan, store.plan_path(chosen.name))
    written = before.locations if before else fetching.locations(chosen, sample=False)
    inputs = {key: folder for key, folder in written.items() if key.startswith("input.")}
    return schedule.make(chosen, declarations.load(chosen.images), inputs, facts.cores())


def choose_engine(
    arguments: argparse.Namespace, chosen: Experiment, freshness: Freshness, terminal: Terminal
) -> Engine:
    """The engine that was asked for; for `auto`, Docker where a daemon answers."""
    no_sandbox = getattr(arguments, "no_sandbox", False)
    if arguments.engine == "docker" and no_sandbox:
        raise CrossquantError("--no-sandbox is of the venv engine, a container has no such switch: leave it out")
    own = loader.is_own(chosen, freshness.seal("input.model"))
    if arguments.engine == "venv":
        return venv_engine(chosen, own, no_sandbox, terminal)
    from driver.engines.docker import DockerEngine

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
    from driver.engines import bubblewrap
    from driver.engines.venv import VenvEngine

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
    """Judge and show. What was judged before, and is undamaged, is not judged again."""
    folder = publication.locate(chosen.name)
    earlier = read_earlier(folder, console)
    text = loader.find(arguments.experiment).read_text()

    def compare(evidence: Evidence) -> tuple[Comparison, dict[str, str]]:
        if earlier is not None and earlier.evidence == evidence.fingerprint(chosen):
            return earlier, {}
        return judge(evidence, chosen, text)

    result, files = of_unchanged_evidence(freshness, compare)
    if files:
        publication.publish(folder, files)
    if arguments.junit:
        store.write_atomically(Path(arguments.junit), documents.junit(result))
    terminal.show(result, console)
    console.print(f"written to {shown(folder)}/", soft_wrap=True, highlight=False)
    return result


def read_earlier(folder: Path, console: Console) -> Comparison | None:
    """What an earlier command left; None where it has to be made anew. That it is damaged is told."""
    try:
        return publication.read_comparison(folder)
    except publication.DamagedComparison as error:
        console.print(f"the comparison was damaged: made anew ({error.finding})", soft_wrap=True, highlight=False)
    except publication.OtherVersion:
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
    from driver.comparison import compare, page_data
    from driver.report.page import page  # SciPy, statsmodels and Matplotlib take two seconds to import

    result = compare.compare(evidence, chosen)
    raw = page_data.collect(evidence, result.reference, text)
    pages = {"comparison.html": page.html(result, raw), "changed.csv": documents.changed_text(raw.changed)}
    return result, documents.texts(result) | pages


def make_console(*, stderr: bool = False) -> Console:
    """Eighty columns cut a table where no terminal says how wide it is."""
    console = SafeConsole(stderr=stderr)
    return console if console.is_terminal else SafeConsole(stderr=stderr, width=PLAIN_WIDTH)


def shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
