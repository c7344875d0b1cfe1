"""The way of the model from variant to variant, and what was lost on each leg."""

from dataclasses import replace

from driver.analysis import output_drift, statistics
from driver.analysis.artifacts import Evidence, recipe, variants
from driver.analysis.evaluation import Answer, Evaluation, compute_headline
from driver.analysis.results import Leg
from driver.catalog import declarations
from shared.contract import Step

NAMES = {"keras": "Keras", "onnx": "ONNX", "torch": "PyTorch"}  # of formats, by image; of others the framework's


def compare(evaluation: Evaluation) -> tuple[Leg, ...]:
    """A leg for each variant that was made from another one, where both have answers."""
    found, evidence = [], evaluation.evidence
    names = {step.output for step in variants(evidence.plan)}
    for step in variants(evidence.plan):
        before, tools = origin(evidence, step)
        answer_before = evaluation.answer(before) if before in names else None
        answer_after = evaluation.answer(step.output)
        if answer_before is not None and answer_after is not None:
            leg = between(answer_before, answer_after)
            found.append(replace(leg, kind=kind(before, step), before=before, after=step.output, tools=tools))
    return tuple(found)


def between(one: Answer, other: Answer) -> Leg:
    """What is lost from one to the other, by the task."""
    classes = one.truth.spec.has_classes
    drift = output_drift.drift(one.outputs, other.outputs, classes)
    if classes:
        return Leg("", "", "", (), drift, statistics.paired(one.right, other.right))
    return Leg("", "", "", (), drift, None, compute_headline(other, one) if one.truth.judges else None)


def kind(before: str, step: Step) -> str:
    """`Keras→ONNX`, `ONNX→PyTorch` or, for every quantization, `FP32→INT8`."""
    if recipe(step) != "fp32":
        return "FP32→INT8"
    names = declarations.titles() | NAMES
    return "→".join(names.get(image, image) for image in (before.partition(".")[0], step.image))


def origin(evidence: Evidence, step: Step) -> tuple[str, tuple[str, ...]]:
    """The variant before `step`'s, "" for the first, and the tools in between, each with its version.

    A quantized variant is held against the float one of its own framework: what its converter lost is another leg.
    """
    steps = {item.output: item for item in evidence.plan.steps}
    names = {item.output for item in variants(evidence.plan)}
    tools = [tool(evidence, step)]
    if recipe(step) != "fp32":
        return f"{step.image}.fp32", (tools[0],)
    while True:
        before = [name for name in step.inputs if name in steps and name not in ("dataset", "calibration")]
        if not before:
            return "", ()
        if before[0] in names:
            return before[0], tuple(reversed(tools))
        step = steps[before[0]]
        tools.append(tool(evidence, step))


def tool(evidence: Evidence, step: Step) -> str:
    """The package that does the step's work, and its version."""
    return f"{step.tool} {evidence.installed(step.output).get(step.tool, '')}".strip()
