"""What a comparison says, as data: `comparison.json` is one Comparison. Nothing here computes or imports SciPy."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from driver.analysis.facts import (
    ConversionNote,
    Decision,
    FormatConversion,
    Quantization,
    RowWarning,
    RunWarning,
)
from driver.experiment.task_specs import DEFAULT_TASK, TASKS, TaskSpec
from shared.contract import Failure, Status

SCHEMA: Final = 2  # of `comparison.json`
SIGNIFICANT = 0.05  # a p-value below is
Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """Two variants on the same images: how many images each got right, and what follows.

    `p_value` is McNemar's exact one for "neither is better"; `p_holm` the same after Holm's correction, in a family.
    """

    both_right: int
    only_reference: int
    only_variant: int
    both_wrong: int
    delta_pp: float
    interval_pp: Interval
    p_value: float
    p_holm: float | None = None

    @property
    def corrected_p_value(self) -> float:
        """After Holm's correction, where the row is one of many: a float variant is no try of a recipe."""
        return self.p_value if self.p_holm is None else self.p_holm


@dataclass(frozen=True)
class Metric:
    """A metric of the task, with its 95% interval, and compared with the reference's where there is one.

    Shares are 0-1. `delta` is variant less reference, `delta_interval` its 95% interval, `p_value` two-sided for
    "neither is better", both of the same samples through both; `p_holm` is corrected, in a family.
    """

    name: str
    value: float
    interval: Interval | None
    delta: float | None
    delta_interval: Interval | None
    p_value: float | None
    p_holm: float | None
    better: Better

    @property
    def corrected_p_value(self) -> float:
        """After Holm's correction, where the row is one of many; 1 where nothing was tested."""
        corrected = self.p_value if self.p_holm is None else self.p_holm
        return 1.0 if corrected is None else corrected

    @property
    def loss(self) -> float | None:
        """By how much it is worse than the reference."""
        return self.delta if self.delta is None or self.better == "lower" else -self.delta


@dataclass(frozen=True)
class Count:
    """`right` of the `total` images of a class."""

    right: int
    total: int


@dataclass(frozen=True)
class Drift:
    """`changed` images have another top-1; `agreement` is the share of the others, 0-1. None of what has no classes.

    `max_abs` and `mean_abs` are differences of an output. `sqnr_db` is signal to noise in decibels, None where
    nothing differs. Means over images: `cosine` (1: the same direction), and `kl`, the Kullback-Leibler divergence of
    the variant from the reference, in nats, of rows that were made to sum to 1; None where there are no classes.
    """

    images: int
    changed: int | None
    agreement: float | None
    max_abs: float
    mean_abs: float
    sqnr_db: float | None
    cosine: float
    kl: float | None


@dataclass(frozen=True)
class OutputDrift:
    """One output of a model that has several, the first being 0, against the reference's."""

    number: int
    sqnr_db: float | None
    cosine: float
    max_abs: float


@dataclass(frozen=True)
class Confused:
    """How many images of the class `label` are taken for `answer`."""

    label: int
    answer: int
    images: int


@dataclass(frozen=True)
class Changed:
    """An image whose answer changed; `index` is its place in the test set, a margin that of the first over the second
    class.
    """

    index: int
    label: int
    reference_answer: int
    variant_answer: int
    reference_margin: float
    variant_margin: float


@dataclass(frozen=True)
class Latency:
    """Of one call at batch 1 on one thread, in milliseconds: the median over the passes of each pass's percentile."""

    p50: float
    p90: float
    p99: float
    samples: int


@dataclass(frozen=True)
class Timing:
    """Of one batch size and thread count, in milliseconds a call; `passes` has the p50 of each pass."""

    batch: int
    threads: int
    p50: float
    p90: float
    p99: float
    samples: int
    images_per_second: float
    passes: tuple[float, ...]


@dataclass(frozen=True)
class Cold:
    """From a fresh process to its first answer, in seconds; the largest resident memory of that process."""

    imported: float
    loaded: float
    answered: float
    peak_bytes: int


@dataclass(frozen=True)
class Losing:
    """A class of which a variant gets significantly fewer right."""

    label: int
    paired: Paired


@dataclass(frozen=True)
class Draws:
    """A recipe on several draws of the calibration set: the headline metric of each, that of the shipped file first.

    `mean` and `sd` (of a sample) are over the draws; `delta` is the mean less the reference's metric. All are in the
    metric's own unit, as in `Metric`: shares are 0-1.
    """

    values: tuple[float, ...]
    mean: float
    sd: float
    delta: float


@dataclass(frozen=True)
class Point:
    """The headline metric of a recipe that was calibrated with `images` images, evaluated on the selection set."""

    images: int
    value: float
    interval: Interval


@dataclass(frozen=True)
class Emulated:
    """The same file on another CPU model and here, on the same `images` test images.

    `value` and its interval are of the headline metric there, `here` is the metric on this host; `agreement` is the
    share of images with the same top-1 on both, None where there are no classes; `p_value` is that of the metric's
    paired test for "no CPU is better".
    """

    cpu: str
    images: int
    value: float
    interval: Interval
    here: float
    agreement: float | None
    p_value: float
    better: Better = "higher"
    margin: float = 0.0  # the least loss that counts

    @property
    def lost(self) -> float:
        """By how much it is worse there."""
        return self.here - self.value if self.better == "higher" else self.value - self.here

    @property
    def loses(self) -> bool:
        return self.lost > self.margin and self.p_value < SIGNIFICANT


@dataclass(frozen=True)
class Assessment:
    """Is a variant shown to be good enough on one target, this host ("here") or another CPU?

    `quantity` is the `loss` of the headline metric against the reference, which must be below `limit`, or, where the
    metric itself is a distance from the reference, its `value`, which must be above. `low` and `high` are one-sided
    bounds of it, each at level 0.05 over all `candidates` at once. All four are in the metric's own unit: shares are
    0-1. `needed` is about how many samples would show it, None where it is shown, or no number would. `lost` and `won`
    are the samples that became wrong and right, of a metric that is a share of right answers. `clusters`: how many
    groups the samples are in, None where each stands for itself. `same_answers`: the target answers bit for bit as this
    host, by a recipe that is declared to, so that what is shown here holds there.
    """

    target: str
    outcome: Literal["good_enough", "worse", "not_shown"]
    metric: str
    quantity: Literal["loss", "value"]
    estimate: float
    low: float
    high: float
    limit: float
    samples: int
    candidates: int
    needed: int | None = None
    lost: int | None = None
    won: int | None = None
    clusters: int | None = None
    same_answers: bool = False


@dataclass(frozen=True)
class Variant:
    """A row. What is not known is None.

    `metrics` has all metrics of the task, the headline first: it decides about the variant. `paired` (of
    classes) and `drift` are against the reference; `ece` is the expected calibration error, 0-1; `classes` has a count
    for each class, `confusion` a row a label and a column an answer (of at most 100 classes), `confused` of many
    classes the pairs that are confused most. `outputs` has every output of a model that has several. `in_float` names
    the layers that `exclude: auto` left in float, and `limit_held` says whether its limit holds (None where nobody set
    one). `warnings` are what a reader must know beside the metrics, `conversion_notes` how the variant was made, where
    that was not the usual way. `cpu_invariant`: the recipe is declared to answer alike on every CPU; `saturated`: it
    multiplies uint8 by int8, and answered on a CPU where that saturates. `assessments` has one for each target, this
    host first.
    """

    name: str
    image: str
    recipe: str
    status: Status
    reason: str = ""
    size_bytes: int | None = None
    latency_ms: Latency | None = None
    images_per_second: float | None = None
    paired: Paired | None = None
    drift: Drift | None = None
    ece: float | None = None
    classes: tuple[Count, ...] = ()
    losing: tuple[Losing, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    timings: tuple[Timing, ...] = ()
    cold: Cold | None = None
    draws: Draws | None = None
    curve: tuple[Point, ...] = ()
    emulated: tuple[Emulated, ...] = ()
    in_float: tuple[str, ...] = ()
    limit_held: bool | None = None
    warnings: tuple[RowWarning, ...] = ()
    conversion_notes: tuple[ConversionNote, ...] = ()
    metrics: tuple[Metric, ...] = ()
    outputs: tuple[OutputDrift, ...] = ()
    confused: tuple[Confused, ...] = ()
    cpu_invariant: bool = False
    saturated: bool = False
    assessments: tuple[Assessment, ...] = ()

    @property
    def assessment(self) -> Assessment | None:
        """The one on this host."""
        return next((item for item in self.assessments if item.target == "here"), None)

    @property
    def quantized(self) -> bool:
        return self.recipe != "fp32"

    @property
    def headline(self) -> Metric | None:
        """The metric that decides about the variant."""
        return self.metrics[0] if self.metrics else None

    def metric(self, name: str) -> Metric | None:
        """The metric of this name, if the variant has it."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    @property
    def agreement(self) -> float | None:
        """The share of samples with the reference's top-1, 0-1."""
        return None if self.drift is None else self.drift.agreement

    @property
    def max_abs_diff(self) -> float | None:
        """The largest difference of an output to the reference's."""
        return None if self.drift is None else self.drift.max_abs


@dataclass(frozen=True)
class ConversionStep:
    """From the variant `before` to `after`: what `change` its `tools` made, and what was lost on it alone.

    `paired` is of classes; of other tasks `metric` has the headline metric after it, and the difference to before.
    """

    change: FormatConversion | Quantization
    before: str
    after: str
    tools: tuple[str, ...]
    drift: Drift
    paired: Paired | None
    metric: Metric | None = None


@dataclass(frozen=True)
class Noise:
    """Of an image's timings: by what share the A/A repeat of a variant differs from it, at most of all passes."""

    image: str
    repeat_of: str
    share: float


@dataclass(frozen=True)
class Gate:
    """`metric` of `variant` is `value`, and must be at least or at most `limit` (`bound`: min or max).

    With a `confidence`, `value` is the worse end of the metric's interval at that confidence.
    """

    variant: str
    metric: str
    bound: Literal["min", "max"]
    limit: float
    value: float
    holds: bool
    confidence: float | None = None


@dataclass(frozen=True)
class Comparison:
    """`comparison.json`.

    `dataset` says what was evaluated on: its name, how many samples, what a person calls them (`unit`), and the task.
    `failures` has the stages that make no row, such as latency, and have no result; `warnings` what makes the timings
    doubtful, and that answers came from another CPU; `decision` is None where nothing was evaluated; `digests` the
    digest of each artifact that was looked at; `evidence` one digest of all this was made from. `not_held` are the
    gates on quantized variants that saturated rows are not held to, since the experiment has others for them.
    """

    schema: Literal[2]
    experiment: str
    reference: str
    dataset: dict[str, Any]
    variants: tuple[Variant, ...]
    host: dict[str, Any]
    versions: dict[str, dict[str, str]]
    gates: tuple[Gate, ...]
    not_held: tuple[Gate, ...] = ()
    failures: tuple[Failure, ...] = ()
    conversion_steps: tuple[ConversionStep, ...] = ()
    noise: tuple[Noise, ...] = ()
    warnings: tuple[RunWarning, ...] = ()
    decision: Decision | None = None
    digests: dict[str, str] | None = None
    evidence: str = ""

    @property
    def task(self) -> str:
        return str(self.dataset.get("task", DEFAULT_TASK))

    @property
    def spec(self) -> TaskSpec:
        return TASKS[self.task]

    @property
    def unit(self) -> str:
        """What a person calls the samples."""
        return str(self.dataset.get("unit", "images"))

    @property
    def shipped(self) -> str:
        """The variant that the decision names; "" where it names none."""
        return self.decision.variant if self.decision else ""

    @property
    def broken(self) -> set[str]:
        """The variants for which a gate doesn't hold, be they held to it or not."""
        return {gate.variant for gate in (*self.gates, *self.not_held) if not gate.holds}

    @property
    def reasons(self) -> list[tuple[str, Status, str]]:
        """(name, status, reason) of all that has no metrics, or not all of them."""
        rows: list[tuple[str, Status, str]] = [
            (row.name, row.status, row.reason) for row in self.variants if row.reason
        ]
        return rows + [(failure.name, failure.status, failure.reason) for failure in self.failures]
