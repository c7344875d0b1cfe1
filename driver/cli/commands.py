"""What each command does, in a few lines; `__main__` reads the arguments and prints the errors."""

import argparse
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from driver.analysis.results import Comparison
from driver.catalog import declarations
from driver.cli import workflow
from driver.cli.console import Terminal
from driver.cli.workflow import load, make_console, shown
from driver.engines import execute
from driver.experiment import loader, yaml_source
from driver.inputs import fetching
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.contract import Plan, read
from shared.errors import CrossquantError, StageError

Recipes = dict[str, dict[str, dict[str, Any]]]  # settings by image and name


def new(arguments: argparse.Namespace) -> int:
    """Write an experiment, bring its model and data onto the volume, and say what comes next."""
    from driver.cli import new as first

    asked = first.Asked(
        model=Path(arguments.model),
        data=Path(arguments.data),
        name=arguments.name,
        task=arguments.task,
        code=arguments.code,
        trust=arguments.trust,
        settings=tuple(arguments.set),
    )
    with first.written(asked, force=arguments.force) as path:
        fetch(argparse.Namespace(experiment=path.stem, sample=False))
    console = make_console()
    console.print(f"written: {shown(path)}", soft_wrap=True, highlight=False)
    console.print(f"next:    python -m driver run --experiment {path.stem}", soft_wrap=True, highlight=False)
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Make the targets and, where none is named, compare; or choose recipes first."""
    if arguments.select:
        return select(arguments)
    chosen, console = load(arguments), make_console()
    freshness, failed = workflow.make(chosen, arguments.targets, arguments, console)
    if not arguments.targets:
        return workflow.conclude(freshness, chosen, console, arguments).exit_code
    for target in arguments.targets:
        if freshness.current(target):
            path = shown(store.artifact_path(freshness.plan, target))
            console.print(f"{target}: {path}/", soft_wrap=True, highlight=False)
    return StageError.exit_code if failed else 0


def select(arguments: argparse.Namespace) -> int:
    """Rank recipes on the selection set, then tell the test accuracy of the winners."""
    from driver.comparison import selection  # SciPy takes half a second to import
    from driver.decision import ranking
    from driver.report import phrases

    if arguments.targets or arguments.sample:
        raise CrossquantError("--select takes no TARGET and needs the full data set: leave out targets and --sample")
    first = load(arguments)
    asked, images = first.select, first.images
    data, _ = yaml_source.load(loader.find(arguments.experiment))
    ranked, recipes = compared(
        selection.write(selection.trial(data, asked, declarations.load(images)), selection.WHY_TRIAL), arguments
    )
    choices = ranking.choose(ranked, selection.safe_variants(declarations.load(images), recipes))
    if not choices:
        raise StageError("nothing to choose from: no recipe has both answers and timings; the table above says why")
    console = make_console()
    for line in phrases.choice_lines(choices, ranked):
        console.print(line, soft_wrap=True, highlight=False)
    final = selection.final(data, asked, choices, recipes)
    tested, _ = compared(selection.write(final, selection.WHY_FINAL), arguments)
    return max(ranked.exit_code, tested.exit_code)


def compared(path: Path, arguments: argparse.Namespace) -> tuple[Comparison, Recipes]:
    """A whole run of the experiment in `path`: what came of it, and its recipes."""
    own = argparse.Namespace(**(vars(arguments) | {"experiment": str(path)}))
    chosen, console = load(own), make_console()
    freshness, _ = workflow.make(chosen, (), own, console)
    return workflow.conclude(freshness, chosen, console, own), chosen.recipes


def list_stages(arguments: argparse.Namespace) -> int:
    """A table of all steps of the experiment, in the order in which a run makes them."""
    made = workflow.current_plan(load(arguments))
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
    console = make_console()
    result = workflow.conclude(Freshness(workflow.current_plan(chosen)), chosen, console, arguments)
    for line in fetching.list_doubtful(chosen):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    return result.exit_code


def explain(arguments: argparse.Namespace) -> int:
    """Which layers of a quantized variant lose how much."""
    from driver.cli import explain as explaining  # Matplotlib takes a second to import

    chosen, console = load(arguments), make_console()
    target = explaining.target(arguments.variant, workflow.current_plan(chosen))
    freshness, failed = workflow.make(chosen, [target], arguments, console)
    return StageError.exit_code if failed else explaining.conclude(freshness, arguments.variant, console)


def check_data(arguments: argparse.Namespace) -> int:
    """What is in the data, and what may be wrong with it."""
    from driver.cli import check_data as look

    chosen, console = load(arguments), make_console()
    freshness, failed = workflow.make(chosen, [look.OUTPUT], arguments, console)
    return StageError.exit_code if failed else look.conclude(freshness, console)


def diff(arguments: argparse.Namespace) -> int:
    """Two runs side by side."""
    from driver.comparison import run_diff  # SciPy and statsmodels take a second to import
    from driver.report import diff as diff_report

    diff_report.show(run_diff.load(arguments.before), run_diff.load(arguments.after), make_console())
    return 0


def inspect(arguments: argparse.Namespace) -> int:
    """What a model is, and how far each framework carries it."""
    from driver.cli import inspect as inspecting

    return inspecting.run(arguments, make_console())


def fetch(arguments: argparse.Namespace) -> int:
    """Bring the inputs onto the volume, and the plan."""
    chosen = load(arguments)
    with execute.lock(chosen.name), Terminal(make_console()) as terminal:
        workflow.prepare(chosen, arguments.sample, terminal)
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Look at this host, and mend it with --fix."""
    from driver.cli import doctor as examination  # the Docker SDK takes a quarter of a second to import

    return examination.run(make_console(), arguments.fix)
