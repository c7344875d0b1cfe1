"""`list`: all steps of the experiment, in the order in which a run makes them."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from driver.cli.arguments import EngineOptions, ListStages
from driver.cli.console import make_output
from driver.cli.workflow import load_experiment, make_current_plan
from shared.artifacts.freshness import Freshness


def run(arguments: ListStages) -> int:
    """Show each step with its inputs, and whether it is fresh."""
    output = make_output(arguments.display)
    options = EngineOptions(images=arguments.images)
    plan = make_current_plan(load_experiment(arguments.experiment, options, looks_back=True))
    freshness = Freshness(plan)
    states = {step.output: freshness.state(step) for step in plan.steps}
    # A further pass of the timings is made where the others don't suffice: until then it is nothing to show.
    steps = [step for step in plan.steps if step.default or step.turn == 1 or states[step.output] != "absent"]
    if output.json:
        output.print_json(
            [
                {
                    "artifact": step.output,
                    "image": step.image,
                    "stage": step.run,
                    "state": states[step.output],
                    "inputs": [*step.inputs, *step.optional],
                }
                for step in steps
            ]
        )
        return 0
    table = Table("artifact", "image", "stage", "state", "inputs", box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for step in steps:
        inputs = ", ".join(step.inputs + step.optional)
        table.add_row(step.output, step.image, step.run, states[step.output], inputs)
    output.answer.print(table)
    return 0
