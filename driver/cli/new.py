"""A first experiment for a model and data of one's own: one file, written once, to be read and changed by hand."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from driver.experiment import validation
from shared.artifacts import store
from shared.errors import CrossquantError

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
KINDS = {".npz": "npz", ".npy": "npz", ".csv": "table", ".tsv": "table", ".parquet": "table", ".py": "python"}
KINDS |= dict.fromkeys(PICTURES, "folder")
RANKED = ("python", "npz", "table", "folder")  # what a folder with several kinds of files is taken for
LOOKED_AT = 2000  # files of a folder, at most
DOCUMENT = """\
# Made by `python -m driver new`. Run it: python -m driver run --experiment {name}
{model}
{data}
# How many training samples calibrate the quantizers; 0: as many as there are, 1000 at most.
calibration: {{images: 0}}

recipes: default  # or `thorough`; docs/quantization.md explains them

# What decides the exit code, by the figures of the task: docs/architecture.md lists them.
gates:
  float:
    sqnr: {{min: 40}}  # decibels: how near the converted models are to the reference
{gates}
limits: {{cpus: 2, memory: 4g, stage_seconds: 1800}}
"""


DROP = "    drop_pp: {max: 2.0}  # percentage points below the reference\n"
WORSE = "    worse_percent: {max: 5}  # of the reference's error\n"
NEAR = "    sqnr: {min: 15}  # decibels: without labels, this alone decides what may be shipped\n"
GATES = dict.fromkeys(("classification", "multilabel"), DROP)
GATES |= dict.fromkeys(("regression", "reconstruction"), WORSE) | {"fidelity": NEAR}


@dataclass(frozen=True)
class Asked:
    """What the command line says; an empty text is left to us."""

    model: Path
    data: Path
    name: str = ""
    task: str = ""
    code: str = ""
    trust: bool = False
    settings: tuple[str, ...] = ()  # KEY=VALUE of the section `data`


@contextmanager
def written(asked: Asked, *, force: bool) -> Iterator[Path]:
    """The experiment as a file in volumes/inputs/, which stays if all that follows goes well.

    CrossquantError where it is there already, or what it names isn't.
    """
    path = target(asked, force=force)
    before = path.read_text() if path.exists() else None
    store.write_atomically(path, text(path.stem, asked))
    try:
        yield path
    except BaseException:
        if before is None:
            path.unlink()
        else:
            store.write_atomically(path, before)
        raise


def target(asked: Asked, *, force: bool) -> Path:
    for path, option in ((asked.model, "--model"), (asked.data, "--data")):
        if not path.exists():
            raise CrossquantError(f"{option}: {path} is not there")
    name = asked.name or named(asked.model)
    if not re.fullmatch(validation.NAME, name) or name in validation.RESERVED:
        raise CrossquantError(f"--name: '{name}' {validation.NAME_RULE}")
    path = store.volumes() / "inputs" / f"{name}.yaml"
    if path.exists() and not force:
        raise CrossquantError(f"{path} is there already: change it by hand, give another --name, or --force")
    return path


def text(name: str, asked: Asked) -> str:
    model: dict[str, Any] = {"sources": [{"path": str(asked.model.resolve())}]}
    if asked.code:
        model["code"] = str(Path(asked.code).resolve())
    if asked.trust:
        model["trust"] = True
    data = (
        {"kind": kind(asked.data)} | ({"task": asked.task} if asked.task else {}) | dict(map(setting, asked.settings))
    )
    task = data.get("task") or ("classification" if data["kind"] == "folder" else "")
    dataset = {"name": f"{name}-data", "sources": [{"path": str(asked.data.resolve())}]}
    return DOCUMENT.format(
        name=name,
        model=dumped({"name": name, "model": model, "dataset": dataset}),
        data="# What the data are, and what is done to them once, before any framework sees them: docs/your-data.md\n"
        + dumped({"data": data}),
        gates=f"  quantized:\n{GATES[task]}" if task in GATES else "",
    )


def dumped(section: dict[str, Any]) -> str:
    return str(yaml.safe_dump(section, sort_keys=False, allow_unicode=True, width=1000))


def named(model: Path) -> str:
    """A name for the experiment: the file's, as far as its letters may be in one."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", model.name.removesuffix(model.suffix).lower()).strip("-._")
    return f"{plain or 'model'}{'-own' if plain in validation.RESERVED else ''}"


def setting(given: str) -> tuple[str, Any]:
    """`resize=[96, 96]` as key and value, the value as YAML has it."""
    key, equals, value = given.partition("=")
    if not equals or not key:
        raise CrossquantError(f"--set {given}: give KEY=VALUE of the section `data`, such as resize=[96, 96]")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise CrossquantError(f"--set {given}: {' '.join(str(error).split())}") from None


def kind(data: Path) -> str:
    """What reads it, by the names of the files. CrossquantError where none says it."""
    found = {KINDS.get(suffix) for suffix in suffixes(data)}
    for candidate in RANKED:
        if candidate in found:
            return candidate
    raise CrossquantError(
        f"{data}: no data that is known: give a .npz, a .csv or .parquet, pictures in folders by class, "
        "or a Python file (docs/your-data.md)"
    )


def suffixes(data: Path) -> Iterator[str]:
    if data.is_file():
        yield data.suffix.lower()
        return
    for number, path in enumerate(data.rglob("*")):
        if number >= LOOKED_AT:
            return
        if path.is_file():
            yield path.suffix.lower()
