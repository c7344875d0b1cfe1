"""`report`: compare what is on the volume; nothing is run."""

from driver.cli.arguments import Report
from driver.cli.console import make_output, print_line
from driver.cli.workflow import (
    compare_artifacts,
    load_experiment,
    make_current_plan,
    prepare_baseline,
    read_comparison_json,
)
from driver.decision.run_outcome import find_exit_code
from driver.experiment import loader
from driver.inputs import fetching
from shared.artifacts import store
from shared.artifacts.freshness import Freshness


def run(arguments: Report) -> int:
    """Return the comparison's exit code. CrossquantError where nothing was fetched yet."""
    output = make_output(arguments.display)
    experiment = load_experiment(arguments.experiment, looks_back=True)
    store.read_plan(experiment.name)
    check_baseline = prepare_baseline(arguments.baseline_options, experiment.name)
    freshness = Freshness(make_current_plan(experiment))
    file = loader.find(arguments.experiment)
    result = compare_artifacts(
        freshness, experiment, file, output, junit=arguments.junit, check_baseline=check_baseline
    )
    if output.json:
        print(read_comparison_json(experiment.name), end="")
    for line in fetching.list_doubtful(experiment):
        print_line(output.errors if output.json else output.answer, line)
    return find_exit_code(result)
