"""Every step that an experiment asks for: recipes, variants, patterns and draws of the calibration set filled in."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from driver.catalog.declarations import Catalog, Stage
from driver.experiment import recipes
from driver.experiment.model import DATA, Experiment
from shared.contract import Step

CALIBRATION, DATASET, SELECTION = "calibration", "dataset", "selection"
LABELS, SELECTION_LABELS = "labels", "selection.labels"  # of the samples in the two, apart from them
MOST_TURNS = 15  # of what is repeated; those beyond the experiment's number are made on demand
RAW, KERAS = "input.dataset", "keras"


def expand(experiment: Experiment, catalog: Catalog) -> list[Step]:
    """All steps of all images, in no particular order of the images."""
    steps = [step for image, stages in catalog.items() for step in expand_image(image, stages, experiment)]
    if not experiment.own_data:
        steps = remove_data_stage(steps)
    if experiment.model.start != KERAS:
        steps = remove_dependents(f"{KERAS}.fp32", steps)
    if experiment.split == SELECTION:
        steps = evaluate_on_selection(steps)
    return mark_needed_steps([replace(step, optional=tuple(match_optional_inputs(step, steps))) for step in steps])


def expand_image(image: str, stages: Sequence[Stage], experiment: Experiment) -> list[Step]:
    """The steps of one image; those that a template makes of every variant come after the variants."""
    templates = [step for stage in stages for step in expand_stage(stage, image, experiment)]
    for step in expand_recipes(stages, image, experiment):
        templates += [step, *redraw_recipe(step, experiment)]
    variants = [step for step in templates if step.output.startswith(f"{image}.")]
    steps = []
    for template in templates:
        if "{variant}" in template.output:
            steps += [fill_template(template, each, experiment) for each in variants if applies_to(template, each)]
        else:
            steps.append(template)
    return steps


def expand_stage(stage: Stage, image: str, experiment: Experiment) -> Iterator[Step]:
    """The steps of a stage that makes no recipe, one for each turn or draw."""
    if stage.takes_recipe or any(
        describe_conditions(experiment).get(key) != value for key, value in stage.when.items()
    ):
        return
    parameters = stage.parameters(experiment.options.get(stage.run, {}), (stage.run,))
    turns = parameters.pop(stage.repeat, 1)
    more = MOST_TURNS if stage.repeat and experiment.timing.budget_seconds else turns
    for turn in range(1, max(turns, more) + 1):
        output = stage.output if turn == 1 else f"{stage.output}.{turn}"
        step = replace(make_step(stage, image, output, parameters), turn=turn)
        yield step if turn <= turns else replace(step, default=False)
    if stage.output == CALIBRATION:
        yield from redraw_calibration(make_step(stage, image, CALIBRATION, parameters), experiment)


def describe_conditions(experiment: Experiment) -> dict[str, str]:
    """The facts that `when` of a stage without recipes is compared with."""
    return {"start": experiment.model.start}


def redraw_calibration(first: Step, experiment: Experiment) -> Iterator[Step]:
    """The further draws, each with a seed of its own, and those of other sizes."""
    for number in range(2, experiment.draws + 1):
        parameters = first.parameters | {"seed": first.parameters["seed"] + number - 1}
        yield replace(first, output=f"{CALIBRATION}.d{number}", parameters=parameters, draw=f"d{number}")
    for images in experiment.curve.images:
        parameters = first.parameters | {"images": images}
        yield replace(first, output=f"{CALIBRATION}.n{images}", parameters=parameters, draw=f"n{images}")


def expand_recipes(stages: Sequence[Stage], image: str, experiment: Experiment) -> Iterator[Step]:
    for name, given in experiment.recipes.get(image, {}).items():
        stage = recipes.stage_for(stages, image, name, given)
        parameters = recipes.parameters(stage, given, ("recipes", image, name))
        yield make_step(stage, image, stage.output.replace("{recipe}", name), parameters)


def redraw_recipe(step: Step, experiment: Experiment) -> Iterator[Step]:
    """A recipe on the further draws of the calibration set."""
    if CALIBRATION not in step.inputs:
        return
    draws = [f"d{number}" for number in range(2, experiment.draws + 1)]
    if step.output in experiment.curve.variants:
        draws += [f"n{images}" for images in experiment.curve.images]
    for draw in draws:
        inputs = tuple(f"{name}.{draw}" if name == CALIBRATION else name for name in step.inputs)
        yield replace(step, output=f"{step.output}.{draw}", inputs=inputs, draw=draw)


def make_step(stage: Stage, image: str, output: str, parameters: dict[str, Any]) -> Step:
    return Step(
        output,
        image,
        stage.run,
        stage.inputs,
        stage.optional,
        parameters,
        stage.default,
        tool=stage.tool,
        module=stage.module,
        modules={name: f"images.{image}.{module}" for name, module in stage.modules.items()},
    )


def applies_to(template: Step, variant: Step) -> bool:
    """A variant of a further draw needs its predictions only."""
    return not variant.draw or template.output.startswith("predictions.")


def fill_template(template: Step, variant: Step, experiment: Experiment) -> Step:
    """The step of a template for one variant. Calibration sets of other sizes are never evaluated on the test set."""
    inputs = tuple(name.replace("{variant}", variant.output) for name in template.inputs)
    if variant.draw.startswith("n"):
        inputs = tuple(SELECTION if name == DATASET else name for name in inputs)
    output = template.output.replace("{variant}", variant.output)
    default = template.default or (template.run == "emulate" and variant.output in experiment.emulated)
    return replace(template, output=output, inputs=inputs, draw=variant.draw, default=default)


def remove_dependents(absent: str, steps: Sequence[Step]) -> list[Step]:
    """The steps that need neither `absent` nor anything that depends on it, and still have something to do."""
    gone, left = {absent}, list(steps)
    while more := [step for step in left if gone.intersection(step.inputs)]:
        gone |= {step.output for step in more}
        left = [step for step in left if step not in more]
    return [step for step in left if not step.optional or any(match_optional_inputs(step, left))]


def remove_data_stage(steps: Sequence[Step]) -> list[Step]:
    """The steps without the stage that reads the user's own data: what `fetch` brings is decoded already."""

    def rename(name: str) -> str:
        return RAW if name == DATA else name

    return [replace(step, inputs=tuple(map(rename, step.inputs))) for step in steps if step.output != DATA]


def evaluate_on_selection(steps: Sequence[Step]) -> list[Step]:
    """The steps with the selection set in the place of the test set, which nothing then reads."""
    places = {SELECTION: DATASET, SELECTION_LABELS: LABELS}

    def rename(name: str) -> str:
        return places.get(name, name)

    return [
        replace(step, output=rename(step.output), inputs=tuple(map(rename, step.inputs)))
        for step in steps
        if step.output not in places.values()
    ]


def match_optional_inputs(step: Step, steps: Sequence[Step]) -> Iterator[str]:
    """The outputs that the optional patterns of `step` match; none of a further draw's variants."""
    for pattern in step.optional:
        for other in steps:
            is_redrawn = other.draw and other.run != CALIBRATION
            if fnmatchcase(other.output, pattern) and not is_redrawn:
                yield other.output


def mark_needed_steps(steps: Sequence[Step]) -> list[Step]:
    """Make each step a default one that a default step reads, and the labels of samples that are one."""
    by_output = {step.output: step for step in steps}
    waiting = [step for step in steps if step.default]
    while waiting:
        step = waiting.pop()
        labels = {SELECTION: SELECTION_LABELS, DATASET: LABELS}.get(step.output, "")  # read by the driver alone
        for name in (*step.inputs, labels):
            other = by_output.get(name)
            if other is not None and not other.default:
                by_output[name] = replace(other, default=True)
                waiting.append(other)
    return list(by_output.values())
