"""What an experiment is: the typed content of its YAML file."""

from dataclasses import dataclass, field
from typing import Any, Literal

from driver.experiment.tolerance import Tolerance

DATA = "data"  # the stage, and the section of the file, for data of one's own
SAMPLE_SUFFIX = "-sample"  # of the folder of a data set that is the embedded sample of it
HERE = "here"  # the target that is this host
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True)
class Source:
    """Where a file or, of one's own, a folder may come from: exactly one of the four.

    `input`: one that the user put into volumes/inputs/; `path`: one in the checkout (or absolute); `url`: over
    HTTPS; `npm`: a package of the npm registry, NAME@VERSION.
    """

    input: str = ""
    path: str = ""
    url: str = ""
    npm: str = ""

    @property
    def downloaded(self) -> bool:
        return bool(self.url or self.npm)

    def __str__(self) -> str:
        return f"volumes/inputs/{self.input}" if self.input else self.path or self.url or self.npm


@dataclass(frozen=True)
class Model:
    """A `.keras`, `.h5` or `.onnx` file, or a SavedModel folder.

    `code` is a Python file with the classes and functions that the model needs; with `trust`, code inside the model
    file (Lambda layers) may run too. Both run in the keras image alone: in its locked-down container or, without
    Docker, in the sandbox of the venv engine.
    """

    sources: tuple[Source, ...]
    sha256: str = ""
    code: str = ""
    trust: bool = False

    @property
    def start(self) -> str:
        """The framework that the model starts from: `keras` or `onnx`."""
        return "onnx" if str(self.sources[0]).endswith(".onnx") else "keras"


@dataclass(frozen=True)
class Dataset:
    """One's own data, which the stage `data` reads, or CIFAR-10: `sha256` has the sums of each array's raw bytes."""

    name: str
    sources: tuple[Source, ...]
    sha256: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Limits:
    """Of every container. `stage_seconds` is for one stage; `retries` for a container that dies without a word."""

    cpus: int = 2
    memory: str = "4g"
    stage_seconds: int = 900
    retries: int = 1

    @property
    def memory_bytes(self) -> int:
        return int(self.memory[:-1]) * UNITS[self.memory[-1].lower()]


@dataclass(frozen=True)
class Bound:
    """At least, at most; of the point or, with a `confidence` (0-1), of the worse end of the figure's interval."""

    min: float | None = None
    max: float | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Gates:
    """For each kind of variant, bounds on what the task's gates may be on (task_specs.py): `accuracy` (0-1), `drop_pp`
    (points), `changed` (share of top-1), `p50_ms` and others.

    `saturating` is for quantized variants that answered on a CPU where their products saturate, and that don't hold all
    of `quantized`: they are held to it instead. Where it is empty, they are held to `quantized` as any other.
    """

    float: dict[str, Bound] = field(default_factory=dict)
    quantized: dict[str, Bound] = field(default_factory=dict)
    saturating: dict[str, Bound] = field(default_factory=dict)


@dataclass(frozen=True)
class Curve:
    """Accuracy against the number of calibration images: these numbers, for these variants."""

    images: tuple[int, ...] = ()
    variants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Select:
    """What `run --select` tries: the recipes of `preset` beside the experiment's own, on so many draws."""

    preset: str = "thorough"
    draws: int = 5


@dataclass(frozen=True)
class TimingBudget:
    """How long timings may take in all: beyond the passes that are always made, more are made until the ratios that
    decide are known to a few percent, or so many seconds are spent.
    """

    budget_seconds: int = 40


@dataclass(frozen=True)
class Prefer:
    """What of the variants that are shown good enough is chosen: the best by `criterion`.

    A latency or throughput is that of `batch` samples a call (0: 1 for a latency, the larger batch that is timed for a
    throughput) on `threads` threads.
    """

    criterion: Literal["latency", "throughput", "size", "accuracy"] = "latency"
    batch: int = 0
    threads: int = 1


@dataclass(frozen=True)
class Experiment:
    """`options` holds what the file says for stages by the name of their `run`: `{"latency": {"rounds": 20}}`.
    `reference` is the first float variant, where nothing is said; `images` the optional images that take part.

    `require`: "decision" where a run without a variant that is shown good enough ends as one with a failing gate.
    `draws`: on how many calibration sets each recipe is quantized. `split`: the images that evaluate: those of the test
    set or, to choose recipes, those of the selection set. `recommended`: the variants to run on other CPUs too.

    What is shipped must be shown to be within `tolerance` (None: the task's default) of the reference on each of the
    `targets`, this host and other CPUs. `multiplicity`: are all variants tested at once, each the more strictly the
    more there are, or in a sequence, the recommended ones first, until one is not shown good enough?
    """

    name: str
    model: Model
    dataset: Dataset
    recipes: dict[str, dict[str, dict[str, Any]]]
    reference: str = ""
    gates: Gates = field(default_factory=Gates)
    limits: Limits = field(default_factory=Limits)
    draws: int = 1
    split: Literal["test", "selection"] = "test"
    curve: Curve = field(default_factory=Curve)
    select: Select = field(default_factory=Select)
    targets: tuple[str, ...] = (HERE,)
    recommended: tuple[str, ...] = ()
    tolerance: Tolerance | None = None
    prefer: Prefer = field(default_factory=Prefer)
    timing: TimingBudget = field(default_factory=TimingBudget)
    multiplicity: Literal["simultaneous", "sequence"] = "simultaneous"
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    require: Literal["nothing", "decision"] = "nothing"

    @property
    def own_data(self) -> bool:
        """Are the data the user's own, for the stage `data` to read?"""
        return DATA in self.options

    @property
    def other_cpus(self) -> tuple[str, ...]:
        """The targets that are emulated."""
        return tuple(target for target in self.targets if target != HERE)

    @property
    def emulated(self) -> tuple[str, ...]:
        """The variants to run on other CPUs: those that are recommended; all quantized ones where none is."""
        every = tuple(f"{image}.{recipe}" for image, recipes in self.recipes.items() for recipe in recipes)
        return (self.recommended or every) if self.other_cpus else ()
