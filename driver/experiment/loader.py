"""Reading an experiment file: one YAML, checked to the last key before anything runs."""

import tomllib
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from driver.catalog.declarations import Catalog
from driver.experiment import gate_limits, recipes, validation, yaml_source
from driver.experiment.model import HERE, Experiment
from driver.experiment.tolerance import read_tolerance
from shared.artifacts import store
from shared.contract import Manifest, decode
from shared.errors import CrossquantError, FieldError
from shared.text import suggest_names

FOLDER = Path(__file__).parent / "builtin"
OWN = Path(__file__).parent / "trusted.toml"
NO_KEYS = {"options": "write the name of the stage instead", "images": "--with takes it"}  # fields, but no keys
# Sections that earlier versions called otherwise, and options, each below its section.
RENAMED = {
    ("fold",): "fold_batchnorm",
    ("emulated",): "emulate",
    ("data", "judged"): "evaluated_output",
    ("other_cpus",): "targets",
}


def load(path: Path, catalog: Catalog) -> Experiment:
    """The experiment that `path` describes. CrossquantError names the file, the line and the key that is wrong."""
    data, lines = yaml_source.load(path)
    lines = {rename_path(at): line for at, line in lines.items()}
    try:
        return parse(data, catalog)
    except FieldError as error:
        raise yaml_source.locate_error(path, lines, error) from None


def parse(data: Any, catalog: Catalog) -> Experiment:
    if not isinstance(data, dict):
        raise FieldError((), "must be a mapping")
    data = rename_keys(data)
    stages = {stage.run for stages in catalog.values() for stage in stages if stage.options}
    stages -= {stage.run for stages in catalog.values() for stage in stages if stage.takes_recipe}
    options = {key: decode(dict[str, Any], data[key], (key,)) for key in data if key in stages}
    rest = {key: value for key, value in data.items() if key not in stages}
    for key, instead in NO_KEYS.items():
        if key in rest:
            raise FieldError((key,), f"unknown key; {instead}")
    if "recipes" in rest:
        rest["recipes"] = recipes.resolve_recipes(rest["recipes"], catalog)
    rest |= {key: read(rest[key]) for key, read in SHORT_FORMS.items() if key in rest}
    check_keys(rest, stages)
    experiment: Experiment = decode(Experiment, rest)
    experiment = complete_experiment(experiment, options)
    validation.check_experiment(experiment, catalog)
    validation.check_options(experiment, catalog)
    return experiment


def read_preference(value: Any) -> Any:
    """`latency` is short for a mapping with that criterion."""
    return {"criterion": value} if isinstance(value, str) else value


def read_targets(value: Any) -> Any:
    """This host is always one of them: what isn't run here has no row."""
    return list(dict.fromkeys([HERE, *map(str, value)])) if isinstance(value, list) else value


# How what a user may write for a key becomes what its field is.
SHORT_FORMS = {
    "gates": gate_limits.read_percentages,
    "tolerance": read_tolerance,
    "prefer": read_preference,
    "targets": read_targets,
}


def rename_keys(data: dict[str, Any], at: tuple[str, ...] = ()) -> dict[str, Any]:
    """`data`, which stands at this path, with today's names for what had others. FieldError where both are there."""
    renamed: dict[str, Any] = {}
    for key, value in data.items():
        new = RENAMED.get((*at, key), key)
        if new != key and new in data:
            raise FieldError((*at, new), f"stands there twice, as `{key}` too, its former name: leave one of the two")
        renamed[new] = rename_keys(value, (*at, key)) if isinstance(value, dict) and not at else value
    return renamed


def rename_path(at: tuple[Any, ...]) -> tuple[Any, ...]:
    """The path of a key with today's names."""
    return tuple(RENAMED.get(at[: depth + 1], key) for depth, key in enumerate(at))


def list_deprecations(path: Path) -> list[str]:
    """A line for each key in the file that has a new name."""
    _, lines = yaml_source.load(path)
    return [f"{path}:{lines[at]}: `{'.'.join(at)}` is now called `{new}`" for at, new in RENAMED.items() if at in lines]


def complete_experiment(experiment: Experiment, options: dict[str, dict[str, Any]]) -> Experiment:
    """The experiment with what follows from other sections of the file."""
    if experiment.other_cpus:
        options["emulate"] = options.get("emulate", {}) | {"cpus": list(experiment.other_cpus)}
    start = experiment.model.start if experiment.model.sources else "keras"
    whole = replace(experiment, options=options, reference=experiment.reference or f"{start}.fp32")
    return trust_model(whole) if experiment.model.trust else whole


def trust_model(experiment: Experiment) -> Experiment:
    """The experiment with code inside of the model file allowed: an option of the stage `load`."""
    options = experiment.options | {"load": experiment.options.get("load", {}) | {"trust": True}}
    return replace(experiment, model=replace(experiment.model, trust=True), options=options)


def check_keys(data: dict[str, Any], stages: set[str]) -> None:
    """FieldError for a key of the experiment that is neither a field nor the name of a stage."""
    keys = [field.name for field in fields(Experiment) if field.name not in NO_KEYS]
    for key in data:
        if key not in keys:
            raise FieldError((str(key),), f"unknown key; {suggest_names(str(key), [*keys, *sorted(stages)])}")


@dataclass(frozen=True)
class Own:
    """`trusted.toml`: SHA-256 sums of the project's own model files and, of each data set, of its arrays' raw bytes."""

    models: dict[str, str]
    datasets: dict[str, dict[str, str]]


@cache
def read_own_sums() -> Own:
    """The sums that the project itself vouches for."""
    sums: Own = decode(Own, tomllib.loads(OWN.read_text()))
    return sums


def is_own(experiment: Experiment, model: Manifest | None) -> bool:
    """Are the model and the data of the experiment the project's own? Anything else may be hostile.

    `model` is the verified manifest of `input.model`, with every file that the stages read of the model, its code among
    them. What counts is the content: a sum in the user's experiment is the user's word, and so is a name.
    """
    own_models = set(read_own_sums().models.values())
    files = model.files.values() if model else ()
    return bool(files) and all(file.sha256 in own_models for file in files) and has_own_data(experiment)


def has_own_data(experiment: Experiment) -> bool:
    """Are its data the project's own, or has it none, as `inspect`? The arrays' sums are held when they are fetched."""
    if experiment.own_data:
        return False
    return not experiment.dataset.sources or experiment.dataset.sha256 in read_own_sums().datasets.values()


def find(name: str) -> Path:
    """The file that `--experiment` means: a path, the name of one in volumes/inputs/, or the name of one of ours."""
    for path in (Path(name), store.volumes() / "inputs" / f"{name}.yaml", FOLDER / f"{name}.yaml"):
        if path.is_file():
            return path
    raise CrossquantError(f"no experiment '{name}': give a YAML file, or one of {', '.join(list_names())}")


def list_names() -> list[str]:
    """The names that `find` knows: of the user's experiments, then of ours."""
    folders = (store.volumes() / "inputs", FOLDER)
    return [name for folder in folders for name in sorted(path.stem for path in folder.glob("*.yaml"))]
