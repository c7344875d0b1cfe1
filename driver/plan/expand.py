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
RAW, KERAS = "input.dataset", "keras"


def expand(experiment: Experiment, catalog: Catalog) -> list[Step]:
    """All steps of all images, in no particular order of the images."""
    steps = [step for image, stages in catalog.items() for step in of_image(image, stages, experiment)]
    if not experiment.own_data:
        steps = as_fetched(steps)
    if experiment.model.start != KERAS:
        steps = without(f"{KERAS}.fp32", steps)
    if experiment.split == SELECTION:
        steps = judged_by_selection(steps)
    return needed([replace(step, optional=tuple(matching(step, steps))) for step in steps])


def of_image(image: str, stages: Sequence[Stage], experiment: Experiment) -> list[Step]:
    """The steps of one image; what is made of every variant comes after the variants."""
    made = [step for stage in stages for step in of_stage(stage, image, experiment)]
    made += [step for stage in of_recipes(stages, image, experiment) for step in (stage, *redrawn(stage, experiment))]
    variants = [step for step in made if step.output.startswith(f"{image}.")]
    steps = []
    for step in made:
        if "{variant}" in step.output:
            steps += [fill(step, variant, experiment) for variant in variants if wanted(step, variant)]
        else:
            steps.append(step)
    return steps


def of_stage(stage: Stage, image: str, experiment: Experiment) -> Iterator[Step]:
    """The steps of a stage that makes no recipe, one for each turn or draw."""
    if stage.takes_recipe or any(facts(experiment).get(key) != value for key, value in stage.when.items()):
        return
    parameters = stage.parameters(experiment.options.get(stage.run, {}), (stage.run,))
    turns = parameters.pop(stage.repeat, 1)
    for turn in range(1, turns + 1):
        output = stage.output if turn == 1 else f"{stage.output}.{turn}"
        yield replace(made_by(stage, image, output, parameters), turn=turn)
    if stage.output == CALIBRATION:
        yield from calibrations(made_by(stage, image, CALIBRATION, parameters), experiment)


def facts(experiment: Experiment) -> dict[str, str]:
    """What `when` of a stage that makes no recipe is held against."""
    return {"start": experiment.model.start}


def calibrations(first: Step, experiment: Experiment) -> Iterator[Step]:
    """The further draws, each with a seed of its own, and those of other sizes."""
    for number in range(2, experiment.draws + 1):
        parameters = first.parameters | {"seed": first.parameters["seed"] + number - 1}
        yield replace(first, output=f"{CALIBRATION}.d{number}", parameters=parameters, draw=f"d{number}")
    for images in experiment.curve.images:
        parameters = first.parameters | {"images": images}
        yield replace(first, output=f"{CALIBRATION}.n{images}", parameters=parameters, draw=f"n{images}")


def of_recipes(stages: Sequence[Stage], image: str, experiment: Experiment) -> Iterator[Step]:
    for name, given in experiment.recipes.get(image, {}).items():
        stage = recipes.stage_for(stages, image, name, given)
        parameters = recipes.parameters(stage, given, ("recipes", image, name))
        yield made_by(stage, image, stage.output.replace("{recipe}", name), parameters)


def redrawn(step: Step, experiment: Experiment) -> Iterator[Step]:
    """A recipe on the further draws of the calibration set."""
    if CALIBRATION not in step.inputs:
        return
    draws = [f"d{number}" for number in range(2, experiment.draws + 1)]
    if step.output in experiment.curve.variants:
        draws += [f"n{images}" for images in experiment.curve.images]
    for draw in draws:
        inputs = tuple(f"{name}.{draw}" if name == CALIBRATION else name for name in step.inputs)
        yield replace(step, output=f"{step.output}.{draw}", inputs=inputs, draw=draw)


def made_by(stage: Stage, image: str, output: str, parameters: dict[str, Any]) -> Step:
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


def wanted(template: Step, variant: Step) -> bool:
    """Of a further draw, its predictions are all that is asked for."""
    return not variant.draw or template.output.startswith("predictions.")


def fill(template: Step, variant: Step, experiment: Experiment) -> Step:
    """The step of a template for one variant. Calibration sets of other sizes are never judged by the test set."""
    inputs = tuple(name.replace("{variant}", variant.output) for name in template.inputs)
    if variant.draw.startswith("n"):
        inputs = tuple(SELECTION if name == DATASET else name for name in inputs)
    output = template.output.replace("{variant}", variant.output)
    default = template.default or (template.run == "emulate" and variant.output in experiment.emulated)
    return replace(template, output=output, inputs=inputs, draw=variant.draw, default=default)


def without(absent: str, steps: Sequence[Step]) -> list[Step]:
    """The steps that need neither `absent` nor anything that is made of it, and have something to do without."""
    gone, left = {absent}, list(steps)
    while more := [step for step in left if gone.intersection(step.inputs)]:
        gone |= {step.output for step in more}
        left = [step for step in left if step not in more]
    return [step for step in left if not step.optional or any(matching(step, left))]


def as_fetched(steps: Sequence[Step]) -> list[Step]:
    """Without the stage that reads one's own data: what `fetch` brings is decoded already."""

    def renamed(name: str) -> str:
        return RAW if name == DATA else name

    return [replace(step, inputs=tuple(map(renamed, step.inputs))) for step in steps if step.output != DATA]


def judged_by_selection(steps: Sequence[Step]) -> list[Step]:
    """The images of the selection set in the place of the test images, which nothing then reads."""
    places = {SELECTION: DATASET, SELECTION_LABELS: LABELS}

    def renamed(name: str) -> str:
        return places.get(name, name)

    return [
        replace(step, output=renamed(step.output), inputs=tuple(map(renamed, step.inputs)))
        for step in steps
        if step.output not in places.values()
    ]


def matching(step: Step, steps: Sequence[Step]) -> Iterator[str]:
    """What the patterns of `step` stand for; variants of further draws are not timed or looked at one by one."""
    for pattern in step.optional:
        for other in steps:
            drawn = other.draw and other.run != CALIBRATION
            if fnmatchcase(other.output, pattern) and not drawn:
                yield other.output


def needed(steps: Sequence[Step]) -> list[Step]:
    """A step that a default one reads is made by default too, and so are the labels of a selection set that is."""
    by_output = {step.output: step for step in steps}
    waiting = [step for step in steps if step.default]
    while waiting:
        step = waiting.pop()
        for name in (*step.inputs, *((SELECTION_LABELS,) if step.output == SELECTION else ())):
            other = by_output.get(name)
            if other is not None and not other.default:
                by_output[name] = replace(other, default=True)
                waiting.append(other)
    return list(by_output.values())
