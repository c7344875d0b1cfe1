"""Every sentence about a comparison, made from its data: row warnings, conversion notes, the decision and its caveats,
warnings about the run, gates, conversion steps, and why layers lose.

Nothing reads these texts again: what depends on a fact looks at its kind and values (driver/analysis/facts.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist

from driver.analysis import metric_specs
from driver.analysis.facts import (
    Alternative,
    AnsweringCpu,
    AnswersOfOtherCpus,
    BusyMachine,
    CannotRun,
    Caveat,
    ComparedWith,
    ConversionNote,
    CostOfFloatLayers,
    Decision,
    FarFromFloat,
    FloatTooFar,
    FormatConversion,
    GateFails,
    HoldsOnCpu,
    LayersInFloat,
    LimitNotHeld,
    LosesOnCpu,
    MadeByPt2e,
    MetricValue,
    NearEnough,
    NegligiblyWorse,
    NoCandidate,
    NoFidelityGate,
    NoOtherVariant,
    NoResult,
    NothingFaster,
    NothingToCompareWith,
    NotInterleaved,
    NotSignificantlyWorse,
    NotTimed,
    OnlyFidelityKnown,
    OperatorsInFloat,
    PairedDifference,
    Price,
    Quantization,
    Reason,
    ReferenceHasNoAnswers,
    Rejection,
    RewrittenGraph,
    RowWarning,
    RunWarning,
    SaturatingProducts,
    SharedMachine,
    SignificantlyWorse,
    SlowerThanFloat,
    StageNote,
    ThrottledMachine,
    TooFewSamples,
    WorseOnCpu,
)
from driver.analysis.metric_specs import METRIC_SPECS, MetricSpec
from driver.analysis.results import Comparison, Draws, Gate, Variant
from driver.decision.ranking import Choice
from driver.report import columns
from shared.contract import Status
from shared.sensitivity.layer_errors import Layer, Sensitivity

NO_VNNI = "AVX2, no VNNI"  # a CPU on which products of uint8 and int8 saturate: shared/measure/instructions.py
REWRITES_NAMED = 2  # of what was rewritten in a graph
FEW_SKIPPED = 2  # lines for what was skipped; more become one
MISSING_INPUTS = "what they need failed, is missing or out of date"
PRECISIONS = {"int8": "INT8", "uint8": "INT8", "int16": "INT16", "uint16": "INT16", "float16": "FP16"}


# The decision.


def decision_sentences(comparison: Comparison) -> list[str]:
    """What is shipped and why, then the caveats, then why each other variant is not chosen."""
    decision = comparison.decision
    if decision is None:
        return []
    caveats = [caveat_sentence(caveat, decision.variant, comparison.unit) for caveat in decision.caveats]
    return [first_sentence(comparison), *caveats, *rejection_sentences(decision.rejections)]


def rejection_sentences(rejections: Sequence[Rejection]) -> list[str]:
    """A sentence for each variant that isn't chosen; one for all that were skipped, where these are many."""
    skipped = [item for item in rejections if NoResult("skipped") in item.reasons]
    if len(skipped) <= FEW_SKIPPED:
        return list(map(rejection_sentence, rejections))
    rest = [rejection_sentence(item) for item in rejections if item not in skipped]
    return [*rest, f"Not {len(skipped)} others: skipped."]


def outcome_lines(comparison: Comparison) -> list[tuple[str, Status, str]]:
    """(name, status, reason) of all that has no metrics, or not all. Of many that were skipped, only the first."""
    skipped = [line for line in comparison.reasons if line[1] == "skipped"]
    if len(skipped) <= FEW_SKIPPED:
        return comparison.reasons
    rest = [line for line in comparison.reasons if line[1] != "skipped"]
    return [*rest, skipped[0], (f"{len(skipped) - 1} others", "skipped", MISSING_INPUTS)]


def first_sentence(comparison: Comparison) -> str:
    head, reason = headline(comparison.decision)
    return f"{head}: {reason}" if reason else head


def headline(decision: Decision | None) -> tuple[str, str]:
    """What is decided, and why: `Ship onnx.int8`, and the rest of the sentence. "" for the second where there is none.

    >>> headline(None)
    ('No verdict.', '')
    """
    if decision is None:
        return "No verdict.", ""
    if decision.outcome == "ship_nothing":
        return "Ship nothing", f"{', '.join(reason_text(reason) for reason in decision.reasons)}."
    slow = [reason for reason in decision.reasons if isinstance(reason, SlowerThanFloat)]
    if decision.outcome == "keep_reference":
        why = [reason_text(reason) for reason in decision.reasons if not isinstance(reason, SlowerThanFloat)]
        return f"Keep {decision.variant}", f"{', '.join(why)}.{slower_sentence(decision.variant, slow)}"
    return (
        f"Ship {decision.variant}",
        f"{', '.join(praise(decision.reasons))}.{slower_sentence(decision.variant, slow)}",
    )


def praise(reasons: Sequence[Reason]) -> Iterator[str]:
    """What speaks for the variant that is shipped; its price only where there is one to tell."""
    for reason in reasons:
        if isinstance(reason, ComparedWith):
            if parts := price_parts(reason.price):
                yield f"{' and '.join(parts)} than {reason.other} on this CPU"
        elif not isinstance(reason, SlowerThanFloat):
            yield reason_text(reason)


def rejection_sentence(rejection: Rejection) -> str:
    slow = [reason for reason in rejection.reasons if isinstance(reason, SlowerThanFloat)]
    why = [reason_text(reason) for reason in rejection.reasons if not isinstance(reason, SlowerThanFloat)]
    return f"Not {rejection.variant}: {', '.join(why)}.{slower_sentence(rejection.variant, slow)}"


def slower_sentence(variant: str, reasons: Sequence[SlowerThanFloat]) -> str:
    """A sentence of its own, with a space before it; "" where the variant isn't slower."""
    return "".join(f" {variant} is {slower_text(reason)}." for reason in reasons[:1])


def slower_text(warning: SlowerThanFloat) -> str:
    return f"{warning.factor:.1f}× slower than {warning.baseline}, its float baseline"


def reason_text(reason: Reason) -> str:
    """Without the variant's name, and without a full stop."""
    return REASONS.get(type(reason)) or reason_with_values(reason)


REASONS: Mapping[type, str] = {
    ReferenceHasNoAnswers: "the reference has no answers",
    NoCandidate: "no variant is sound and not significantly worse",
    NothingToCompareWith: "there is nothing to hold it against",
    NotTimed: "it was not timed",
    NoOtherVariant: "no other variant has a result",
}


def reason_with_values(reason: Reason) -> str:
    match reason:
        case NotSignificantlyWorse() | NegligiblyWorse() | SignificantlyWorse():
            return f"{STANDINGS[type(reason)]}{difference_text(reason.difference)}"
        case NearEnough() | NoFidelityGate() | FloatTooFar():
            return fidelity_text(reason)
        case NothingFaster():
            return f"nothing that keeps its {METRIC_SPECS[reason.metric].name} is faster"
        case NoResult():
            return reason.status
        case GateFails():
            side = "at least" if reason.bound == "min" else "at most"
            return f"{reason.metric} is {reason.value:.4g}, {side} {reason.limit:g} is asked for"
        case ComparedWith():
            return f"{' and '.join(price_parts(reason.price))} than {reason.other}"
        case SlowerThanFloat():
            return slower_text(reason)
    raise TypeError(f"no sentence for {reason}")


STANDINGS = {
    NotSignificantlyWorse: "not significantly worse",
    NegligiblyWorse: "worse by too little to matter",
    SignificantlyWorse: "significantly worse",
}


def fidelity_text(reason: NearEnough | NoFidelityGate | FloatTooFar) -> str:
    """With `SQNR 31.2 dB, cosine 0.99900, agree 98.20 %`."""
    distances = ", ".join(
        f"{METRIC_SPECS[each.metric].label} {METRIC_SPECS[each.metric].text(each.value)}" for each in reason.metrics
    )
    match reason:
        case NearEnough():
            return f"near enough to the reference ({distances})"
        case NoFidelityGate():
            return f"no gate says how near is near enough ({distances}): set gates.quantized.sqnr or .agreement"
        case FloatTooFar():
            return f"in float it should be nearer to the reference ({distances})"


def caveat_sentence(caveat: Caveat, variant: str, unit: str) -> str:
    """`variant` is the one that is shipped, `unit` what a person calls the samples."""
    match caveat:
        case OnlyFidelityKnown():
            return (
                f"There are no labels: only fidelity to {caveat.reference} is known, not whether its answers are right."
            )
        case TooFewSamples():
            return (
                f"These {caveat.samples:,} test {unit} are too few to tell a drop of {caveat.drop_pp:g} points, which "
                f"the gate allows: about {caveat.needed:,} would tell, with a power of {caveat.power:.0%}."
            )
        case HoldsOnCpu():
            return f"On {caveat.cpu} {variant} loses nothing: {there_and_here(caveat, unit)}."
        case LosesOnCpu():
            advice = alternative_sentence(caveat.alternative)
            return f"On {caveat.cpu} {variant} loses: {there_and_here(caveat, unit)}. {advice}"


def there_and_here(run: HoldsOnCpu | LosesOnCpu, unit: str) -> str:
    there, here = (short(run.metric, value) for value in (run.there, run.here))
    return f"{there} there, {here} here, on the same {run.samples:,} {unit}"


def alternative_sentence(alternative: Alternative | None) -> str:
    """What to ship where such CPUs exist, and what it costs."""
    if alternative is None:
        return "Where such CPUs exist, ship a recipe with reduce_range, or with uint8 activations and weights."
    costs = price_parts(alternative.price)
    costs += [change_text(alternative.difference)] if alternative.difference else []
    return f"Where such CPUs exist, ship {alternative.variant}, which loses nothing there: {', '.join(costs)}."


# Values.


def price_parts(price: Price) -> list[str]:
    """`4.0× faster`, `3.0× smaller`; a size that is the same to a tenth is left out."""
    parts = []
    if price.within_noise:
        parts.append("no faster (within the noise)")
    elif price.speed is not None:
        parts.append(f"{price.speed:.1f}× faster" if price.speed > 1 else f"{1 / price.speed:.1f}× slower")
    if price.size is not None and f"{max(price.size, 1 / price.size):.1f}" != "1.0":
        parts.append(f"{price.size:.1f}× smaller" if price.size > 1 else f"{1 / price.size:.1f}× larger")
    return parts


def difference_text(difference: PairedDifference | None) -> str:
    """` (−0.06 points, 95% −0.31…+0.19, p = 0.69)`; nothing where there is no paired test."""
    if difference is None:
        return ""
    change = change_text(MetricValue(difference.metric, difference.difference))
    ends = [end for end in (difference.low, difference.high) if end is not None]
    span = "…".join(signed(difference.metric, end) for end in ends)
    return f" ({change}, 95% {span}, {probability(difference.p_value)})"


def change_text(change: MetricValue) -> str:
    """Of a difference: `−0.06 points`, `−0.06 points of mAP`, `MAE +0.012`."""
    spec = METRIC_SPECS[change.metric]
    text = signed(change.metric, change.value)
    if change.metric == "accuracy":
        return f"{text} points"
    if spec.unit == "%":
        return f"{text} points of {spec.label}"
    return f"{spec.label} {text} {spec.unit}".rstrip()


def signed(metric: str, value: float) -> str:
    """Of a difference, without its unit."""
    return points(100 * value) if metric == "accuracy" else METRIC_SPECS[metric].signed(value)


def points(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def probability(p: float) -> str:
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def short(metric: str, value: float) -> str:
    """A share with one decimal, in percent; anything else with its label."""
    spec = METRIC_SPECS[metric]
    return f"{100 * value:.1f} %" if spec.unit == "%" else f"{spec.label} {spec.text(value)}"


# Rows.


def row_notes(row: Variant, unit: str) -> list[str]:
    """What a reader must know of a row: what looks wrong with it, how it was made, and the rest."""
    wrong = [warning for warning in row.warnings if isinstance(warning, FarFromFloat)]
    others = [warning for warning in row.warnings if not isinstance(warning, FarFromFloat)]
    notes = [conversion_note_text(note) for note in row.conversion_notes]
    return [*map(far_text, wrong), *notes, *(row_warning_text(warning, unit) for warning in others)]


def row_warning_text(warning: RowWarning, unit: str) -> str:
    match warning:
        case FarFromFloat():
            return far_text(warning)
        case SaturatingProducts():
            return saturation_text(warning)
        case LayersInFloat() | LimitNotHeld() | CostOfFloatLayers():
            return layers_text(warning)
        case SlowerThanFloat():
            return slower_text(warning)
        case WorseOnCpu():
            return worse_on_cpu_text(warning, unit)
        case CannotRun():
            return f"can't run on {warning.cpu}: {warning.reason}"


def layers_text(warning: LayersInFloat | LimitNotHeld | CostOfFloatLayers) -> str:
    """Of layers that are left in float."""
    match warning:
        case LayersInFloat():
            return f"{len(warning.layers)} of its layers stayed in float: {', '.join(warning.layers)}"
        case LimitNotHeld():
            return "no choice of layers held max_drop_pp within the trials: this is the best that there was"
        case CostOfFloatLayers():
            return cost_text(warning)


def far_text(warning: FarFromFloat) -> str:
    which = "it is" if warning.output is None else f"its output {warning.output} is"
    best = "no difference" if warning.best_sqnr_db is None else f"{warning.best_sqnr_db:.1f} dB"
    return (
        f"{which} much further from float than rounding explains: {warning.sqnr_db:.1f} dB, {best} in {warning.best} "
        "(SQNR): its graph or its ranges may be wrong, or its sums too wide for this CPU"
    )


def saturation_text(warning: SaturatingProducts) -> str:
    fact = f"run on a CPU ({NO_VNNI}) where products of uint8 and int8 can saturate"
    if warning.instead:
        return f"{fact}: take {warning.instead}, which answers alike on every CPU"
    settings = ", ".join(f"{key}: {str(value).lower()}" for key, value in warning.settings.items())
    return f"{fact}: a recipe with {settings} answers alike on every CPU" if settings else fact


def worse_on_cpu_text(warning: WorseOnCpu, unit: str) -> str:
    there, here = (short(warning.metric, value) for value in (warning.there, warning.here))
    same = "" if warning.agreement is None else f" (same answer on {100 * warning.agreement:.1f} %)"
    return f"{there} on {warning.cpu}, {here} here, on the same {warning.samples:,} {unit}{same}"


def cost_text(warning: CostOfFloatLayers) -> str:
    parts = [change_text(warning.difference)] if warning.difference else []
    parts += [] if warning.size is None else [f"{warning.size:.2f} times its size"]
    parts += [] if warning.latency is None else [f"{warning.latency:.2f} times its latency"]
    return f"against {warning.baseline}, which has none in float: {', '.join(parts)}"


def conversion_note_text(note: ConversionNote) -> str:
    match note:
        case StageNote():
            return note.text
        case MadeByPt2e():
            return f"FX graph mode refused it ({note.reason}): made by PT2E instead"
        case RewrittenGraph():
            left_out = len(note.rewrites) - REWRITES_NAMED
            more = f" and {left_out} more" if left_out > 0 else ""
            return f"made from a rewritten graph: {'; '.join(note.rewrites[:REWRITES_NAMED])}{more}"
        case OperatorsInFloat():
            return f"{note.in_float} of {note.operators} convolutions and matrix products stay in float"


def row_lines(comparison: Comparison) -> list[str]:
    """What the rows' metrics don't say, each with the variant's name: the calibration draws, then what is noted."""
    drawn = [
        f"{row.name} over {len(row.draws.values)} draws: {spread(row, row.draws)}"
        for row in comparison.variants
        if row.draws
    ]
    return drawn + [f"{row.name}: {line}" for row in comparison.variants for line in row_notes(row, comparison.unit)]


def spread(row: Variant, draws: Draws) -> str:
    """`87.14 ± 0.04 %, 87.10…87.18 (−0.05 points)`: mean, standard deviation, range, difference of the mean."""
    low, high = 100 * min(draws.values), 100 * max(draws.values)
    spec = metric_specs.spec_of(row.headline)
    if not spec.counted:
        return other_spread(spec, draws)
    return f"{100 * draws.mean:.2f} ± {100 * draws.sd:.2f} %, {low:.2f}…{high:.2f} ({points(100 * draws.delta)} points)"


def other_spread(spec: MetricSpec, draws: Draws) -> str:
    """The same of another task's headline metric."""
    mean, sd, low, high = map(spec.bare, (draws.mean, draws.sd, min(draws.values), max(draws.values)))
    return f"{spec.label} {mean} ± {sd}, {low}…{high} ({spec.signed(draws.delta)})"


# The run.


def title(comparison: Comparison) -> str:
    images = comparison.dataset["test_images"]
    name = comparison.dataset["name"]
    if not images:
        return f"{comparison.experiment}: nothing was evaluated"
    split = comparison.dataset.get("split", "test")
    return f"{comparison.experiment}: {images:,} {split} {comparison.unit} of {name}, against {comparison.reference}"


def run_warnings(comparison: Comparison) -> list[str]:
    """What the reader must know before the metrics."""
    warnings = [run_warning_sentence(warning) for warning in comparison.warnings]
    images = comparison.dataset.get("test_images")
    if not images or not comparison.dataset["sample"] or not comparison.spec.has_classes:
        return warnings
    return [
        f"Embedded sample: {images:,} test images instead of 10,000. An accuracy is known to "
        f"±{half_width(images):.1f} points here, to ±{half_width(10_000):.1f} on the full set (95%, at 87%).",
        *warnings,
    ]


def run_warning_sentence(warning: RunWarning) -> str:
    match warning:
        case BusyMachine():
            return f"Busy machine: other processes kept up to {warning.cores:.1f} cores busy during the timings."
        case SharedMachine():
            return f"Shared machine: the hypervisor took up to {warning.share:.0%} of the CPU time during the timings."
        case ThrottledMachine():
            return "Throttled machine: some CPUs ran slower than others by a fifth or more during the timings."
        case NotInterleaved():
            return "The images were timed one after the other, not in turn: a drift of the machine is not evened out."
        case AnswersOfOtherCpus():
            named = sorted(map(cpu_text, warning.cpus))
            return f"Answers of another CPU than this one, by its 8-bit instructions: {'; '.join(named)}."


def cpu_text(cpu: AnsweringCpu) -> str:
    return f"{cpu.name or 'unnamed'} ({', '.join(cpu.int8_instructions) or 'none'})"


def direction(comparison: Comparison) -> str:
    """What the metrics are, where they are not the accuracy that everybody knows; "" for that."""
    names = columns.names(comparison.variants)
    if comparison.spec.has_classes or not names:
        return ""
    if not comparison.spec.has_differences:
        return f"No labels: how near each variant is to {comparison.reference}, not how often it is right."
    first = METRIC_SPECS[names[0]]
    return f"{first.label}, the {first.long}: {first.direction}."


def half_width(images: int, accuracy: float = 0.87) -> float:
    """Half the 95% interval of an accuracy, in points, by the normal approximation."""
    return 100 * NormalDist().inv_cdf(0.975) * float((accuracy * (1 - accuracy) / images) ** 0.5)


# Gates.


def gates_hold(comparison: Comparison) -> str:
    """For a comparison in which no gate fails: that they hold, and how many rows none could be held to."""
    count = len(comparison.gates)
    if not count:
        return "No gate was checked: there is no row that has metrics, or no gate."
    failed = sum(row.status in ("failed", "skipped") for row in comparison.variants)
    lacking = f", and {failed} {'row has' if failed == 1 else 'rows have'} no result" if failed else ""
    held = f"All {count} gates hold" if count > 1 else "The one gate holds"
    return f"{held}{lacking}."


def not_held(comparison: Comparison) -> str:
    """Which rows aren't held to the gates on quantized ones; "" where all are."""
    names = list(dict.fromkeys(gate.variant for gate in comparison.not_held))
    if not names:
        return ""
    return f"Not held to gates.quantized on this CPU ({NO_VNNI}), but to gates.saturating: {', '.join(names)}."


def not_held_sentence(gate: Gate) -> str:
    return f"not held on this CPU ({NO_VNNI}): {gate_sentence(gate)}"


def gate_sentence(gate: Gate) -> str:
    most = "least" if gate.bound == "min" else "most"
    sure = f" with {gate.confidence:.0%} confidence" if gate.confidence is not None else ""
    return f"{gate.variant} has {gate.metric} {gate.value:g}{sure}, at {most} {gate.limit:g} is asked for"


# Conversion steps.


def change_label(change: FormatConversion | Quantization) -> str:
    """`Keras→ONNX`, `FP32→INT8`, `FP32→INT8, INT16 activations`, `FP32→INT8, dynamic`, `FP32→FP16, weights only`."""
    if isinstance(change, FormatConversion):
        return f"{change.source}→{change.target}"
    weights = PRECISIONS.get(change.weights, change.weights)
    parts = [f"FP32→{weights}"]
    if change.method == "weights_only":
        parts.append("weights only")
    else:
        activations = PRECISIONS.get(change.activations, change.activations)
        parts += [f"{activations} activations"] if activations != weights else []
        parts += ["dynamic"] if change.method == "dynamic" else []
    return ", ".join(parts)


# Layers.


def diagnosis_text(sensitivity: Sensitivity) -> str:
    """Why the variant loses much; "" where it doesn't, or nothing is known."""
    diagnosis = sensitivity.diagnosis
    if diagnosis is None:
        return sensitivity.cause
    if diagnosis.kind == "everywhere":
        return (
            "no layer is to blame alone: "
            f"with the weights in float the {sensitivity.score} is still {sensitivity.activations_only:.1%}; "
            "the ranges are too wide everywhere, which a few unusual calibration samples can cause: "
            "look at them, leave them out (ONNX Runtime: outliers: 10), or take 16-bit activations"
        )
    layer = next((layer for layer in sensitivity.layers if layer.name == diagnosis.layer), None)
    return "" if layer is None else layer_text(diagnosis.kind, layer, sensitivity)


def layer_text(kind: str, layer: Layer, sensitivity: Sensitivity) -> str:
    (low, high), score = layer.range, sensitivity.score
    kept = f"kept in float, the {score} is {layer.kept:.1%} instead of {sensitivity.quantized_accuracy:.1%}"
    lead = f"{layer.name} ({layer.operator}), with outputs from {low:.4g} to {high:.4g}, loses most"
    return f"{lead}: {layer_fault(kind, layer, score)}; {kept}"


def layer_fault(kind: str, layer: Layer, score: str) -> str:
    """What of the layer is to blame."""
    if kind == "clipping":
        return f"{layer.clipped:.1%} of them lie beyond the quantized range and are cut off"
    if kind == "weights":
        weights = layer.only_weights or 0.0
        return f"its weights are too unlike for so few steps, and alone bring the {score} to {weights:.1%}"
    return f"that range is too wide for so few steps, and alone brings the {score} to {layer.only_activations:.1%}"


# Selection.


def choice_lines(choices: Sequence[Choice], ranked: Comparison) -> list[str]:
    """Which recipes were chosen, and on what."""
    images = ranked.dataset["test_images"]
    lines = [f"Chosen on {images:,} training {ranked.unit} that calibrate nothing; the test set was not looked at:"]
    for choice in choices:
        lines += [
            f"{choice.image}: {choice.recommended} is recommended; best accuracy {choice.accuracy}, "
            f"least latency {choice.latency}; safe on every CPU {choice.safe or 'none'}; "
            f"Pareto front {', '.join(choice.front)}"
        ]
    return lines
