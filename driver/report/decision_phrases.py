"""The sentences of a decision: what is shipped and why, what goes with it, and why each other variant is not chosen."""

import math
from collections.abc import Iterator, Mapping, Sequence

from driver.analysis.facts import (
    Assessment,
    CalibrationWorse,
    Caveat,
    ClassLoses,
    ComparedWith,
    Decision,
    GateFails,
    GateUnchecked,
    LookedBefore,
    NoOtherVariant,
    NoResult,
    NotCheckedWithoutVnni,
    NothingBetter,
    NothingShown,
    NothingToCompareWith,
    NoTolerance,
    NotShown,
    NotTimed,
    OnlyFidelityKnown,
    Reason,
    ReferenceHasNoAnswers,
    ReferenceUnsound,
    Rejection,
    ShownGoodEnough,
    ShownWorse,
    SlowerThanFloat,
)
from driver.analysis.metric_specs import METRIC_SPECS
from driver.analysis.results import Comparison, SmallestLoss
from driver.decision.criteria import preferred_cost
from driver.decision.run_outcome import makes_required_decision
from driver.experiment.model import HERE
from driver.report import gate_format
from driver.report.phrases import FEW_SKIPPED, NO_VNNI, SIDES, class_name, price_parts, probability, slower_text

ALIKE = 1.05  # times the cost of another variant: about as good
BETTER = {"latency": "faster", "throughput": "faster", "size": "smaller", "accuracy": "better"}
REASONS: Mapping[type, str] = {
    ReferenceHasNoAnswers: "the reference has no answers",
    ReferenceUnsound: "the reference has no result or fails a gate, and nothing else is shown to be good enough",
    NothingToCompareWith: "there is nothing to hold it against",
    NotTimed: "it was not timed",
    NoOtherVariant: "no other variant has a result",
}


# The whole decision.


def decision_sentences(comparison: Comparison) -> list[str]:
    """What is shipped and why, what goes with it, then why each other variant is not chosen."""
    if comparison.decision is None:
        return []
    return [decision_line(comparison), *decision_reasons(comparison), *other_sentences(comparison)]


def decision_line(comparison: Comparison) -> str:
    """The decision in one sentence."""
    head, reason = headline(comparison.decision, comparison.unit)
    return f"{head}: {reason}" if reason else head


def decision_reasons(comparison: Comparison) -> list[str]:
    """What goes with the decision, a sentence each, the most important first: its caveats, then why the variants that
    are better by what is preferred were not chosen, the best of them first.
    """
    decision = comparison.decision
    if decision is None:
        return []
    caveats = [caveat_sentence(caveat, comparison) for caveat in decision.caveats]
    better = [rejection_sentence(item, comparison.unit) for item in select_better(comparison, decision)]
    return [*caveats, *better]


def other_sentences(comparison: Comparison) -> list[str]:
    """Why each of the other variants is not chosen."""
    decision = comparison.decision
    if decision is None:
        return []
    better = select_better(comparison, decision)
    return rejection_sentences([item for item in decision.rejections if item not in better], comparison.unit)


def select_better(comparison: Comparison, decision: Decision) -> list[Rejection]:
    """The variants that aren't shown good enough, and are as good as the one that is chosen, or better, by what is
    preferred.
    """
    rows = {row.name: row for row in comparison.variants}
    costs = {name: preferred_cost(row, decision.preferred) for name, row in rows.items()}
    chosen = ALIKE * costs.get(decision.variant, math.inf)
    found = [
        item
        for item in decision.rejections
        if isinstance(item.reasons[0], ShownWorse | NotShown) and costs.get(item.variant, math.inf) < chosen
    ]
    return sorted(found, key=lambda item: costs[item.variant])


def required_decision(comparison: Comparison) -> str:
    """For a comparison without the decision that the experiment requires; "" where nothing is required."""
    if makes_required_decision(comparison):
        return ""
    return "The experiment requires a decision, and no variant is shown good enough (require: decision)."


def rejection_sentences(rejections: Sequence[Rejection], unit: str) -> list[str]:
    """A sentence for each variant that isn't chosen; one for all that were skipped, where these are many."""
    skipped = [item for item in rejections if NoResult("skipped") in item.reasons]
    if len(skipped) <= FEW_SKIPPED:
        return [rejection_sentence(item, unit) for item in rejections]
    rest = [rejection_sentence(item, unit) for item in rejections if item not in skipped]
    return [*rest, f"Not {len(skipped)} others: skipped."]


def headline(decision: Decision | None, unit: str = "images") -> tuple[str, str]:
    """What is decided, and why: `Ship onnx.int8`, and the rest of the sentence. "" for the second where there is none.

    >>> headline(None)
    ('No verdict.', '')
    """
    if decision is None:
        return "No verdict.", ""
    head = {"ship_nothing": "Ship nothing", "keep_reference": f"Keep {decision.variant}"}
    slow = [reason for reason in decision.reasons if isinstance(reason, SlowerThanFloat)]
    why = "; ".join(praise(decision.reasons, unit))
    return head.get(decision.outcome, f"Ship {decision.variant}"), f"{why}.{slower_sentence(decision.variant, slow)}"


def praise(reasons: Sequence[Reason], unit: str) -> Iterator[str]:
    """What speaks for the decision; a price only where there is one to tell."""
    for reason in reasons:
        if isinstance(reason, ComparedWith):
            if parts := price_parts(reason.price):
                yield f"{' and '.join(parts)} than {reason.other} on this CPU"
        elif not isinstance(reason, SlowerThanFloat):
            yield reason_text(reason, unit)


def rejection_sentence(rejection: Rejection, unit: str) -> str:
    slow = [reason for reason in rejection.reasons if isinstance(reason, SlowerThanFloat)]
    why = [reason_text(reason, unit) for reason in rejection.reasons if not isinstance(reason, SlowerThanFloat)]
    return f"Not {rejection.variant}: {', '.join(why)}.{slower_sentence(rejection.variant, slow)}"


def slower_sentence(variant: str, reasons: Sequence[SlowerThanFloat]) -> str:
    """A sentence of its own, with a space before it; "" where the variant isn't slower."""
    return "".join(f" {variant} is {slower_text(reason)}." for reason in reasons[:1])


# Reasons.


def reason_text(reason: Reason, unit: str) -> str:
    """Without the variant's name, and without a full stop."""
    return REASONS.get(type(reason)) or reason_with_values(reason, unit)


def reason_with_values(reason: Reason, unit: str) -> str:
    match reason:
        case ShownGoodEnough() | ShownWorse() | NotShown() | NoTolerance() | NothingShown():
            return evidence_text(reason, unit)
        case NothingBetter():
            return f"nothing that is shown to be good enough is {BETTER[reason.preferred]}"
        case NoResult():
            return reason.status
        case GateFails():
            value, limit = (gate_format.quantity(reason.metric, each) for each in (reason.value, reason.limit))
            return f"{reason.metric} is {value}, must be {SIDES[reason.bound]} {limit}"
        case GateUnchecked():
            return f"its gate on {reason.metric} could not be checked, since that was not measured"
        case ComparedWith():
            return compared_text(reason)
        case SlowerThanFloat():
            return slower_text(reason)
    raise TypeError(f"no sentence for {reason}")


def compared_text(reason: ComparedWith) -> str:
    """Of a variant that is not chosen. Nothing may be known of its speed, and its size may be the same."""
    if parts := price_parts(reason.price):
        return f"{' and '.join(parts)} than {reason.other}"
    return f"it is not known to be faster or smaller than {reason.other}"


def evidence_text(reason: ShownGoodEnough | ShownWorse | NotShown | NoTolerance | NothingShown, unit: str) -> str:
    """What is known, or not, about how good a variant is."""
    match reason:
        case ShownGoodEnough():
            return shown_text(reason.assessments)
        case ShownWorse() | NotShown():
            return assessment_text(reason.assessment, unit)
        case NoTolerance():
            specs = [(METRIC_SPECS[each.metric], each.value) for each in reason.metrics]
            distances = ", ".join(f"{spec.label} {spec.text(value)}" for spec, value in specs)
            return f"nothing says how near to the reference is near enough ({distances}): set `tolerance`, such as 30dB"
        case NothingShown():
            return nothing_shown_text(reason, unit)


def nothing_shown_text(reason: NothingShown, unit: str) -> str:
    text = "nothing else is shown to be good enough"
    if not reason.variant or reason.needed is None:
        return text
    return f"{text}; of {reason.variant}, about {round_count(reason.needed)} {unit} would show it"


def shown_text(assessments: Sequence[Assessment]) -> str:
    """`it loses at most 0.49 points of accuracy (0.88 are tolerated), here and on haswell`."""
    same = [item for item in assessments if item.target == HERE or item.same_answers]
    texts = [f"it {bound_text(same[0])}{place_text(same)}"] if same else []
    texts += [f"on {item.target} it {bound_text(item)}" for item in assessments if item not in same]
    return "; ".join(texts)


def place_text(same: Sequence[Assessment]) -> str:
    """Where the same answers come out, "" for this host alone."""
    others = [item.target for item in same if item.target != HERE]
    return f", here and bit for bit on {' and '.join(others)}" if others else ""


def assessment_text(item: Assessment, unit: str) -> str:
    """Of what isn't shown good enough on a target."""
    where = "" if item.target == HERE else f"on {item.target} "
    match item.outcome:
        case "not_run":
            return f"{where}it was not run: name it under `recommended`"
        case "not_tested":
            return "not tested, since a variant before it in the sequence is not shown to be good enough"
        case "not_shown":
            return f"{where}it {estimate_text(item)}{needed_text(item, unit)}"
    return f"{where}it {bound_text(item)}"


def bound_text(item: Assessment) -> str:
    """`loses at most 0.49 points of accuracy (0.88 are tolerated)`; of what is shown to be worse, `at least`."""
    worse = item.outcome == "worse"
    bound = item.low if worse == (item.quantity == "loss") else item.high
    assert bound is not None  # or nothing would be shown
    if item.quantity == "value":
        side = "at most" if worse else "at least"
        return f"has {METRIC_SPECS[item.metric].label} {side} {amount(item, bound)} ({limit_text(item)})"
    if bound < 0:
        return f"is better by at least {amount(item, -bound)} ({limit_text(item)})"
    return f"{loss_text(item, 'at least ' if worse else 'at most ', bound)} ({limit_text(item)})"


def estimate_text(item: Assessment) -> str:
    """`loses 0.57 points of accuracy, at most 0.93 (0.88 are tolerated)`: what is neither shown nor refuted."""
    estimate, bound = item.estimate or 0.0, item.high if item.quantity == "loss" else item.low
    if item.quantity == "value":
        least = "" if bound is None else f", at least {amount(item, bound)}"
        return f"has {METRIC_SPECS[item.metric].label} {amount(item, estimate)}{least} ({limit_text(item)})"
    known = f"is better by {amount(item, -estimate)}" if estimate < 0 else loss_text(item, "", estimate)
    if bound is None:
        return known
    return f"{known}, and {bare(item, bound)} can't be ruled out ({limit_text(item)})"


def loss_text(item: Assessment, side: str, value: float) -> str:
    """`loses at most 0.49 points of accuracy`, `adds at most 0.012 to the MAE`."""
    if METRIC_SPECS[item.metric].better == "higher":
        of = "" if METRIC_SPECS[item.metric].unit == "%" else f" of {METRIC_SPECS[item.metric].name}"
        return f"loses {side}{amount(item, value)}{of}"
    return f"adds {side}{bare(item, value)} to the {METRIC_SPECS[item.metric].label}"


def amount(item: Assessment, value: float) -> str:
    """In the metric's own unit; of a share in points."""
    spec = METRIC_SPECS[item.metric]
    if spec.unit == "%" and item.quantity == "loss":
        return f"{bare(item, value)} points of {spec.name}"
    return spec.text(value)


def bare(item: Assessment, value: float) -> str:
    """The same without its unit."""
    spec = METRIC_SPECS[item.metric]
    return f"{100 * value:.2f}" if spec.unit == "%" and item.quantity == "loss" else spec.bare(value)


def limit_text(item: Assessment) -> str:
    if item.quantity == "value":
        return f"{amount(item, item.limit)} are required"
    return f"{bare(item, item.limit)} are tolerated"


def needed_text(item: Assessment, unit: str) -> str:
    return f"; about {round_count(item.needed)} {unit} would show it" if item.needed else ""


def round_count(number: int) -> str:
    """With two significant digits: it is an estimate."""
    return f"{int(float(f'{number:.2g}')):,}"


# Caveats.


def caveat_sentence(caveat: Caveat, comparison: Comparison) -> str:
    unit, variant = comparison.unit, comparison.shipped
    match caveat:
        case OnlyFidelityKnown():
            return (
                f"There are no labels: only fidelity to {caveat.reference} is known, not whether its answers are right."
            )
        case NotCheckedWithoutVnni():
            return (
                f"{variant} was not checked on a CPU without VNNI ({NO_VNNI}), where its products can saturate: "
                "add such a CPU to `targets`, for example haswell."
            )
        case ClassLoses():
            return class_sentence(caveat, comparison)
        case CalibrationWorse():
            return (
                f"Its confidence is less well calibrated: the expected calibration error is {100 * caveat.ece:.1f} %, "
                f"that of the reference {100 * caveat.reference:.1f} %."
            )
        case LookedBefore():
            return (
                f"These test {unit} have been compared {caveat.times} times, with other variants or settings: what was "
                "chosen by looking at them looks better than it is."
            )


def class_sentence(caveat: ClassLoses, comparison: Comparison) -> str:
    name = class_name(comparison.dataset.get("classes", []), caveat.label)
    others = "one more class loses" if caveat.others == 1 else f"{caveat.others} more classes lose"
    more = f", and {others}" if caveat.others else ""
    return (
        f"{comparison.shipped} loses {caveat.points:.1f} points of the class {name} "
        f"({probability(caveat.p_value)}, corrected over the classes){more}."
    )


def smallest_loss_sentence(smallest: SmallestLoss | None, unit: str) -> str:
    """The smallest loss that the test samples can show; "" where nothing was compared."""
    if smallest is None:
        return ""
    return (
        f"With {smallest.samples:,} test {unit}, a loss of {smallest_text(smallest)} or more can be ruled out for a "
        "variant that loses nothing."
    )


def planned_loss_sentence(smallest: SmallestLoss | None, unit: str, candidates: int) -> str:
    """The same before anything has answered; "" of a task of which nothing is known yet."""
    if smallest is None or smallest.discordant is None:
        return ""
    differ = f"{100 * smallest.discordant:g} % of their answers differ"
    return (
        f"With {smallest.samples:,} test {unit}, a loss of {smallest_text(smallest)} or more can be ruled out for "
        f"{candidates} variants that lose nothing, if {differ}."
    )


def smallest_text(smallest: SmallestLoss) -> str:
    spec = METRIC_SPECS[smallest.metric]
    if spec.unit == "%":
        return f"{100 * smallest.loss:.2f} points of {spec.name}"
    return f"{spec.bare(smallest.loss)} {spec.unit} of the {spec.name}".replace("  ", " ")
