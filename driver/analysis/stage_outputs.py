"""What a stage may leave for the driver to read, file by file: whatever isn't as declared is one error.

A model's code runs in the stages, and may write what it likes into their output. Nothing of that is read but here.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.artifacts import notes
from shared.contract import decode, decode_known, loads, shown
from shared.data import samples
from shared.data.samples import About, Array, Batch
from shared.detector_outputs import check_options
from shared.emulation import emulation
from shared.errors import CrossquantError, FieldError
from shared.measure import instructions, predictions
from shared.measure.instructions import Cpu
from shared.measure.startup import Start
from shared.measure.timing import REPEAT_SUFFIX, Timings
from shared.numerics import iterate_blocks
from shared.quantization.layer_search import EXCLUDED
from shared.sensitivity import layer_errors
from shared.sensitivity.layer_errors import Sensitivity

NOTES, QUANTIZED, CONVERSION = notes.FILE, "quantized.json", "conversion.json"
TIMINGS, STARTS = "samples.json", "starts.json"
LARGEST = 1 << 26  # bytes of a file of JSON
MOST_NOTES = 100
SECONDS = (1e-9, 1e9)  # what anything may take, least and most
NUMBERS = "biuf"  # NumPy's letters for what samples and labels are


class Unusable(CrossquantError):
    """A file that a stage left is not what the stage declares; the text names the file and what is wrong with it."""


@dataclass(frozen=True)
class ConversionReport:
    """What the driver reads of `quantized.json` and `conversion.json`: why another method was used, what was rewritten
    for it, and how many operators of how many are quantized.
    """

    reason: str = ""
    rewritten: tuple[str, ...] = ()
    quantized: int = 0
    operators: int = 0


@dataclass(frozen=True)
class ExcludedLayers:
    """What the driver reads of `excluded.json`: the layers that stay in float, and whether the limit holds."""

    layers: tuple[str, ...]
    holds: bool


EXACT: dict[str, Any] = {
    NOTES: tuple[str, ...],
    TIMINGS: Timings,
    STARTS: dict[str, tuple[Start, ...]],
    instructions.FILE: Cpu,
    emulation.SUMMARY: emulation.Summary,
    layer_errors.FILE: Sensitivity,
    samples.ABOUT: About,
}
IN_PART: dict[str, Any] = {
    QUANTIZED: ConversionReport,
    CONVERSION: ConversionReport,
    EXCLUDED: ExcludedLayers,
}  # with keys that are for other readers
NEEDED = {"latency": TIMINGS, "startup": STARTS, "explain": layer_errors.FILE, "emulate": emulation.SUMMARY}
WORDS = {
    "latency": "its timings",
    "startup": "its cold starts",
    "explain": "its layers",
    "emulate": "its answers on other CPUs",
    "predict": "its predictions",
}  # what of a stage can't be read, by its name; of any other "it"


def read_contents(folder: Path, files: Collection[str]) -> dict[str, Any]:
    """Of the `files` in `folder` those that the driver reads as JSON: their content, by name, safe to show."""
    return {name: read_content(folder / name) for name in (*EXACT, *IN_PART) if name in files}


def read_content(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 20} MB")
        data = loads(path.read_bytes())
        exact = path.name in EXACT
        value = decode(EXACT[path.name], data) if exact else decode_known(IN_PART[path.name], data)
    except (OSError, ValueError, FieldError) as error:
        raise Unusable(f"{path.name}: {error}") from None
    if isinstance(value, About):
        check_about(value)
    return shown(value)


def map_array(path: Path) -> Array:
    """The array of a `.npy` file, mapped."""
    try:
        with np.errstate(over="ignore"):  # of a shape whose product no integer holds
            mapped: Array = np.lib.format.open_memmap(path, mode="r")
    except Exception:  # noqa: BLE001 - NumPy's parser passes on what it comes upon: TokenError, MemoryError, …
        raise Unusable(f"{path.name} has no valid .npy header, or is cut short") from None
    return mapped


def map_numbered_arrays(folder: Path, files: Collection[str], name: str) -> list[Array]:
    """The arrays called so, with a number from 0: `input` or `output`. None may be left out."""
    count = sum(each.startswith(f"{name}_") and each.endswith(".npy") for each in files)
    wanted = [f"{name}_{number}.npy" for number in range(count)]
    if lacking := next((each for each in wanted if each not in files), ""):
        raise Unusable(f"{lacking} is missing")
    return [map_array(folder / each) for each in wanted]


def check_samples(folder: Path, files: Collection[str], *, needed: bool = False) -> None:
    """Inputs of one length, and labels that are numbers; where there are any, or they are `needed`."""
    arrays = map_numbered_arrays(folder, files, "input")
    if needed and not arrays:
        raise Unusable(f"{samples.file(0)} is missing")
    for number, each in enumerate(arrays):
        if each.dtype.kind not in NUMBERS or not each.ndim or len(each) != len(arrays[0]) or not all(each.shape[1:]):
            raise Unusable(f"{samples.file(number)} is {each.dtype} {each.shape}, which are no samples")
    for file in (each for each in files if is_labels(each)):
        labels = map_array(folder / file)
        if not labels.ndim or labels.dtype.kind not in NUMBERS or not all(labels.shape[1:]):
            raise Unusable(f"{file} is {labels.dtype} {labels.shape}")
    if samples.GROUPS in files:
        map_array(folder / samples.GROUPS)


def check_about(about: About) -> None:
    """Do its settings make sense? The outputs of a model are read by them."""
    further = [item.output for item in about.further_outputs]
    outputs = [about.evaluated_output, *further]
    if min(outputs) < 0 or len(set(outputs)) != len(outputs):
        raise Unusable(f"{samples.ABOUT}: outputs are {outputs}")
    if (about.task == "detection") != (about.detection is not None) or any(
        item.task == "detection" for item in about.further_outputs
    ):
        raise Unusable(f"{samples.ABOUT}: detection: must be there for the task detection alone")
    if about.detection is not None:
        try:
            check_options(about.detection)
        except CrossquantError as error:
            raise Unusable(f"{samples.ABOUT}: {error}") from None
    weights = () if isinstance(about.class_weights, str) else about.class_weights
    if about.class_weights and about.task != "classification":
        raise Unusable(f"{samples.ABOUT}: class_weights: are of a classification")
    if weights and not (all(math.isfinite(weight) and weight >= 0 for weight in weights) and any(weights)):
        raise Unusable(f"{samples.ABOUT}: class_weights: must be finite numbers, 0 or more")


def is_labels(file: str) -> bool:
    """Is it the file of the labels of an output?"""
    return file == samples.LABELS or (file.startswith("labels_") and file.endswith(".npy"))


def check_labels(folder: Path, files: Collection[str], count: int | None) -> None:
    """Is there one for each of the `count` samples?"""
    for file in (each for each in files if is_labels(each)):
        labels = map_array(folder / file)
        if count is not None and len(labels) != count:
            raise Unusable(f"{file} has {len(labels)} labels of {count} samples")


def check_groups(groups: Array | None, count: int | None) -> None:
    """Is there a group, by its number, for each of the `count` samples? Numbers may be those of a larger set."""
    if groups is None:
        return
    if groups.ndim != 1 or groups.dtype.kind not in "iu" or not len(groups) or groups.min() < 0:
        raise Unusable(f"{samples.GROUPS} is {groups.dtype} {groups.shape}")
    if count is not None and len(groups) != count:
        raise Unusable(f"{samples.GROUPS} has {len(groups)} groups of {count} samples")


def check_answers(folder: Path, files: Collection[str], count: int | None) -> None:
    """Are the outputs answers to `count` samples?"""
    arrays = map_numbered_arrays(folder, files, "output")
    if not arrays:
        raise Unusable(f"{predictions.file(0)} is missing")
    for number, each in enumerate(arrays):
        check_answer(predictions.file(number), each, count)


def check_answer(file: str, outputs: Array, count: int | None) -> None:
    if outputs.dtype != np.float32 or not outputs.ndim or len(outputs) != count or not outputs.size:
        raise Unusable(f"{file} is {outputs.dtype} {outputs.shape}, which are no answers to {count} samples")
    if not all(np.isfinite(block).all() for block in iterate_blocks(outputs)):
        raise Unusable(f"{file} has NaN or infinity")


def check_notes(notes: Collection[str]) -> None:
    if len(notes) > MOST_NOTES:
        raise Unusable(f"{NOTES}: has {len(notes):,} lines, {MOST_NOTES} at most are read")


def check_timings(timings: Timings, own: Collection[str]) -> None:
    """Of the image's `own` variants alone, and of times that a clock can show."""
    timed = {(each.variant, each.batch, each.threads) for each in timings.samples}
    for name in sorted({name.removesuffix(REPEAT_SUFFIX) for name, _, _ in timed}):
        check_own(TIMINGS, name, own)
    for name, batch, threads in sorted(timed):
        if min(batch, threads) < 1 or (name.removesuffix(REPEAT_SUFFIX), batch, threads) not in timed:
            raise Unusable(f"{TIMINGS}: {name} was timed with batches of {batch} on {threads} threads")
    for each in timings.samples:
        if not each.seconds or not all(each.seconds):
            raise Unusable(f"{TIMINGS}: samples.seconds: {each.variant} has none")
        check_seconds(f"{TIMINGS}: samples.seconds", (second for calls in each.seconds for second in calls))
    if not all(map(math.isfinite, vars(timings.machine).values())):
        raise Unusable(f"{TIMINGS}: machine: must be of finite numbers")


def check_starts(starts_by_variant: dict[str, tuple[Start, ...]], own: Collection[str]) -> None:
    for name, starts in starts_by_variant.items():
        check_own(STARTS, name, own)
        if not starts:
            raise Unusable(f"{STARTS}: {name} has none")
        for start in starts:
            check_seconds(f"{STARTS}: {name}", (start.imported, start.loaded, start.answered))
            if start.peak_bytes < 0:
                raise Unusable(f"{STARTS}: {name}.peak_bytes: is {start.peak_bytes}")


def check_layers(sensitivity: Sensitivity) -> None:
    """A distance is drawn on an axis."""
    if not all(map(math.isfinite, (sensitivity.float_kl, *(layer.kept_kl for layer in sensitivity.layers)))):
        raise Unusable(f"{layer_errors.FILE}: a {sensitivity.distance} is no finite number")


def check_own(file: str, name: str, own: Collection[str]) -> None:
    """An image speaks for its own variants."""
    if name not in own:
        raise Unusable(f"{file}: {name} is no variant of its image")


def check_seconds(where: str, seconds: Iterable[float]) -> None:
    low, high = SECONDS
    if wrong := [second for second in seconds if not low <= second <= high]:
        raise Unusable(f"{where}: {wrong[0]} is no time that anything takes")


def check_emulated(folder: Path, files: Collection[str], summary: emulation.Summary, own: Batch | None) -> None:
    """Each CPU's answers are to the same samples, in the form of the variant's `own` here, whose parts are joined."""
    if emulation.INDICES not in files:
        raise Unusable(f"{emulation.INDICES} is missing")
    indices = map_array(folder / emulation.INDICES)
    if indices.ndim != 1 or indices.dtype.kind not in "iu" or not len(indices):
        raise Unusable(f"{emulation.INDICES} is {indices.dtype} {indices.shape}")
    if own is not None and not 0 <= indices.min() <= indices.max() < len(own[0]):
        raise Unusable(f"{emulation.INDICES} names samples that there aren't")
    for cpu, run in summary.cpus.items():
        file = f"{cpu}/{emulation.ANSWERS}"
        if run.refused:
            continue
        if file not in files:
            raise Unusable(f"{file} is missing")
        outputs = map_array(folder / file)
        check_answer(file, outputs, len(indices))
        if own is not None and outputs.shape[1:] != (shape := samples.join_shapes(own)):
            raise Unusable(f"{file} has answers of {outputs.shape[1:]}, here they are {shape}")


def select_evaluated_output(outputs: Batch, about: About) -> Batch | None:
    """The output that the task evaluates, in the parts that the model gives it in, if the model has it."""
    there = 0 <= about.evaluated_output < len(outputs)
    try:
        return samples.select_parts(outputs, about) if there else None
    except CrossquantError:
        return None


def describe_problem(run: str, error: Unusable, command: str) -> str:
    """Why an artifact of the stage `run` is not used, and the command that makes it anew."""
    return f"{WORDS.get(run, 'it')} can't be read: {error}: run `{command}`"
