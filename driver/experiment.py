"""Experiment files: one YAML, checked to the last key before anything runs."""

import tomllib
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from driver import checks, recipes, yaml_lines
from driver.catalog import Catalog
from shared import store
from shared.contract import Seal, decode
from shared.errors import CrossquantError, FieldError

FOLDER = Path(__file__).parent / "experiments"
OWN = Path(__file__).parent / "own.toml"
DEFAULT = "resnet8-cifar10"
DATA = "data"  # the stage, and the section of the file, for data of one's own
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
        """Where the way of the model begins: `keras` or `onnx`."""
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
    """For each kind of variant, bounds on `accuracy` (0-1), `drop_pp` (points) and `changed` (share of top-1).

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
class Experiment:
    """`options` holds what the file says for stages by the name of their `run`: `{"latency": {"rounds": 20}}`.
    `reference` is the first float variant, where nothing is said; `images` the optional images that take part.

    `draws`: on how many calibration sets each recipe is quantized. `split`: the images that judge: those of the test
    set or, to choose recipes, those of the selection set. `recommended`: the variants to run on `other_cpus` too.
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
    other_cpus: tuple[str, ...] = ()
    recommended: tuple[str, ...] = ()
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: tuple[str, ...] = ()

    @property
    def own_data(self) -> bool:
        """Are the data the user's own, for the stage `data` to read?"""
        return DATA in self.options

    @property
    def emulated(self) -> tuple[str, ...]:
        """The variants to run on other CPUs: those that are recommended; all quantized ones where none is."""
        every = tuple(f"{image}.{recipe}" for image, found in self.recipes.items() for recipe in found)
        return (self.recommended or every) if self.other_cpus else ()


def load(path: Path, catalog: Catalog) -> Experiment:
    """The experiment that `path` describes. CrossquantError names the file, the line and the key that is wrong."""
    data, lines = yaml_lines.load(path)
    try:
        return parse(data, catalog)
    except FieldError as error:
        raise yaml_lines.located(path, lines, error) from None


def parse(data: Any, catalog: Catalog) -> Experiment:
    if not isinstance(data, dict):
        raise FieldError((), "must be a mapping")
    stages = {stage.run for stages in catalog.values() for stage in stages if stage.options}
    stages -= {stage.run for stages in catalog.values() for stage in stages if stage.takes_recipe}
    options = {key: decode(dict[str, Any], data[key], (key,)) for key in data if key in stages}
    rest = {key: value for key, value in data.items() if key not in stages}
    for key, instead in (("options", "write the name of the stage instead"), ("images", "--with takes it")):
        if key in rest:
            raise FieldError((key,), f"unknown key; {instead}")
    if "recipes" in rest:
        rest["recipes"] = recipes.resolve(rest["recipes"], catalog)
    try:
        experiment: Experiment = decode(Experiment, rest)
    except FieldError as error:
        raise with_stages(error, stages) from None
    experiment = completed(experiment, options)
    checks.check(experiment, catalog)
    checks.check_options(experiment, catalog)
    return experiment


def completed(experiment: Experiment, options: dict[str, dict[str, Any]]) -> Experiment:
    """With what follows from other sections of the file."""
    if experiment.other_cpus:
        options["emulated"] = options.get("emulated", {}) | {"cpus": list(experiment.other_cpus)}
    start = experiment.model.start if experiment.model.sources else "keras"
    whole = replace(experiment, options=options, reference=experiment.reference or f"{start}.fp32")
    return trusting(whole) if experiment.model.trust else whole


def trusting(experiment: Experiment) -> Experiment:
    """The experiment with code inside of the model file allowed: the stage `load` is told so."""
    options = experiment.options | {"load": experiment.options.get("load", {}) | {"trust": True}}
    return replace(experiment, model=replace(experiment.model, trust=True), options=options)


def with_stages(error: FieldError, stages: set[str]) -> FieldError:
    """Say that a stage's name is a known key too."""
    if len(error.path) == 1 and "known are" in error.problem:
        known = error.problem.replace(", options", "").replace(", images", "") + ", " + ", ".join(sorted(stages))
        return FieldError(error.path, known)
    return error


@dataclass(frozen=True)
class Own:
    """`own.toml`: the SHA-256 sums of the project's own model files and, of each data set, of its arrays' raw bytes."""

    models: dict[str, str]
    datasets: dict[str, dict[str, str]]


@cache
def own_sums() -> Own:
    """The sums that the project itself vouches for."""
    sums: Own = decode(Own, tomllib.loads(OWN.read_text()))
    return sums


def is_own(experiment: Experiment, model: Seal | None) -> bool:
    """Are the model and the data of the experiment the project's own? Anything else may be hostile.

    `model` is the verified seal of `input.model`, with every file that the stages read of the model, its code among
    them. What counts is the content: a sum in the user's experiment is the user's word, and so is a name.
    """
    known = set(own_sums().models.values())
    files = model.files.values() if model else ()
    return bool(files) and all(file.sha256 in known for file in files) and has_own_data(experiment)


def has_own_data(experiment: Experiment) -> bool:
    """Are its data the project's own, or has it none, as `inspect`? The arrays' sums are held when they are fetched."""
    if experiment.own_data:
        return False
    return not experiment.dataset.sources or experiment.dataset.sha256 in own_sums().datasets.values()


def find(name: str) -> Path:
    """The file that `--experiment` means: a path, the name of one in volumes/inputs/, or the name of one of ours."""
    for path in (Path(name), store.volumes() / "inputs" / f"{name}.yaml", FOLDER / f"{name}.yaml"):
        if path.is_file():
            return path
    own = sorted(path.stem for path in (store.volumes() / "inputs").glob("*.yaml"))
    known = ", ".join([*own, *sorted(path.stem for path in FOLDER.glob("*.yaml"))])
    raise CrossquantError(f"no experiment '{name}': give a YAML file, or one of {known}")
