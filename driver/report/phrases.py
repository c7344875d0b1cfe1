"""The sentences about a comparison, made from its data: row warnings, conversion notes, warnings about the run, gates,
and conversion steps. Those of the decision are in driver/report/decision_phrases.py, those on layers beside it.

Nothing reads these texts again: what depends on a fact looks at its kind and values (driver/analysis/facts.py).
"""

from collections.abc import Sequence
from statistics import NormalDist

from driver.analysis import metric_specs
from driver.analysis.facts import (
    AnsweringCpu,
    AnswersOfOtherCpus,
    BusyMachine,
    CannotRun,
    ConversionNote,
    CostOfFloatLayers,
    FarFromFloat,
    FormatConversion,
    LayersInFloat,
    LimitNotHeld,
    MadeByPt2e,
    MetricValue,
    MoreThreadsSlower,
    NotInterleaved,
    OperatorsInFloat,
    Price,
    Quantization,
    RewrittenGraph,
    RowWarning,
    RunWarning,
    SaturatingProducts,
    SharedMachine,
    SlowerThanFloat,
    StageNote,
    ThrottledMachine,
    WorseOnCpu,
)
from driver.analysis.metric_specs import METRIC_SPECS, MetricSpec
from driver.analysis.results import Baseline, Comparison, Draws, Gate, UncheckedGate, Variant
from driver.decision.ranking import Choice
from driver.experiment.task_specs import COST_GATES
from driver.report import columns, gate_format
from shared.contract import Status

MEANINGS = {"✓": "shown good enough", "?": "not shown", "✗": "shown worse"}  # of a sign in the main table
SIDES = {"min": "at least", "max": "at most"}
NO_VNNI = "AVX2, no VNNI"  # a CPU on which products of uint8 and int8 saturate: shared/measure/instructions.py
REWRITES_NAMED = 2  # of what was rewritten in a graph
FEW_SKIPPED = 2  # lines for what was skipped; more become one
MISSING_INPUTS = "what they need failed, is missing or out of date"
PRECISIONS = {"int8": "INT8", "uint8": "INT8", "int16": "INT16", "uint16": "INT16", "float16": "FP16"}


# Values.


def price_parts(price: Price) -> list[str]:
    """`4.0× faster`, `3.0× smaller`; a size that is the same to a tenth is left out."""
    parts = []
    if price.within_noise:
        parts.append("no faster (within the noise)")
    elif price.speed is not None:
        parts += speed_parts(price, price.speed)
    if price.size is not None and f"{max(price.size, 1 / price.size):.1f}" != "1.0":
        parts.append(f"{price.size:.1f}× smaller" if price.size > 1 else f"{1 / price.size:.1f}× larger")
    return parts


def speed_parts(price: Price, speed: float) -> list[str]:
    """Of a busy machine the range alone, and nothing where not even that is known."""
    word = "faster" if speed > 1 else "slower"
    if not price.doubtful:
        return [f"{max(speed, 1 / speed):.1f}× {word}"]
    if price.speed_low is None or price.speed_high is None or price.speed_low <= 1 <= price.speed_high:
        return []
    ends = sorted(max(end, 1 / end) for end in (price.speed_low, price.speed_high))
    return [f"{ends[0]:.1f} to {ends[1]:.1f}× {word} (the machine was busy)"]


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
        case MoreThreadsSlower():
            return threads_text(warning, unit)
        case WorseOnCpu():
            return worse_on_cpu_text(warning, unit)
        case CannotRun():
            return f"can't run on {warning.cpu}: {warning.reason}"


def threads_text(warning: MoreThreadsSlower, unit: str) -> str:
    count = f"{warning.batch:,} {unit if warning.batch > 1 else metric_specs.singular_of(unit)}"
    return f"{warning.factor:.1f}× slower on {warning.threads} threads than on one, with {count} a call"


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


def slower_text(warning: SlowerThanFloat) -> str:
    return f"{warning.factor:.1f}× slower than {warning.baseline}, its float baseline"


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
    if spec is not METRIC_SPECS["accuracy"]:
        return other_spread(spec, draws)
    sure = f", mean 95% {spec.span(draws.interval)}" if draws.interval else ""
    change = points(100 * draws.delta)
    return f"{100 * draws.mean:.2f} ± {100 * draws.sd:.2f} %, {low:.2f}…{high:.2f}{sure} ({change} points)"


def other_spread(spec: MetricSpec, draws: Draws) -> str:
    """The same of another task's headline metric."""
    mean, sd, low, high = map(spec.bare, (draws.mean, draws.sd, min(draws.values), max(draws.values)))
    sure = f", mean 95% {spec.span(draws.interval)}" if draws.interval else ""
    return f"{spec.label} {mean} ± {sd}, {low}…{high}{sure} ({spec.signed(draws.delta)})"


# The run.


def outcome_lines(comparison: Comparison) -> list[tuple[str, Status, str]]:
    """(name, status, reason) of all that has no metrics, or not all. Of many that were skipped, only the first."""
    skipped = [line for line in comparison.reasons if line[1] == "skipped"]
    if len(skipped) <= FEW_SKIPPED:
        return comparison.reasons
    rest = [line for line in comparison.reasons if line[1] != "skipped"]
    return [*rest, skipped[0], (f"{len(skipped) - 1} others", "skipped", MISSING_INPUTS)]


def title(comparison: Comparison) -> str:
    images = comparison.dataset["test_images"]
    name = comparison.dataset["name"]
    if not images:
        return f"{comparison.experiment}: nothing was evaluated"
    split = comparison.dataset.get("split", "test")
    groups = f" in {comparison.dataset['groups']:,} groups" if "groups" in comparison.dataset else ""
    samples = f"{images:,} {split} {comparison.unit} of {name}{groups}"
    return f"{comparison.experiment}: {samples}, against {comparison.reference}"


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


def legend(comparison: Comparison) -> str:
    """What the bound in the main table is, and what the signs beside it mean; "" where no row has one."""
    assessments = [row.assessment for row in comparison.variants if row.assessment]
    if not assessments:
        return ""
    first, *others = columns.find_limits(comparison)
    used = {columns.SIGNS[each.outcome] for each in assessments}
    spec = METRIC_SPECS[first.metric]
    limit = f"{spec.bare(first.limit)} {spec.difference_unit}".strip()
    signs = ", ".join(f"{sign} {text}" for sign, text in MEANINGS.items() if sign in used)
    if first.quantity == "loss":
        return f"loss ≤: at most so much is lost, with 95% confidence; {limit} is tolerated: {signs}"
    more = "".join(f", {spec.text(each.limit)} of float variants," for each in others)
    return f"{spec.label} ≥: at least so much is left, with 95% confidence; {limit}{more} is asked for: {signs}"


# Gates.


def gates_summary(comparison: Comparison) -> str:
    """Do all gates hold, how many don't, and how many rows could none be held to?"""
    count, unchecked = len(comparison.gates), len(comparison.unchecked)
    broken = sum(not gate.holds for gate in comparison.gates)
    parts = [f"{broken} of {count} gates {'fails' if broken == 1 else 'fail'}"] if broken else []
    parts += [f"{unchecked} {'gate is' if unchecked == 1 else 'gates are'} not checked"] if unchecked else []
    if parts:
        return f"{', and '.join(parts)}."
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


def gate_sentence(gate: Gate, classes: Sequence[str] = ()) -> str:
    """With its unit, without a full stop; `classes` are the names of the data set's classes."""
    value, limit = (gate_format.quantity(gate.metric, each) for each in (gate.value, gate.limit))
    sure = f" with {gate.confidence:.0%} confidence" if gate.confidence is not None else ""
    worst = f" ({name_part(gate.metric, classes, gate.label)})" if gate.label is not None else ""
    before = f" ({gate_format.quantity(gate.metric, gate.before)} before)" if gate.before is not None else ""
    return f"{gate.variant} has {gate.metric} {value}{before}{sure}{worst}, must be {SIDES[gate.bound]} {limit}"


def name_part(metric: str, classes: Sequence[str], number: int) -> str:
    """The class or step whose value a gate is on; classes of another output than the evaluated one by their number."""
    if metric.endswith("step_mae"):
        return f"step {number + 1}"
    return f"class {number if '.' in metric else class_name(classes, number)}"


def class_name(classes: Sequence[str], label: int) -> str:
    return str(classes[label]) if label < len(classes) else str(label)


def gate_lines(comparison: Comparison) -> list[tuple[str, str]]:
    """What is wrong and a sentence, of each gate that doesn't hold and of each that couldn't be checked."""
    classes = comparison.dataset.get("classes", [])
    broken = [("gate fails", gate_sentence(gate, classes)) for gate in comparison.gates if not gate.holds]
    return broken + [("gate not checked", unchecked_sentence(gate)) for gate in comparison.unchecked]


def baseline_lines(comparison: Comparison, baseline: Baseline | None) -> list[tuple[str, str]]:
    """What is wrong and a sentence, of each check against another run that doesn't hold or couldn't be made."""
    if baseline is None:
        return []
    classes = comparison.dataset.get("classes", [])
    than = f"worse than {baseline.name}"
    lost = [(than, lost_sentence(name)) for name in baseline.lost]
    broken = [(than, gate_sentence(gate, classes)) for gate in baseline.gates if not gate.holds]
    unchecked = [(f"not checked against {baseline.name}", uncompared_sentence(gate)) for gate in baseline.unchecked]
    return [*lost, *broken, *unchecked]


def lost_sentence(variant: str) -> str:
    return f"{variant} has no result, and had one"


def uncompared_sentence(gate: UncheckedGate) -> str:
    if gate.metric in COST_GATES:
        return f"{gate.metric} of {gate.variant} was not measured in both runs"
    return f"{gate.metric} of {gate.variant} is not known: the runs did not both answer the same samples"


def baseline_summary(baseline: Baseline) -> str:
    """`Against yesterday (drop_pp=0.5, p50_ms=10%): all 24 checks hold.`"""
    count, broken = len(baseline.gates), sum(not gate.holds for gate in baseline.gates)
    unchecked, lost = len(baseline.unchecked), len(baseline.lost)
    parts = [f"{broken} of {count} checks {'fails' if broken == 1 else 'fail'}"] if broken else []
    parts += [f"{unchecked} {'is' if unchecked == 1 else 'are'} not made"] if unchecked else []
    parts += [f"{lost} {'variant has' if lost == 1 else 'variants have'} no result any more"] if lost else []
    held = f"all {count} checks hold" if count > 1 else "the one check holds" if count else "nothing to check"
    machine = f" Its timings are of another CPU, {baseline.cpu}." if baseline.cpu else ""
    return f"Against {baseline.name} ({', '.join(baseline.limits)}): {', '.join(parts) or held}.{machine}"


def unchecked_sentence(gate: UncheckedGate) -> str:
    return f"{gate.metric} of {gate.variant} was not measured"


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


# Selection.


def choice_lines(choices: Sequence[Choice], overall: str, ranked: Comparison) -> list[str]:
    """Which recipes were chosen, and on what; `overall` is tested first."""
    images = ranked.dataset["test_images"]
    lines = [f"Chosen on {images:,} training {ranked.unit} that calibrate nothing; the test set was not looked at:"]
    for choice in choices:
        lines += [
            f"{choice.image}: {choice.recommended} is recommended; best accuracy {choice.accuracy}, "
            f"least latency {choice.latency}; safe on every CPU {choice.safe or 'none'}; "
            f"Pareto front {', '.join(choice.front)}"
        ]
    return [*lines, f"{overall} is the overall winner: it is tested first, without a correction for those that lost."]
