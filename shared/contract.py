"""Frozen dataclasses that cross a process boundary as JSON. A missing, unknown or mistyped field is a named error."""

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from shared.command import format_command
from shared.errors import CrossquantError, FieldError
from shared.host_paths import on_host
from shared.text import LONGEST, printable, suggest_names

SCHEMA: Final = 1
PLAN_SCHEMA: Final = 2  # of `plan.json`, and with it of what an experiment's folder on the volume holds
MANIFEST_SCHEMA: Final = 1  # of `artifact.json`
DEEPEST: Final = 50  # lists and mappings in one another: no file of ours has half as many
LARGEST_INTEGER: Final = 1 << 63
PLAIN: Final = frozenset({str, float, bool})  # types of which each value is good
SHOWN: Final = 200  # characters of a wrong value in an error
Status = Literal["ok", "unsupported", "failed", "skipped"]
T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One run of one stage. `optional` inputs are those the stage takes if they are there (`onnx.*`).

    A stage that is repeated has a step for each `turn`, from 1; the images take turns. `draw` names the calibration set
    that a variant comes from, where it is not the experiment's own: `d2` is the second draw, `n100` one of 100 images.

    `module` has the function `run` that makes the artifact; empty, it is the image's module of the name `run`.
    `modules` are modules of the image that this function is given, by the name of the argument. `code` is the hash of
    all code that the step depends on (shared/artifacts/code_hash.py).
    """

    output: str
    image: str
    run: str
    inputs: tuple[str, ...]
    optional: tuple[str, ...]
    parameters: dict[str, Any]
    default: bool  # made by a run that names no target
    turn: int = 1
    tool: str = ""  # the package whose work this is
    draw: str = ""
    module: str = ""
    modules: dict[str, str] = dataclasses.field(default_factory=dict)
    code: str = ""

    @property
    def entry(self) -> str:
        """The name of the module whose `run` makes the artifact."""
        return self.module or f"images.{self.image}.{self.run}"


@dataclass(frozen=True)
class Plan:
    """Everything a stage runner must know; the driver writes it to `plan.json` in the experiment's folder.

    `images` are those that take part, also where none of the steps is theirs; `runner` is the hash of the stage
    runner's own code; `locations` has the folder of each artifact below the volumes' root. `own_model`: are model and
    data the project's own? Others may be hostile.
    """

    schema: Literal[2]
    experiment: str
    threads: int
    stage_seconds: int
    images: tuple[str, ...]
    runner: str
    locations: dict[str, str]
    steps: tuple[Step, ...]
    own_model: bool

    def step(self, output: str) -> Step:
        for step in self.steps:
            if step.output == output:
                return step
        known = [step.output for step in self.steps]
        raise CrossquantError(
            f"unknown artifact '{output}': {suggest_names(output, known)} "
            f"(`{format_command('list', self.experiment)}` shows all)"
        )


@dataclass(frozen=True)
class File:
    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """`artifact.json`: what a finished artifact is and all that it was made from.

    `inputs` maps each input to its digest ("" for an optional one that wasn't there); `peak_bytes` is the largest
    resident memory of the process that ran the stage.
    """

    schema: Literal[1]
    name: str
    status: Literal["ok", "unsupported"]
    reason: str
    files: dict[str, File]
    inputs: dict[str, str]
    code: str
    parameters: dict[str, Any]
    versions: dict[str, str]
    image_id: str
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Failure:
    """Why there is no artifact: kept beside the artifacts, and removed when the stage succeeds."""

    name: str
    status: Literal["failed", "skipped"]
    reason: str


def encode(value: Any) -> str:
    return json.dumps(dataclasses.asdict(value), indent=1, sort_keys=True) + "\n"


def read(kind: type[T], path: Path) -> T:
    """The dataclass that `path` holds as JSON. CrossquantError names the file and the field that is wrong."""
    try:
        return typing.cast(T, decode(kind, loads(path.read_text())))
    except FileNotFoundError:
        raise CrossquantError(f"{on_host(path)} is missing: run again") from None
    except ValueError as error:
        raise CrossquantError(f"{on_host(path)} is not JSON ({error}): delete it and run again") from None
    except FieldError as error:
        raise CrossquantError(f"{on_host(path)}: {error}: delete it and run again") from None


def loads(text: str | bytes) -> Any:
    """Parse JSON. ValueError if it is invalid, or nested deeper or with larger integers than any file of ours."""
    try:
        data = json.loads(text)
    except RecursionError:
        raise ValueError(f"nested more than {DEEPEST} deep") from None
    except MemoryError:
        raise ValueError("too large for this machine's memory") from None
    if _is_deep(data):
        raise ValueError(f"nested more than {DEEPEST} deep")
    return data


def _is_deep(data: Any) -> bool:
    """Level by level, since a function that calls itself would fail where this matters."""
    level = [data]
    for _ in range(DEEPEST):
        held = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level = [item for items in held for item in items if isinstance(item, dict | list)]
    return bool(level)


def read_if_whole(kind: type[T], path: Path) -> T | None:
    """The same; None where the file is missing or damaged, for what the next run writes anew."""
    try:
        return read(kind, path)
    except (CrossquantError, OSError):
        return None


def read_shown(kind: type[T], path: Path) -> T:
    """The same of what a stage wrote for people: names in a model or a data set can't play tricks on a terminal."""
    return shown(read(kind, path))


def shown(value: T, longest: int = LONGEST) -> T:
    """`value` with every text in it on one line, without control characters, and of at most `longest` characters."""
    return typing.cast(T, _shown(value, longest))


def _shown(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return printable(value, longest)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {field.name: _shown(getattr(value, field.name), longest) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **named)
    if isinstance(value, dict):
        return {_shown(key, longest): _shown(item, longest) for key, item in value.items()}
    return type(value)(_shown(item, longest) for item in value) if isinstance(value, list | tuple) else value


def decode_known(kind: type[T], data: Any) -> T:
    """Decode a mapping that may have more keys than `kind`, which are ignored."""
    names = {field.name for field in dataclasses.fields(typing.cast(Any, kind))}
    some = {key: data[key] for key in data if key in names} if isinstance(data, dict) else data
    return typing.cast(T, decode(kind, some))


def decode(kind: Any, data: Any, path: tuple[str, ...] = ()) -> Any:
    """`data` as `kind`, checked all the way down. FieldError says where `data` is not what `kind` asks for."""
    plain = type(data) is kind and kind in PLAIN  # as nearly all that a manifest holds is: it needs no closer look
    return data if plain else _decode_other(kind, data, path)


def _decode_other(kind: Any, data: Any, path: tuple[str, ...]) -> Any:
    if dataclasses.is_dataclass(kind):
        return _decode_fields(kind, data, path)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return data
    if origin is Literal:
        wanted = "one of " + ", ".join(map(str, arguments))
        return _checked(data in arguments, data, path, wanted)
    if origin in (types.UnionType, typing.Union):
        return _decode_union(arguments, data, path)
    if origin in (tuple, list):
        example = f", such as [{printable(data, SHOWN)}]" if isinstance(data, str) and data else ""
        _checked(isinstance(data, list | tuple), data, path, f"a list{example}")
        return origin(decode(arguments[0], item, (*path, str(i))) for i, item in enumerate(data))
    if origin is dict:
        _checked(isinstance(data, dict), data, path, "a mapping")
        return {str(key): decode(arguments[1], data[key], (*path, str(key))) for key in data}
    if type(data) is int and kind in (int, float):
        return kind(_checked(abs(data) <= LARGEST_INTEGER, data, path, "a number of 64 bits"))
    return _checked(type(data) is kind, data, path, _name(kind))


def _decode_fields(kind: Any, data: Any, path: tuple[str, ...]) -> Any:
    _checked(isinstance(data, dict), data, path, "a mapping")
    hints = _hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in data:
        if key not in fields:
            raise FieldError((*path, str(key)), f"unknown key; {suggest_names(str(key), fields)}")
    for name, field in fields.items():
        if name not in data and _required(field):
            raise FieldError((*path, name), "is missing")
    return kind(**{key: decode(hints[key], data[key], (*path, key)) for key in data})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """The types of a dataclass's fields: hundreds of manifests are read, and evaluating the types takes most of it."""
    return typing.get_type_hints(kind)


def _required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _decode_union(kinds: tuple[Any, ...], data: Any, path: tuple[str, ...]) -> Any:
    """Decode as one of `kinds`. Dataclasses that each have a `kind` of their own are distinguished by it."""
    if isinstance(data, dict) and (tagged := tagged_kinds(kinds)):
        if "kind" not in data:
            raise FieldError((*path, "kind"), "is missing")
        _checked(
            isinstance(data["kind"], str) and data["kind"] in tagged,
            data["kind"],
            (*path, "kind"),
            "one of " + ", ".join(tagged),
        )
        return decode(tagged[data["kind"]], data, path)
    for kind in kinds:
        try:
            return decode(kind, data, path)
        except FieldError:
            continue
    return _checked(False, data, path, " or ".join(_name(kind) for kind in kinds))


@cache
def tagged_kinds(kinds: tuple[Any, ...]) -> Mapping[str, Any]:
    """The dataclasses in a union by the one literal of their field `kind`; empty if one of them has no such field."""
    classes: list[Any] = [kind for kind in kinds if dataclasses.is_dataclass(kind)]
    tags = [typing.get_args(_hints(kind).get("kind")) for kind in classes]
    return {tag[0]: kind for tag, kind in zip(tags, classes, strict=True)} if all(len(tag) == 1 for tag in tags) else {}


def _checked(good: bool, data: Any, path: tuple[str, ...], wanted: str) -> Any:
    if not good:
        raise FieldError(path, f"must be {wanted}, not {_told(data)}")
    return data


def _told(data: Any) -> str:
    """A wrong value in an error: it may be as long and as deep as whoever wrote it liked."""
    try:
        return printable(repr(data), SHOWN)
    except (RecursionError, MemoryError, ValueError):  # ValueError: an integer of thousands of digits
        return "what it is"


def _name(kind: Any) -> str:
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", dict: "a mapping"}
    return names.get(kind, "nothing" if kind is type(None) else str(kind))
