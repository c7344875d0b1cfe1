"""What a comparison says, as data: `comparison.json` is one Comparison. Nothing here computes or imports SciPy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from driver.analysis.facts import (
    Assessment,
    ConversionNote,
    Decision,
    FormatConversion,
    Quantization,
    RowWarning,
    RunWarning,
)
from driver.experiment.model import HERE
from driver.experiment.task_specs import DEFAULT_TASK, TASKS, TaskSpec
from shared.contract import Failure, Status

SCHEMA: Final = 3  # of `comparison.json`
SIGNIFICANT = 0.05  # a p-value below is
Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True)
class Paired:
    """Two variants on the same images: how many images each got right, and what follows.

    `p_value` is McNemar's exact one for "neither is better", `interval_pp` a 95% one; both are of this pair alone.
    `p_holm` is the p-value after Holm's correction over all classes, where the images are those of a class.
    """

    both_right: int
    only_reference: int
    only_variant: int
    both_wrong: int
    delta_pp: float
    interval_pp: Interval
    p_value: float
    p_holm: float | None = None


@dataclass(frozen=True)
class Metric:
    """A metric of the task, with its 95% interval, and compared with the reference's where there is one.

    Shares are 0-1. `delta` is variant less reference, `delta_interval` its 95% interval, `p_value` two-sided for
    "neither is better", both of the same samples through both, and of this variant and metric alone: what decides is an
    Assessment.
    """

    name: str
    value: float
    interval: Interval | None
    delta: float | None
    delta_interval: Interval | None
    p_value: float | None
    better: Better

    @property
    def loss(self) -> float | None:
        """By how much it is worse than the reference."""
        return self.delta if self.delta is None or self.better == "lower" else -self.delta


@dataclass(frozen=True)
class Breakdown:
    """The `metric` of each class, or of each step of a forecast, of all samples; None where no sample has any."""

    by: Literal["class", "step"]
    metric: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class OutputMetrics:
    """The metrics of another output of the model that has labels: its number, the name of its labels and its task."""

    output: int
    name: str
    task: str
    metrics: tuple[Metric, ...]
    breakdowns: tuple[Breakdown, ...] = ()
    classes: tuple[str, ...] = ()

    def metric(self, name: str) -> Metric | None:
        """The metric of this name, if the output has it."""
        return next((metric for metric in self.metrics if metric.name == name), None)


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

    `mean` and `sd` (of a sample) are over the draws, `interval` is Student's 95% one of the mean: it is of the recipe,
    not of one file; `delta` is the mean less the reference's metric. All are in the metric's own unit, as in `Metric`:
    shares are 0-1.
    """

    values: tuple[float, ...]
    mean: float
    sd: float
    delta: float
    interval: Interval | None = None


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
class Variant:
    """A row. What is not known is None.

    `metrics` has all metrics of the task, the headline first: it decides about the variant. `paired` (of
    classes) and `drift` are against the reference; `ece` is the expected calibration error, 0-1; `classes` has a count
    for each class, `confusion` a row a label and a column an answer (of at most 100 classes), `confused` of many
    classes the pairs that are confused most. `outputs` has every output of a model that has several. `in_float` names
    the layers that `exclude: auto` left in float, and `limit_held` says whether its limit holds (None where nobody set
    one). `warnings` are what a reader must know beside the metrics, `conversion_notes` how the variant was made, where
    that was not the usual way. `cpu_invariant`: the recipe is declared to answer alike on every CPU; `saturated`: it
    multiplies uint8 by int8, and answered on a CPU where that saturates; `may_saturate`: it would on such a CPU.
    `assessments` has one for each target, this host first. `breakdowns` has what metrics are of each class or step;
    `further_outputs` the metrics of the other outputs that have labels.
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
    may_saturate: bool = False
    assessments: tuple[Assessment, ...] = ()
    breakdowns: tuple[Breakdown, ...] = ()
    further_outputs: tuple[OutputMetrics, ...] = ()

    @property
    def assessment(self) -> Assessment | None:
        """The one on this host."""
        return next((item for item in self.assessments if item.target == HERE), None)

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
class SmallestLoss:
    """The smallest tolerance of `metric` that these `samples` could show a variant to hold which loses nothing.

    Of a metric that is a share of right answers, a `discordant` share of the samples is right for just one of the two.
    """

    metric: str
    loss: float
    samples: int
    discordant: float | None


@dataclass(frozen=True)
class Gate:
    """`metric` of `variant` is `value`, and must be at least or at most `limit` (`bound`: min or max).

    With a `confidence`, `value` is the worse end of the metric's interval at that confidence. `label` is the class
    or step whose value it is, of a metric of single ones. Against another run, `before` is the value there.
    """

    variant: str
    metric: str
    bound: Literal["min", "max"]
    limit: float
    value: float
    holds: bool
    confidence: float | None = None
    label: int | None = None
    before: float | None = None


@dataclass(frozen=True)
class UncheckedGate:
    """A gate on a `metric` that was not measured of a variant, though the variant has a result."""

    variant: str
    metric: str


@dataclass(frozen=True)
class Baseline:
    """What was checked against the run `name`: `limits` as they were given, the gates made of them, and what couldn't
    be checked, since it was not measured in both runs. `lost` are the variants that have a result there, and none here;
    `cpu` is the CPU there, "" where it is this one.
    """

    name: str
    limits: tuple[str, ...]
    gates: tuple[Gate, ...] = ()
    unchecked: tuple[UncheckedGate, ...] = ()
    lost: tuple[str, ...] = ()
    cpu: str = ""

    @property
    def holds(self) -> bool:
        return not self.unchecked and not self.lost and all(gate.holds for gate in self.gates)


@dataclass(frozen=True)
class Origin:
    """What made a comparison.

    `measured` is the day (UTC, ISO 8601) on which the newest timings were taken, "" where there are none: never the day
    of the comparison, which is the same whenever it is made of the same evidence. `version` and `commit` are those of
    crossquant, `commit` "" where it is no checkout; `command` makes the run again.
    """

    measured: str
    version: str
    commit: str
    command: str


@dataclass(frozen=True)
class Comparison:
    """`comparison.json`.

    `dataset` says what was evaluated on: its name, how many samples, what a person calls them (`unit`), the task, and
    of classes whether the `outputs` are `logits` or `probabilities`.
    `failures` has the stages that make no row, such as latency, and have no result; `warnings` what makes the timings
    doubtful, and that answers came from another CPU; `decision` is None where nothing was evaluated; `digests` the
    digest of each artifact that was looked at; `evidence` one digest of all this was made from. `not_held` are the
    gates on quantized variants that saturated rows are not held to, since the experiment has others for them;
    `unchecked` those on what was not measured. `targets` are this host and the other CPUs on which a variant must be
    shown good enough. `baseline` has what was checked against another run. `require`: "decision" where a variant must
    be shown good enough.
    """

    schema: Literal[3]
    experiment: str
    reference: str
    dataset: dict[str, Any]
    variants: tuple[Variant, ...]
    host: dict[str, Any]
    versions: dict[str, dict[str, str]]
    gates: tuple[Gate, ...]
    not_held: tuple[Gate, ...] = ()
    unchecked: tuple[UncheckedGate, ...] = ()
    failures: tuple[Failure, ...] = ()
    conversion_steps: tuple[ConversionStep, ...] = ()
    noise: tuple[Noise, ...] = ()
    warnings: tuple[RunWarning, ...] = ()
    decision: Decision | None = None
    digests: dict[str, str] | None = None
    evidence: str = ""
    targets: tuple[str, ...] = (HERE,)
    smallest_loss: SmallestLoss | None = None
    origin: Origin | None = None
    baseline: Baseline | None = None
    require: Literal["nothing", "decision"] = "nothing"

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
    def gives_logits(self) -> bool:
        """Are the outputs known to be logits, whose differences are none of probabilities?"""
        return self.dataset.get("outputs") == "logits"

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


CheckBaseline = Callable[[Comparison], Baseline | None]  # against another run; None where there is none
