"""The command `inspect`: what a model is and how far each framework carries it, before anything long is run."""

import argparse
import dataclasses
import json
from functools import partial
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driver.catalog import declarations
from driver.cli import workflow
from driver.cli.console import SafeConsole, Terminal
from driver.engines import execute
from driver.experiment.model import Dataset, Experiment, Model, Source
from driver.host import facts
from driver.inputs import fetching, user_files
from driver.plan import schedule
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.compatibility import Inspection, load
from shared.contract import Plan, Seal, encode, read
from shared.data.signature import Tensor
from shared.errors import CrossquantError, StageError

NAME = "inspect"  # the folder on the volume: one model at a time
PREFIX = "compatibility."


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Inspect the model and show it. StageError where a framework could not even look at it."""
    chosen = experiment(arguments)
    with execute.lock(NAME), Terminal(SafeConsole(stderr=True) if arguments.json else console) as terminal:
        made = prepare(chosen, terminal)
        steps = schedule.select(made, targets(made))
        freshness = Freshness(made)
        engine = partial(workflow.choose_engine, arguments, chosen, freshness, terminal)
        failed = execute.run(freshness, steps, engine, terminal, arguments.force)
    if failed:
        raise StageError(f"{arguments.model} can't be inspected: the line above says why")
    found = merged(freshness)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(found), indent=1))
    else:
        show(found, arguments.model, console)
    return 0


def experiment(arguments: argparse.Namespace) -> Experiment:
    """One without data or recipes: it needs no more than the model."""
    path = Path(arguments.model).expanduser().absolute()
    code = str(Path(arguments.code).expanduser().absolute()) if arguments.code else ""
    model = Model(sources=(Source(path=str(path)),), code=code, trust=arguments.trust)
    options = {"describe": {"trust": arguments.trust}} if model.start == "keras" else {}
    return Experiment(NAME, model, Dataset(NAME, ()), recipes={}, options=options)


def prepare(chosen: Experiment, terminal: Terminal) -> Plan:
    """The model onto the volume, and the plan that the stage runners read."""
    user_files.model_files(
        user_files.find(chosen.model.sources[0]), chosen.model
    )  # `fetch` would take the one before instead
    locations = fetching.locations(chosen, sample=False)
    fetching.fetch_model(chosen, store.volumes() / locations["input.model"], terminal.say, terminal.download)
    made = schedule.make(chosen, declarations.load(), locations, facts.cores())
    store.write_atomically(store.plan_path(NAME), encode(made))
    return made


def targets(made: Plan) -> list[str]:
    return [step.output for step in made.steps if step.output.startswith(PREFIX)]


def merged(freshness: Freshness) -> Inspection:
    """What the images found, in one: of each fact the first image's that knows it, and all of their legs."""
    found = []
    for name in targets(freshness.plan):
        folder = store.artifact_path(freshness.plan, name)
        if not freshness.current(name):
            raise CrossquantError(f"'{name}' is missing: run it again with --force")
        if read(Seal, folder / store.SEAL).status == "ok":
            found.append(load(folder))
    names = [field.name for field in dataclasses.fields(Inspection) if field.name != "legs"]
    facts = {name: next((value for each in found if (value := getattr(each, name))), None) for name in names}
    facts["operators"] = next((each.operators for each in reversed(found) if each.operators), {})  # the last graph's
    legs = tuple(leg for each in found for leg in each.legs)
    return Inspection(**{key: value for key, value in facts.items() if value is not None}, legs=legs)


def show(found: Inspection, model: str, console: Console) -> None:
    say = partial(console.print, soft_wrap=True, highlight=False, markup=False)
    size = f", {found.size:,} bytes" if found.size else ""
    say(f"{model}: {found.parameters or 0:,} parameters{size}")
    if found.signature:
        batch = f", batches of {found.signature.batch} alone" if found.signature.batch else ""
        say(f"inputs   {'; '.join(map(shown, found.signature.inputs))}{batch}")
        say(f"outputs  {'; '.join(map(shown, found.signature.outputs))}")
    if found.layers:
        say(f"layers   {', '.join(f'{count} {name}' for name, count in found.layers.items())}")
    for note in found.notes:
        say(f"note     {note}")
    if found.operators:
        say("")
        console.print(table(found))
    for leg in found.legs:
        if leg.reason:
            say(f"{leg.name}: {leg.reason}")


def shown(tensor: Tensor) -> str:
    shape = " x ".join("any" if size is None else str(size) for size in tensor.shape)
    return f"{tensor.name}: {tensor.dtype} {shape or 'one value'}"


def table(found: Inspection) -> Table:
    """A row an operator: how many there are, and how many of them each leg carries."""
    made = Table("operator", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("nodes", *(leg.name for leg in found.legs)):
        made.add_column(Text(name), justify="right")
    for operator, count in sorted(found.operators.items(), key=lambda item: (-item[1], item[0])):
        made.add_row(Text(operator), str(count), *(str(leg.nodes(operator, count) or "-") for leg in found.legs))
    return made
