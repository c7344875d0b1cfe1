"""What a comparison says beside its metrics, as data: a class for each kind, with the values that its sentence needs.

The classes of a union below are told apart by `kind`, in `comparison.json` and when it is read (shared/contract.py).
driver/report/phrases.py writes the sentence of each; nothing else depends on how it is worded. Shares are 0-1, sizes in
bytes, and a `metric` is a name in driver/analysis/metric_specs.py, in whose own unit its values are.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from shared.contract import Status


@dataclass(frozen=True)
class MetricValue:
    metric: str
    value: float


@dataclass(frozen=True)
class Assessment:
    """Is a variant shown to be good enough on one target, this host ("here") or another CPU?

    `quantity` is the `loss` of the headline metric against the reference, which must be below `limit`, or, where the
    metric itself is a distance from the reference, its `value`, which must be above. `low` and `high` are one-sided
    bounds of it, each at level 0.05 over all `candidates` at once; None where nothing bounds it. All four are in the
    metric's own unit: shares are 0-1. Of the outcomes, `not_tested` is that of a variant behind one that was not shown
    good enough, where variants are tested in a sequence, and `not_run` that of one without answers on the target.
    `needed` is about how many samples would show it, None where it is shown, or no number would. `lost` and `won` are
    the samples that became wrong and right, of a metric that is a share of right answers. `groups`: how many groups the
    samples are in, None where each stands for itself. `same_answers`: the target answers bit for bit as this host, by a
    recipe that is declared to, so that what is shown here holds there.
    """

    target: str
    outcome: Literal["good_enough", "worse", "not_shown", "not_tested", "not_run"]
    metric: str
    quantity: Literal["loss", "value"]
    estimate: float | None
    low: float | None
    high: float | None
    limit: float
    samples: int
    candidates: int
    needed: int | None = None
    lost: int | None = None
    won: int | None = None
    groups: int | None = None
    same_answers: bool = False


@dataclass(frozen=True)
class Price:
    """What a variant costs against another one.

    `speed` is the other's p50 divided by this one's (above 1: faster), with a 95% interval over the process starts
    where there were several, and `size` the other's bytes divided by this one's (above 1: smaller); None where one of
    the two has no such number. `within_noise`: the difference of the timings is no larger than their noise. `doubtful`:
    the machine was too busy for the speed to be one number.
    """

    speed: float | None
    within_noise: bool
    size: float | None
    speed_low: float | None = None
    speed_high: float | None = None
    doubtful: bool = False


# Row warnings: what a reader must know of a row beside its metrics.


@dataclass(frozen=True)
class FarFromFloat:
    """An output (None: the only one) has a much lower SQNR than that of `best`, which rounds as much.

    `best_sqnr_db` is None where nothing differs there.
    """

    output: int | None
    sqnr_db: float
    best: str
    best_sqnr_db: float | None
    kind: Literal["far_from_float"] = "far_from_float"


@dataclass(frozen=True)
class SaturatingProducts:
    """The row lost on a CPU with AVX2 and without VNNI, where products of uint8 and int8 can saturate.

    What answers alike on every CPU: the variant `instead`, or "" and a recipe with `settings`, if any are known.
    """

    instead: str
    settings: dict[str, Any]
    kind: Literal["saturating_products"] = "saturating_products"


@dataclass(frozen=True)
class SlowerThanFloat:
    """A quantized variant takes `factor` times as long as `baseline`, its framework's float variant."""

    baseline: str
    factor: float
    kind: Literal["slower_than_float"] = "slower_than_float"


@dataclass(frozen=True)
class MoreThreadsSlower:
    """A call with `batch` samples takes `factor` times as long on `threads` threads as on one."""

    batch: int
    threads: int
    factor: float
    kind: Literal["more_threads_slower"] = "more_threads_slower"


@dataclass(frozen=True)
class LayersInFloat:
    layers: tuple[str, ...]
    kind: Literal["layers_in_float"] = "layers_in_float"


@dataclass(frozen=True)
class LimitNotHeld:
    """Accuracy-aware quantization found no choice of layers that keeps the loss within max_drop_pp."""

    kind: Literal["limit_not_held"] = "limit_not_held"


@dataclass(frozen=True)
class WorseOnCpu:
    """The file answers significantly worse on another CPU. `agreement` is None where there are no classes."""

    cpu: str
    metric: str
    there: float
    here: float
    samples: int
    agreement: float | None
    kind: Literal["worse_on_cpu"] = "worse_on_cpu"


@dataclass(frozen=True)
class CannotRun:
    """Another CPU can't run the file; `reason` is in its own words."""

    cpu: str
    reason: str
    kind: Literal["cannot_run"] = "cannot_run"


@dataclass(frozen=True)
class CostOfFloatLayers:
    """What the layers in float cost against `baseline`, the same recipe with none; None where it isn't known."""

    baseline: str
    difference: MetricValue | None
    size: float | None  # this one's bytes divided by the baseline's
    latency: float | None  # this one's p50 divided by the baseline's
    kind: Literal["cost_of_float_layers"] = "cost_of_float_layers"


RowWarning = (
    FarFromFloat
    | SaturatingProducts
    | SlowerThanFloat
    | MoreThreadsSlower
    | LayersInFloat
    | LimitNotHeld
    | WorseOnCpu
    | CannotRun
    | CostOfFloatLayers
)


# Conversion notes: how a variant was made, where that was not the usual way.


@dataclass(frozen=True)
class StageNote:
    """`text` is what the stage itself left in `notes.json`."""

    text: str
    kind: Literal["stage_note"] = "stage_note"


@dataclass(frozen=True)
class MadeByPt2e:
    """FX graph mode refused the model for `reason`, and PT2E quantized it."""

    reason: str
    kind: Literal["made_by_pt2e"] = "made_by_pt2e"


@dataclass(frozen=True)
class RewrittenGraph:
    """The graph was rewritten so that the framework could take it; `rewrites` says what, in the stage's words."""

    rewrites: tuple[str, ...]
    kind: Literal["rewritten_graph"] = "rewritten_graph"


@dataclass(frozen=True)
class OperatorsInFloat:
    """`in_float` of the `operators` that could be quantized (convolutions and matrix products) are not."""

    in_float: int
    operators: int
    kind: Literal["operators_in_float"] = "operators_in_float"


ConversionNote = StageNote | MadeByPt2e | RewrittenGraph | OperatorsInFloat


# Warnings of a comparison: what makes its timings doubtful, and answers that come from another CPU.


@dataclass(frozen=True)
class BusyMachine:
    """Other processes kept up to so many `cores` busy during the timings."""

    cores: float
    kind: Literal["busy_machine"] = "busy_machine"


@dataclass(frozen=True)
class SharedMachine:
    """The hypervisor took up to this share of the CPU time during the timings."""

    share: float
    kind: Literal["shared_machine"] = "shared_machine"


@dataclass(frozen=True)
class ThrottledMachine:
    """Some CPUs ran slower than others by a fifth or more during the timings."""

    kind: Literal["throttled_machine"] = "throttled_machine"


@dataclass(frozen=True)
class NotInterleaved:
    """The images were timed one after the other: a drift of the machine is not evened out."""

    kind: Literal["not_interleaved"] = "not_interleaved"


@dataclass(frozen=True)
class AnsweringCpu:
    """A CPU that gave answers: its name ("" where it has none) and its 8-bit instructions."""

    name: str
    int8_instructions: tuple[str, ...]


@dataclass(frozen=True)
class AnswersOfOtherCpus:
    """Some answers come from CPUs with other 8-bit instructions than this host's."""

    cpus: tuple[AnsweringCpu, ...]
    kind: Literal["answers_of_other_cpus"] = "answers_of_other_cpus"


RunWarning = BusyMachine | SharedMachine | ThrottledMachine | NotInterleaved | AnswersOfOtherCpus


# Reasons of a decision: of what it is, and why each other variant was not chosen.


@dataclass(frozen=True)
class ShownGoodEnough:
    """Of the chosen variant: it is shown good enough on each target, this host first."""

    assessments: tuple[Assessment, ...]
    kind: Literal["shown_good_enough"] = "shown_good_enough"


@dataclass(frozen=True)
class ShownWorse:
    """On this target the variant is shown to be worse than is tolerated."""

    assessment: Assessment
    kind: Literal["shown_worse"] = "shown_worse"


@dataclass(frozen=True)
class NotShown:
    """On this target the variant is not shown to be good enough, nor to be worse than is tolerated."""

    assessment: Assessment
    kind: Literal["not_shown"] = "not_shown"


@dataclass(frozen=True)
class NoTolerance:
    """Without labels, nothing says how near to the reference is near enough; `metrics` are how near the variant is."""

    metrics: tuple[MetricValue, ...]
    kind: Literal["no_tolerance"] = "no_tolerance"


@dataclass(frozen=True)
class NothingBetter:
    """Of the reference that is kept: nothing that is shown good enough is better by what is `preferred`."""

    preferred: str
    kind: Literal["nothing_better"] = "nothing_better"


@dataclass(frozen=True)
class NothingShown:
    """Of the reference that is kept: nothing else is shown to be good enough.

    `variant` would be, of those that may be, with the fewest samples, about `needed` of them; "" where none would.
    """

    variant: str
    needed: int | None
    kind: Literal["nothing_shown"] = "nothing_shown"


@dataclass(frozen=True)
class ReferenceUnsound:
    """Why nothing is shipped: the reference itself has no result or fails a gate, and nothing else is shown."""

    kind: Literal["reference_unsound"] = "reference_unsound"


@dataclass(frozen=True)
class NoOtherVariant:
    """Of the reference that is kept: nothing else has a result."""

    kind: Literal["no_other_variant"] = "no_other_variant"


@dataclass(frozen=True)
class ReferenceHasNoAnswers:
    """Why nothing is shipped."""

    kind: Literal["reference_has_no_answers"] = "reference_has_no_answers"


@dataclass(frozen=True)
class NoResult:
    """Of a variant that was not chosen: its status is not `ok`."""

    status: Status
    kind: Literal["no_result"] = "no_result"


@dataclass(frozen=True)
class GateFails:
    """`metric` is `value`, and must be at least or at most `limit` (`bound`: min or max)."""

    metric: str
    bound: Literal["min", "max"]
    limit: float
    value: float
    kind: Literal["gate_fails"] = "gate_fails"


@dataclass(frozen=True)
class GateUnchecked:
    """What a gate is on, the `metric`, was not measured."""

    metric: str
    kind: Literal["gate_unchecked"] = "gate_unchecked"


@dataclass(frozen=True)
class NothingToCompareWith:
    """A sound variant, where nothing is shipped since the reference has no answers."""

    kind: Literal["nothing_to_compare_with"] = "nothing_to_compare_with"


@dataclass(frozen=True)
class NotTimed:
    kind: Literal["not_timed"] = "not_timed"


@dataclass(frozen=True)
class ComparedWith:
    """What the variant costs against `other`: of the chosen one against the reference, of others against the chosen."""

    other: str
    price: Price
    kind: Literal["compared_with"] = "compared_with"


Reason = (
    ShownGoodEnough
    | ShownWorse
    | NotShown
    | NoTolerance
    | NothingBetter
    | NothingShown
    | NoOtherVariant
    | ReferenceHasNoAnswers
    | ReferenceUnsound
    | NoResult
    | GateFails
    | GateUnchecked
    | NothingToCompareWith
    | NotTimed
    | ComparedWith
    | SlowerThanFloat
)


# Caveats: what goes with a decision.


@dataclass(frozen=True)
class OnlyFidelityKnown:
    """There are no labels: whether the answers of `reference` are right is not known."""

    reference: str
    kind: Literal["only_fidelity_known"] = "only_fidelity_known"


@dataclass(frozen=True)
class NotCheckedWithoutVnni:
    """The chosen variant multiplies uint8 by int8, and no target is a CPU on which that saturates."""

    kind: Literal["not_checked_without_vnni"] = "not_checked_without_vnni"


@dataclass(frozen=True)
class ClassLoses:
    """The chosen variant gets significantly fewer of one class right, corrected over all classes.

    `points` is the loss. `others` are so many more classes that lose.
    """

    label: int
    points: float
    p_value: float
    others: int
    kind: Literal["class_loses"] = "class_loses"


@dataclass(frozen=True)
class CalibrationWorse:
    """The chosen variant's expected calibration error is higher than the reference's; `low` bounds the increase.

    `low` is one-sided, at level 0.05. All are shares, 0-1.
    """

    ece: float
    reference: float
    low: float
    kind: Literal["calibration_worse"] = "calibration_worse"


@dataclass(frozen=True)
class LookedBefore:
    """The test set has been compared `times` times with other variants or settings, this time included."""

    times: int
    kind: Literal["looked_before"] = "looked_before"


Caveat = OnlyFidelityKnown | NotCheckedWithoutVnni | ClassLoses | CalibrationWorse | LookedBefore


@dataclass(frozen=True)
class Rejection:
    """Why `variant` was not chosen."""

    variant: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Decision:
    """What to ship: `variant` names it, and is "" where nothing can be shipped.

    `reasons` are of the outcome, `rejections` of every variant that was not chosen, in the order of the rows. `shown`
    names the variants beside the reference that are shown good enough on every target and hold their gates. `choices`
    has for each criterion that an experiment may prefer what it would choose; `preferred` is the experiment's own.
    """

    outcome: Literal["ship", "keep_reference", "ship_nothing"]
    variant: str
    reasons: tuple[Reason, ...]
    rejections: tuple[Rejection, ...] = ()
    caveats: tuple[Caveat, ...] = ()
    shown: tuple[str, ...] = ()
    choices: dict[str, str] = field(default_factory=dict)
    preferred: str = "latency"


# What a conversion step did.


@dataclass(frozen=True)
class FormatConversion:
    """From one format or framework to another, in float."""

    source: str
    target: str
    kind: Literal["conversion"] = "conversion"


@dataclass(frozen=True)
class Quantization:
    """From float32 to the types that the recipe asks for.

    `method`: the ranges of activations come from calibration (static) or from each input (dynamic), or only the weights
    are stored in another type and activations stay in float32.
    """

    weights: Literal["int8", "uint8", "float16"]
    activations: Literal["int8", "uint8", "int16", "uint16", "float32"]
    method: Literal["static", "dynamic", "weights_only"]
    kind: Literal["quantization"] = "quantization"
