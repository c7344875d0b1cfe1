"""The conversion steps between variants, and what each of them lost."""

from driver.analysis.artifacts import Evidence, recipe, variants
from driver.analysis.evaluation import Answer, Evaluation, compute_headline
from driver.analysis.facts import FormatConversion, Quantization
from driver.analysis.results import ConversionStep
from driver.catalog import declarations
from driver.experiment import recipes
from shared.contract import Step

NAMES = {"keras": "Keras", "onnx": "ONNX", "torch": "PyTorch"}  # of formats, by image; of others the framework's
TYPES = {"qint8": "int8", "quint8": "uint8"}  # PyTorch's names for 8-bit types


def compare_conversion_steps(evaluation: Evaluation) -> tuple[ConversionStep, ...]:
    """A conversion step for each variant that was made from another one, where both have answers."""
    conversions, evidence = [], evaluation.evidence
    names = {step.output for step in variants(evidence.plan)}
    for step in variants(evidence.plan):
        before, tools = find_origin(evidence, step)
        answer_before = evaluation.answer(before) if before in names else None
        answer_after = evaluation.answer(step.output)
        if answer_before is not None and answer_after is not None:
            change = describe_change(before, step)
            conversions.append(compare_answers(answer_before, answer_after, change, before, step, tools))
    return tuple(conversions)


def compare_answers(
    one: Answer, other: Answer, change: FormatConversion | Quantization, before: str, step: Step, tools: tuple[str, ...]
) -> ConversionStep:
    """What is lost from `one` to `other`, by the task."""
    drift = other.drift_from(one)
    if one.truth.spec.has_classes:
        return ConversionStep(change, before, step.output, tools, drift, other.pair_with(one))
    metric = compute_headline(other, one) if one.truth.can_evaluate else None
    return ConversionStep(change, before, step.output, tools, drift, None, metric)


def describe_change(before: str, step: Step) -> FormatConversion | Quantization:
    """What the step that made a variant from the variant `before` changed."""
    if recipe(step) != "fp32":
        return describe_quantization(step)
    names = declarations.list_titles() | NAMES
    source, target = (names.get(image, image) for image in (before.partition(".")[0], step.image))
    return FormatConversion(source, target)


def describe_quantization(step: Step) -> Quantization:
    """By the recipe's parameters, and by `method`, with which its stage is chosen. What neither names is int8."""
    stage = recipes.find_maker(step)
    method = stage.when.get("method", step.run) if stage else step.run
    weights, activations = (step.parameters.get(key, "int8") for key in ("weight", "activation"))
    weights, activations = TYPES.get(weights, weights), TYPES.get(activations, activations)
    if method == "float16":
        return Quantization("float16", "float32", "weights_only")
    if any(name.partition(".")[0].startswith("calibration") for name in step.inputs):
        return Quantization(weights, activations, "static")
    if method == "dynamic":
        return Quantization(weights, activations, "dynamic")
    return Quantization(weights, "float32", "weights_only")


def find_origin(evidence: Evidence, step: Step) -> tuple[str, tuple[str, ...]]:
    """The variant before `step`'s, "" for the first, and the tools in between, each with its version.

    A quantized variant is compared with the float one of its own framework: what its converter lost is another step.
    """
    steps = {item.output: item for item in evidence.plan.steps}
    names = {item.output for item in variants(evidence.plan)}
    tools = [describe_tool(evidence, step)]
    if recipe(step) != "fp32":
        return f"{step.image}.fp32", (tools[0],)
    while True:
        before = [name for name in step.inputs if name in steps and name not in ("dataset", "calibration")]
        if not before:
            return "", ()
        if before[0] in names:
            return before[0], tuple(reversed(tools))
        step = steps[before[0]]
        tools.append(describe_tool(evidence, step))


def describe_tool(evidence: Evidence, step: Step) -> str:
    """The package that does the step's work, and its version."""
    return f"{step.tool} {evidence.installed(step.output).get(step.tool, '')}".strip()
