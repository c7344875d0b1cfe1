"""Which output of the model each array of labels is for, and the labels of each by its task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from images.keras.data import detection_labels, task_labels
from images.keras.data.sample_sets import OutputLabels, printable_name
from images.keras.data.task_labels import AUTO, DETECTION, InputForm, LabelOptions, RawLabels, TaskLabels, TaskOrAuto
from shared.data.task_names import TASK_NAMES
from shared.errors import CrossquantError

# Tasks that need more than the labels of an output: the inputs, all outputs, or groups of the samples.
DECIDING = ("reconstruction", "detection", "embedding")


@dataclass(frozen=True)
class Declared:
    """What the experiment says of labels: the evaluated output with its task and classes; the tasks of all outputs that
    have labels, in their order; and the numbers of these outputs, empty where the data has them, or their order tells.
    """

    evaluated_output: int = 0
    task: str = AUTO
    classes: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    outputs: tuple[int, ...] = ()


@dataclass(frozen=True)
class LabelledOutput:
    """An output of the model: its number, the name that its labels have, "" where they have none, and its labels."""

    output: int
    name: str
    labels: TaskLabels


def resolve_outputs(
    sets: dict[str, RawLabels],
    names: Sequence[str],
    numbers: Sequence[int],
    declared: Declared,
    options: LabelOptions,
    form: InputForm,
) -> list[LabelledOutput]:
    """The labels of each output that has some, the evaluated one first.

    `names` and `numbers` are those of the arrays of labels. CrossquantError where these can't be told, or for labels
    that a task doesn't have.
    """
    count = count_labels(sets)
    outputs = find_outputs(count, numbers, declared)
    tasks = find_tasks(outputs, declared)
    resolved = []
    for place, output in enumerate(outputs):
        own = {split: replace(raw, values=pick_labels(raw.values, place, count)) for split, raw in sets.items()}
        classes = declared.classes if output == declared.evaluated_output else ()
        labels = resolve_task_labels(tasks[place], own, classes, options, form)
        resolved.append(LabelledOutput(output, printable_name(names[place]) if names else "", labels))
    return sorted(resolved, key=lambda item: (item.output != declared.evaluated_output, item.output))


def resolve_task_labels(
    task: TaskOrAuto, sets: dict[str, RawLabels], classes: tuple[str, ...], options: LabelOptions, form: InputForm
) -> TaskLabels:
    """The labels of one output, by its task."""
    if task != DETECTION:
        return task_labels.resolve_labels(task, sets, classes, options, form)
    if options.detection is None:
        raise CrossquantError("data.output_tasks: only the output that decides can be a detection: set data.task")
    objects = detection_labels.resolve_objects(sets, options.detection, options, form.shape, classes)
    return TaskLabels(DETECTION, classes, objects)


def count_labels(sets: dict[str, RawLabels]) -> int:
    """How many labels each sample has: OutputLabels have one for each output."""
    counts = {len(value) if isinstance(value, OutputLabels) else 1 for raw in sets.values() for value in raw.values}
    if len(counts) > 1 and any(value is None for raw in sets.values() for value in raw.values):
        counts.discard(1)  # a set without labels
    if len(counts) > 1:
        raise CrossquantError("some samples have labels of more outputs than others: give each of them the same")
    return next(iter(counts), 1)


def pick_labels(values: Sequence[object], place: int, count: int) -> list[object]:
    """The label for one output, of each sample."""
    if count == 1:
        return list(values)
    return [value[place] if isinstance(value, OutputLabels) else value for value in values]


def find_outputs(count: int, numbers: Sequence[int], declared: Declared) -> list[int]:
    """The number of the model's output that each label is for: as declared, as the data has it, or in their order."""
    evaluated = declared.evaluated_output
    if declared.outputs and len(declared.outputs) != count:
        raise CrossquantError(
            f"data.outputs has {len(declared.outputs)} numbers, and there are {count} arrays of labels"
        )
    outputs = list(declared.outputs or numbers or ([evaluated] if count == 1 else range(count)))
    if len(np.unique(outputs)) != count or evaluated not in outputs:
        listed = ", ".join(map(str, outputs))
        raise CrossquantError(
            f"there are labels for the outputs {listed}: data.evaluated_output, the one that decides, is {evaluated}; "
            "let it be one of them"
        )
    return outputs


def find_tasks(outputs: Sequence[int], declared: Declared) -> list[TaskOrAuto]:
    """The declared task of each output, `auto` where the labels tell."""
    if declared.tasks and len(declared.tasks) != len(outputs):
        raise CrossquantError(
            f"data.output_tasks has {len(declared.tasks)} tasks, and there are {len(outputs)} arrays of labels"
        )
    tasks: list[str] = list(declared.tasks) if declared.tasks else [AUTO] * len(outputs)
    for place, output in enumerate(outputs):
        if output == declared.evaluated_output and declared.task != AUTO:
            tasks[place] = declared.task
    return [
        check_task(name, further=output != declared.evaluated_output)
        for name, output in zip(tasks, outputs, strict=True)
    ]


def check_task(name: str, *, further: bool) -> TaskOrAuto:
    """The name of a task, or `auto`. CrossquantError for any other, or for one that a further output can't have."""
    if further and name in DECIDING:
        raise CrossquantError(
            f"data.output_tasks: {name} is a task of the output that decides: let data.evaluated_output be its number"
        )
    for task in (AUTO, *TASK_NAMES):
        if name == task:
            return task
    raise CrossquantError(f"data.output_tasks: '{name}' is no task: {', '.join((AUTO, *TASK_NAMES))} are")
