"""`fetch`: bring the inputs onto the volume, and the plan."""

from driver.cli.arguments import Fetch
from driver.cli.console import Output, make_output
from driver.cli.workflow import load_experiment, prepare_inputs
from driver.engines import execute


def run(arguments: Fetch) -> int:
    fetch_inputs(arguments.experiment, make_output(arguments.display), sample=arguments.sample)
    return 0


def fetch_inputs(name: str, output: Output, *, sample: bool) -> None:
    """Fetch the inputs of the experiment with this name or file."""
    experiment = load_experiment(name)
    with execute.lock(experiment.name), output.open_terminal() as terminal:
        prepare_inputs(experiment, sample, terminal)
