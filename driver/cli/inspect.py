"""`inspect`: what a model is and how far each framework carries it, before anything long is run."""

import dataclasses
from functools import partial
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from driver.cli.arguments import Inspect
from driver.cli.console import Terminal, make_output, print_line
from driver.cli.workflow import choose_engine, make_plan, write_plan
from driver.engines import execute
from driver.experiment.model import Dataset, Experiment, Model, Source
from driver.inputs import fetching, user_files
from driver.plan import schedule
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.compatibility import Compatibility, load
from shared.contract import Manifest, Plan, read
from shared.data.signature import Tensor
from shared.errors import CrossquantError, StageError

NAME = "inspect"  # the folder on the volume: one model at a time
PREFIX = "compatibility."


def run(arguments: Inspect) -> int:
    """Inspect the model and show it. StageError where a framework could not even look at it."""
    output, options = make_output(arguments.display), arguments.engine_options
    experiment = make_experiment(arguments)
    with execute.lock(NAME), output.open_terminal() as terminal:
        freshness = prepare_model(experiment, terminal)
        steps = schedule.select(freshness.plan, list_targets(freshness.plan))
        engine = partial(choose_engine, options, experiment, freshness.plan.own_model, terminal)
        failed = execute.run(freshness, steps, engine, terminal, options.force)
    if failed:
        raise StageError(f"{arguments.model} can't be inspected: the line above says why")
    inspection = merge_inspections(freshness)
    if output.json:
        output.print_json(dataclasses.asdict(inspection))
    else:
        show(inspection, arguments.model, output.answer)
    return 0


def make_experiment(arguments: Inspect) -> Experiment:
    """An experiment without data or recipes: it needs only the model."""
    path = Path(arguments.model).expanduser().absolute()
    code = str(Path(arguments.code).expanduser().absolute()) if arguments.code else ""
    trust = arguments.engine_options.trust
    model = Model(sources=(Source(path=str(path)),), code=code, trust=trust)
    options = {"describe": {"trust": trust}} if model.start == "keras" else {}
    return Experiment(NAME, model, Dataset(NAME, ()), recipes={}, options=options)


def prepare_model(experiment: Experiment, terminal: Terminal) -> Freshness:
    """Bring the model onto the volume, and write the plan that the stage runners read."""
    user_files.model_files(  # `fetch_model` would go on with the model of the last time
        user_files.find(experiment.model.sources[0]), experiment.model
    )
    locations = fetching.list_locations(experiment, sample=False)
    fetching.fetch_model(experiment, store.volumes() / locations["input.model"], terminal.say, terminal.download)
    freshness = Freshness(make_plan(experiment, locations))
    write_plan(experiment, freshness)
    return freshness


def list_targets(plan: Plan) -> list[str]:
    return [step.output for step in plan.steps if step.output.startswith(PREFIX)]


def merge_inspections(freshness: Freshness) -> Compatibility:
    """The images' reports merged: each fact from the first image that has it, and the conversion steps of all."""
    inspections = []
    for name in list_targets(freshness.plan):
        folder = store.artifact_path(freshness.plan, name)
        if not freshness.current(name):
            raise CrossquantError(f"'{name}' is missing: run it again with --force")
        if read(Manifest, folder / store.MANIFEST).status == "ok":
            inspections.append(load(folder))
    names = [field.name for field in dataclasses.fields(Compatibility) if field.name != "support"]
    facts = {name: next((value for each in inspections if (value := getattr(each, name))), None) for name in names}
    facts["operators"] = next(
        (each.operators for each in reversed(inspections) if each.operators), {}
    )  # the last graph's
    steps = tuple(step for each in inspections for step in each.support)
    return Compatibility(**{key: value for key, value in facts.items() if value is not None}, support=steps)


def show(inspection: Compatibility, model: str, console: Console) -> None:
    say = partial(print_line, console)
    size = f", {inspection.size:,} bytes" if inspection.size else ""
    say(f"{model}: {inspection.parameters or 0:,} parameters{size}")
    if inspection.signature:
        batch = f", batches of {inspection.signature.batch} alone" if inspection.signature.batch else ""
        say(f"inputs   {'; '.join(map(format_tensor, inspection.signature.inputs))}{batch}")
        say(f"outputs  {'; '.join(map(format_tensor, inspection.signature.outputs))}")
    if inspection.layers:
        say(f"layers   {', '.join(f'{count} {name}' for name, count in inspection.layers.items())}")
    for note in inspection.notes:
        say(f"note     {note}")
    if inspection.operators:
        say("")
        console.print(tabulate_operators(inspection))
    for step in inspection.support:
        if step.reason:
            say(f"{step.name}: {step.reason}")


def format_tensor(tensor: Tensor) -> str:
    shape = " x ".join("any" if size is None else str(size) for size in tensor.shape)
    return f"{tensor.name}: {tensor.dtype} {shape or 'one value'}"


def tabulate_operators(inspection: Compatibility) -> Table:
    """A table with a row for each operator: its nodes, and how many of them each conversion step supports."""
    table = Table("operator", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("nodes", *(step.name for step in inspection.support)):
        table.add_column(Text(name), justify="right")
    for operator, count in sorted(inspection.operators.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(
            Text(operator), str(count), *(str(step.nodes(operator, count) or "-") for step in inspection.support)
        )
    return table
