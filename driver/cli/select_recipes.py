"""`run --select`: rank recipes on training images that calibrate nothing, then measure the winners on the test set."""

from pathlib import Path

from driver.analysis.results import Comparison
from driver.catalog import declarations
from driver.cli.arguments import Run
from driver.cli.console import Output, make_output, print_line
from driver.cli.workflow import compare_artifacts, load_experiment, make_artifacts, read_comparison_json
from driver.comparison import selection
from driver.decision import ranking
from driver.decision.run_outcome import find_exit_code
from driver.experiment import loader, yaml_source
from driver.experiment.model import Experiment
from driver.report import phrases
from shared.errors import CrossquantError, StageError


def run(arguments: Run) -> int:
    """Two whole runs: of the experiment that ranks, then of the one that has the winners."""
    if arguments.targets or arguments.sample:
        raise CrossquantError("--select takes no TARGET and needs the full data set: leave out targets and --sample")
    output = make_output(arguments.display)
    first = load_experiment(arguments.experiment, arguments.engine_options)
    asked, images = first.select, first.images
    data, _ = yaml_source.load(loader.find(arguments.experiment))
    trial = selection.write_experiment(
        selection.make_trial(data, asked, declarations.load(images)), selection.WHY_TRIAL
    )
    ranked, trial_experiment = compare_experiment(trial, arguments, output)
    recipes = trial_experiment.recipes
    choices = ranking.choose(ranked, selection.find_cpu_invariant_variants(declarations.load(images), recipes))
    if not choices:
        raise StageError("nothing to choose from: no recipe has both answers and timings; the table above says why")
    overall = ranking.choose_overall(choices, ranked, first.prefer, everywhere=bool(first.other_cpus))
    for line in phrases.choice_lines(choices, overall, ranked):
        print_line(output.progress if output.json else output.answer, line)
    tested_first = selection.make_final(data, asked, choices, overall, recipes)
    final = selection.write_experiment(tested_first, selection.WHY_FINAL)
    tested, final_experiment = compare_experiment(final, arguments, output)
    if output.json:
        print(read_comparison_json(final_experiment.name), end="")
    return max(map(find_exit_code, (ranked, tested)))


def compare_experiment(file: Path, arguments: Run, output: Output) -> tuple[Comparison, Experiment]:
    """A whole run of the experiment in `file`: what came of it, and the experiment."""
    options = arguments.engine_options
    experiment = load_experiment(str(file), options)
    freshness = make_artifacts(experiment, (), options, output, sample=False).freshness
    return compare_artifacts(freshness, experiment, file, output, junit=arguments.junit), experiment
