"""The arguments of each command, as frozen dataclasses. `options` has what argparse reads them from.

Only the standard library is imported here: `--help` and completion must not wait for NumPy.
"""

import argparse
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_type_hints

T = TypeVar("T")
EngineName = Literal["auto", "docker", "venv"]
# As `shared.data.samples` has them.
TASKS = (
    "classification",
    "multilabel",
    "regression",
    "forecasting",
    "segmentation",
    "tagging",
    "detection",
    "reconstruction",
    "embedding",
    "fidelity",
)


@dataclass(frozen=True)
class Display:
    """How much is shown, and to whom."""

    quiet: bool = False
    verbose: bool = False
    json: bool = False


@dataclass(frozen=True)
class EngineOptions:
    """What starts the stages, and with which images. `force`: make artifacts that are fresh, too."""

    engine: EngineName = "auto"
    no_sandbox: bool = False
    images: tuple[str, ...] = ()
    trust: bool = False
    force: bool = False


@dataclass(frozen=True)
class New:
    """`settings` are KEY=VALUE of the section `data`; an empty text is left to us.

    `check`: open the model and read the data before anything is written. `force`: overwrite the experiment.
    """

    display: Display
    engine_options: EngineOptions
    model: Path
    data: Path
    name: str = ""
    task: str = ""
    code: str = ""
    settings: tuple[str, ...] = ()
    check: bool = True
    force: bool = False


@dataclass(frozen=True)
class BaselineOptions:
    """The run to compare with, "" for none, and what may be how much worse than there: METRIC=LIMIT."""

    baseline: str = ""
    fail_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """`junit` is the path of a file, "" for none."""

    display: Display
    engine_options: EngineOptions
    experiment: str
    targets: tuple[str, ...] = ()
    sample: bool = False
    select: bool = False
    junit: str = ""
    baseline_options: BaselineOptions = BaselineOptions()


@dataclass(frozen=True)
class ListStages:
    display: Display
    experiment: str
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    display: Display
    experiment: str
    junit: str = ""
    baseline_options: BaselineOptions = BaselineOptions()


@dataclass(frozen=True)
class Explain:
    display: Display
    engine_options: EngineOptions
    experiment: str
    variant: str
    sample: bool = False


@dataclass(frozen=True)
class CheckData:
    display: Display
    engine_options: EngineOptions
    experiment: str
    sample: bool = False


@dataclass(frozen=True)
class Diff:
    """Each run is the folder of an experiment's run, or its name below volumes/; `fail_on` as in BaselineOptions."""

    display: Display
    before: str
    after: str
    fail_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspect:
    display: Display
    engine_options: EngineOptions
    model: str
    code: str = ""


@dataclass(frozen=True)
class Fetch:
    display: Display
    experiment: str
    sample: bool = False


@dataclass(frozen=True)
class Build:
    """No `images`: those that every comparison needs, and the optional ones that are built."""

    display: Display
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Doctor:
    display: Display
    fix: bool = False


def read_arguments(kind: type[T], namespace: argparse.Namespace) -> T:
    """`kind` from what argparse read. An option that the command doesn't have keeps the field's default."""
    hints = get_type_hints(kind)
    values = {}
    for field in fields(kind):  # type: ignore[arg-type]  # a dataclass
        if is_dataclass(hints[field.name]):
            values[field.name] = read_arguments(hints[field.name], namespace)
        elif hasattr(namespace, field.name):
            values[field.name] = _convert(getattr(namespace, field.name), hints[field.name])
    return kind(**values)


def _convert(value: Any, hint: Any) -> Any:
    if hint is Path:
        return Path(value)
    return tuple(value) if isinstance(value, list) else value
