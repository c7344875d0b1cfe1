"""What an experiment must be beyond its types: each check names the field and what it may be."""

import re
from collections.abc import Iterable

from driver.catalog.declarations import Catalog
from driver.experiment import gate_limits, recipes
from driver.experiment.model import HERE, Dataset, Experiment, Gates, Limits, Prefer, Source, TimingBudget
from driver.experiment.task_specs import DEFAULT_TASK, TASKS
from driver.experiment.tolerance import Tolerance, find_tolerance
from shared.emulation import cpus
from shared.errors import CrossquantError, FieldError
from shared.text import suggest_names

NAME = r"[a-z0-9][a-z0-9._-]*"
RESERVED = ("inputs", "models", "downloads")  # folders below volumes/ and volumes/inputs/
NAME_RULE = f"must be lower-case letters, digits, '.', '_' and '-', and none of {', '.join(RESERVED)}"
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
DEFAULT_PRESET = "thorough"  # ours: it is there
KINDS = ("float", "quantized", "saturating")  # of gates


def check_experiment(experiment: Experiment, catalog: Catalog) -> None:
    if not re.fullmatch(NAME, experiment.name) or experiment.name in RESERVED:
        raise FieldError(("name",), NAME_RULE)
    check_sources(("model", "sources"), experiment.model.sources)
    check_recipes(experiment, catalog)
    check_reference(experiment, catalog)
    check_dataset(experiment.dataset, own=experiment.own_data)
    check_limits(experiment.limits)
    check_gates(experiment.gates, find_task(experiment))
    check_draws(experiment, catalog)
    check_preference(experiment.prefer)
    check_timing(experiment.timing)
    check_tolerance(experiment.tolerance, find_task(experiment))


def check_recipes(experiment: Experiment, catalog: Catalog) -> None:
    for image, named in experiment.recipes.items():
        if image not in catalog or not any(stage.takes_recipe for stage in catalog[image]):
            names = [name for name in catalog if any(s.takes_recipe for s in catalog[name])]
            raise FieldError(("recipes", image), f"no such image; known are {', '.join(names)}")
        for recipe in named:
            if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", recipe) or recipe == "fp32":
                raise FieldError(("recipes", image, recipe), "is not a name for a recipe")


def check_reference(experiment: Experiment, catalog: Catalog) -> None:
    images = [image for image in catalog if image != "keras" or experiment.model.start == "keras"]
    variants = [f"{image}.{recipe}" for image in images for recipe in ("fp32", *experiment.recipes.get(image, {}))]
    if experiment.reference not in variants:
        raise FieldError(("reference",), f"must be one of {', '.join(variants)}, not {experiment.reference}")


def check_options(experiment: Experiment, catalog: Catalog) -> None:
    """FieldError for a setting that its stage doesn't have, or a value that it doesn't allow."""
    for image, stages in catalog.items():
        for stage in stages:
            if not stage.takes_recipe:
                stage.parameters(experiment.options.get(stage.run, {}), (stage.run,))
        for name, given in experiment.recipes.get(image, {}).items():
            stage = recipes.stage_for(stages, image, name, given)
            recipes.parameters(stage, given, ("recipes", image, name))


def check_dataset(dataset: Dataset, *, own: bool) -> None:
    if not re.fullmatch(NAME, dataset.name) or dataset.name in RESERVED:
        raise FieldError(("dataset", "name"), NAME_RULE)
    check_sources(("dataset", "sources"), dataset.sources)
    if not own and set(dataset.sha256) != set(ARRAYS):
        raise FieldError(
            ("dataset", "sha256"),
            f"must have the sums of {', '.join(ARRAYS)}, all of them; data of your own have a section `data`",
        )


def check_gates(gates: Gates, task: str) -> None:
    """`task` is `auto` where the labels are going to tell it."""
    specs = [TASKS[task]] if task in TASKS else TASKS.values()
    metrics = tuple(dict.fromkeys(name for spec in specs for name in spec.all_gates))
    output_metrics = {name for spec in TASKS.values() for name in spec.gates}  # of OUTPUT.METRIC
    for kind in KINDS:
        for metric, bound in getattr(gates, kind).items():
            on_output = gate_limits.name_metric(metric) != metric
            if gate_limits.name_metric(metric) not in (output_metrics if on_output else metrics):
                raise FieldError(("gates", kind, metric), f"unknown key; {suggest_names(metric, metrics)}")
            if bound.min is None and bound.max is None:
                raise FieldError(("gates", kind, metric), "must have min, max or both")
            gate_limits.check_confidence(("gates", kind, metric), metric, bound)
            gate_limits.check_range(("gates", kind, metric), metric, bound)


def check_draws(experiment: Experiment, catalog: Catalog) -> None:
    if experiment.draws < 1:
        raise FieldError(("draws",), "must be at least 1")
    for number, images in enumerate(experiment.curve.images):
        if images < 1:
            raise FieldError(("curve", "images", str(number)), "must be at least 1")
    if experiment.select.draws < 1:
        raise FieldError(("select", "draws"), "must be at least 1")
    if experiment.select.preset != DEFAULT_PRESET:
        recipes.load_preset(experiment.select.preset, ("select", "preset"))
    if experiment.curve.images and not experiment.curve.variants:
        raise FieldError(("curve", "variants"), "must name the variants to draw the curve of")
    floats = [f"{image}.fp32" for image in catalog]
    quantized = [f"{image}.{recipe}" for image, names in experiment.recipes.items() for recipe in names]
    check_known(("curve", "variants"), experiment.curve.variants, quantized, "quantized variant")
    check_known(("recommended",), experiment.recommended, [*floats, *quantized], "variant")
    check_known(("targets",), experiment.targets, (HERE, *cpus.CPUS), "target")


def find_task(experiment: Experiment) -> str:
    """`auto` where the labels are going to tell it."""
    return str(experiment.options.get("data", {"task": DEFAULT_TASK}).get("task", "auto"))


def check_tolerance(tolerance: Tolerance | None, task: str) -> None:
    """FieldError for a tolerance that the task's metric can't have, as far as the task is known."""
    if task in TASKS:
        try:
            find_tolerance(tolerance, task, gate_limits.RANGES[TASKS[task].headline] == gate_limits.SHARE)
        except CrossquantError as error:
            raise FieldError(("tolerance",), str(error).removeprefix("tolerance: ")) from None


def check_timing(timing: TimingBudget) -> None:
    if timing.budget_seconds < 0:
        raise FieldError(("timing", "budget_seconds"), "must be at least 0")


def check_preference(prefer: Prefer) -> None:
    if prefer.batch < 0 or prefer.threads < 1:
        raise FieldError(("prefer",), "batch must be at least 0, and threads at least 1")
    if prefer.criterion not in ("latency", "throughput") and (prefer.batch, prefer.threads) != (0, 1):
        raise FieldError(("prefer",), f"batch and threads are of latency and throughput, not of {prefer.criterion}")


def check_known(path: tuple[str, ...], names: Iterable[str], known: Iterable[str], kind: str) -> None:
    for number, name in enumerate(names):
        if name not in known:
            raise FieldError((*path, str(number)), f"no {kind} '{name}'; known are {', '.join(known)}")


def check_sources(path: tuple[str, ...], sources: tuple[Source, ...]) -> None:
    if not sources:
        raise FieldError(path, "must name at least one source")
    for number, source in enumerate(sources):
        if sum(map(bool, (source.input, source.path, source.url, source.npm))) != 1:
            raise FieldError((*path, str(number)), "must have one of input, path, url, npm")


def check_limits(limits: Limits) -> None:
    if not re.fullmatch(r"[1-9][0-9]*[kmgKMG]", limits.memory):
        raise FieldError(("limits", "memory"), f"must be like 512m or 4g, not {limits.memory}")
    for name in ("cpus", "stage_seconds"):
        if getattr(limits, name) < 1:
            raise FieldError(("limits", name), "must be at least 1")
    if limits.retries < 0:
        raise FieldError(("limits", "retries"), "must be at least 0")
