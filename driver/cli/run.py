"""`run`: make the targets and, where none is named, compare."""

from collections.abc import Sequence
from dataclasses import replace

from driver.cli.arguments import Run
from driver.cli.console import Output, make_output, shorten_path
from driver.cli.timing import find_next_pass
from driver.cli.workflow import (
    compare_artifacts,
    load_experiment,
    make_artifacts,
    make_current_plan,
    prepare_baseline,
    read_comparison_json,
)
from driver.decision.run_outcome import find_exit_code
from driver.experiment import loader
from driver.experiment.model import Experiment
from shared.artifacts import store
from shared.artifacts.freshness import Freshness
from shared.command import format_command
from shared.errors import CrossquantError, StageError


def run(arguments: Run) -> int:
    """Make the targets; without targets, make all and compare; with `--select`, choose recipes first."""
    options = arguments.baseline_options
    if (options.baseline or options.fail_on) and (arguments.select or arguments.targets):
        raise CrossquantError("--baseline and --fail-on are of a run that compares: leave out --select and targets")
    if arguments.select:
        from driver.cli import select_recipes  # SciPy takes half a second to import

        return select_recipes.run(arguments)
    output = make_output(arguments.display)
    experiment = load_experiment(arguments.experiment, arguments.engine_options)
    check_targets(experiment, arguments.targets)
    check_baseline = prepare_baseline(arguments.baseline_options, experiment.name)
    made = make_artifacts(experiment, arguments.targets, arguments.engine_options, output, sample=arguments.sample)
    freshness, failed, worked = made
    while worked and not (arguments.targets or failed) and (more := find_next_pass(freshness, experiment)):
        once = replace(arguments.engine_options, force=False)
        freshness, failed, worked = make_artifacts(experiment, more, once, output, sample=arguments.sample)
    if arguments.targets:
        show_paths(freshness, arguments.targets, output)
        return StageError.exit_code if failed else 0
    file = loader.find(arguments.experiment)
    result = compare_artifacts(
        freshness, experiment, file, output, junit=arguments.junit, check_baseline=check_baseline
    )
    if output.json:
        print(read_comparison_json(experiment.name), end="")
    return find_exit_code(result)


def check_targets(experiment: Experiment, targets: Sequence[str]) -> None:
    """CrossquantError for a target that the experiment doesn't make, before anything is fetched or written."""
    if not targets:
        return
    plan = make_current_plan(experiment)
    for target in targets:
        if target not in plan.locations and target in loader.list_names():
            raise CrossquantError(f"'{target}' is an experiment, no artifact: `{format_command('run', target)}`")
        plan.step(target)


def show_paths(freshness: Freshness, targets: tuple[str, ...], output: Output) -> None:
    """Print the folder of each target that was made."""
    paths = {name: store.artifact_path(freshness.plan, name) for name in targets if freshness.current(name)}
    if output.json:
        output.print_json({name: str(path) for name, path in paths.items()})
    for name, path in paths.items():
        output.print_line(f"{name}: {shorten_path(path)}/")
