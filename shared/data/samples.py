"""Reads, batches and draws samples in the same way for every framework: one array per input of the model."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from shared.contract import read_shown
from shared.data.task_names import Task
from shared.detector_outputs import SIDES, Detection, join_outputs, separate_outputs
from shared.errors import CrossquantError
from shared.host_paths import on_host

BALANCED: Final = "balanced"
LABELS, GROUPS, ABOUT = "labels.npy", "groups.npy", "about.json"
IGNORED = -1  # the label of a position that doesn't count, as the border of an object in a mask
GROUP = "group"  # begins the names of the files with the groups of all samples
FLOAT = "float32"
LARGEST = 1 << 24  # bytes of the inputs of one batch: what a model makes of them meanwhile is many times that
LARGEST_KEPT = LARGEST // 4  # where every tensor of the model is kept for a while
COMPUTED = (
    64  # times as many bytes may all the tensors take that are computed of a batch: 1 GiB, 256 MiB where all stay
)

Array = NDArray[Any]
Batch = tuple[Array, ...]  # an array for each input, or output, of the model; all of one length
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """A summary of labels: the shape of one sample's, the lowest and the highest value.

    A stage that runs the model sees no more of the test labels than this.
    """

    shape: tuple[int, ...]
    low: float
    high: float


@dataclass(frozen=True)
class LabelledOutput:
    """Another output of the model that has labels: its number, the name of its labels, and its task with its classes.

    `labels` says what there is to know of its labels, as in About.
    """

    output: int
    name: str
    task: Task
    classes: tuple[str, ...] = ()
    labels: Labels | None = None


@dataclass(frozen=True)
class About:
    """`about.json` of an artifact that holds samples.

    `classes` names the classes, or the labels of a multi-label task. `dtypes` is what each input is cast to as it is
    read, where the user declares it; else it is read as float32 if that holds every value of its type, as it is if not,
    and each framework casts it to what the model takes. `evaluated_output` is the number of the output that the task
    evaluates. `unit` is what a person calls the samples: images, rows. `inputs` and `label` are the names that the
    arrays of samples and of labels have in the user's file, empty where they have none. `labels` says what there is to
    know of their labels, which lie elsewhere. `further_outputs` are the other outputs of the model that have labels.
    `detection` says how boxes and scores are read from all outputs, where that is the task.
    `class_weights` has what a sample of each class counts in the accuracy of a classification, where they don't count
    the same; BALANCED lets each class count the same.
    """

    name: str = ""
    sample: bool = False
    classes: tuple[str, ...] = ()
    task: Task = "classification"
    dtypes: tuple[str, ...] = ()
    evaluated_output: int = 0
    unit: str = "images"
    inputs: tuple[str, ...] = ()
    label: str = ""
    labels: Labels | None = None
    further_outputs: tuple[LabelledOutput, ...] = ()
    detection: Detection | None = None
    class_weights: tuple[float, ...] | Literal["balanced"] = ()

    def declared(self, number: int) -> str:
        """The type that the user declares for this input; "" where none is."""
        return self.dtypes[number] if number < len(self.dtypes) else ""


def file(number: int) -> str:
    """Return the file name of the array of this input."""
    return f"input_{number}.npy"


def inputs(folder: Path) -> tuple[Path, ...]:
    """Return the arrays in `folder`, in the order of the model's inputs."""
    arrays = tuple(folder / file(number) for number in range(len(list(folder.glob("input_*.npy")))))
    if not arrays:
        raise CrossquantError(f"{folder.name} holds no samples: delete {on_host(folder)} and run again")
    return arrays


def labels_file(output: int | None = None) -> str:
    """Return the file name of the labels: those of the evaluated output, or of another one by its number."""
    return LABELS if output is None else f"labels_{output}.npy"


def select_evaluated(outputs: Sequence[Array], about: About) -> Array:
    """Return what the task evaluates of a model's outputs, (samples, …): of a detection boxes and scores in one."""
    if about.detection is not None:
        return join_outputs(about.detection, outputs, len(about.classes))
    return outputs[about.evaluated_output]


def select_parts(outputs: Sequence[Array], about: About) -> Batch:
    """Return the same in the parts that the model gives it in, without a copy: of a detection boxes and scores."""
    if about.detection is not None:
        return separate_outputs(about.detection, outputs, len(about.classes))
    return (outputs[about.evaluated_output],)


def split_parts(evaluated: Array, about: About) -> Batch:
    """Return the parts of what `select_evaluated` gave, without a copy."""
    if about.detection is not None:
        return evaluated[..., :SIDES], evaluated[..., SIDES:]
    return (evaluated,)


def join_shapes(parts: Batch) -> tuple[int, ...]:
    """Return the shape of one sample of what `select_evaluated` makes of these parts."""
    first = parts[0].shape[1:]
    return first if len(parts) == 1 else (*first[:-1], sum(part.shape[-1] for part in parts))


def describe_output(about: About, further: LabelledOutput) -> About:
    """Return what the samples are to the task of another output."""
    return replace(
        about,
        task=further.task,
        classes=further.classes,
        evaluated_output=further.output,
        label=further.name,
        labels=further.labels,
        further_outputs=(),
        detection=None,
    )


def count(folder: Path) -> int:
    """Return the number of samples."""
    return len(mapped(inputs(folder)[0]))


def about(folder: Path) -> About:
    """Return what the samples are. CrossquantError names a field that is wrong."""
    path = folder / ABOUT
    if not path.exists():
        return About()
    stat = path.stat()
    return _read_about(path, stat.st_ino, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _read_about(path: Path, *_: int) -> About:
    """The file at `path`, which is read once as it is: every batch asks for it, and a detector's anchors are many."""
    return read_shown(About, path)


def labels(folder: Path, output: int | None = None) -> Array | None:
    """Return the labels, (samples,) or (samples, …), or None if the samples have none.

    They are those of the evaluated output, or of another one by its number.
    """
    path = folder / labels_file(output)
    return np.load(path) if path.exists() else None


def groups(folder: Path) -> Indices | None:
    """Return the number of each sample's group, (samples,) from 0; None where each sample stands for itself."""
    return np.load(folder / GROUPS) if (folder / GROUPS).exists() else None


def summarize_labels(labels: Array | None) -> Labels | None:
    """Return what a stage that runs the model may see of the labels; None without labels."""
    if labels is None or not len(labels):
        return None
    return Labels(tuple(labels.shape[1:]), float(labels.min()), float(labels.max()))


def mapped(path: Path) -> Array:
    """Return the array of a `.npy` file, mapped: it is read as it is needed."""
    array: Array = np.load(path, mmap_mode="r")
    return array


def take(folder: Path, where: slice | Indices) -> Batch:
    """Return the samples at `where` as the model takes them: cast, in C order, and in memory."""
    described = about(folder)
    arrays = []
    for number, path in enumerate(inputs(folder)):
        stored = mapped(path)
        dtype = described.declared(number) or natural_type(stored.dtype)
        arrays.append(np.array(stored[where], dtype=dtype, order="C"))
    return tuple(arrays)


def natural_type(stored: np.dtype[Any]) -> str:
    """Return the type that samples are read as if none is declared: one that holds every value of `stored`."""
    return FLOAT if stored.kind == "f" or np.can_cast(stored, FLOAT) else stored.name


@contextmanager
def typed(folder: Path, types: Sequence[str]) -> Iterator[Path]:
    """Yield a folder whose samples are read in the types that a model takes: `folder` itself, or one of links to its
    arrays, which exists until the context ends.

    It is for quantizers, which take samples and not a model that casts them.
    """
    if [str(array.dtype) for array in take(folder, slice(1))] == list(types):
        yield folder
        return
    with TemporaryDirectory() as scratch:
        for path in folder.resolve().iterdir():
            if path.name != ABOUT:
                (Path(scratch) / path.name).symlink_to(path)
        fields = {**asdict(about(folder)), "dtypes": list(types)}
        (Path(scratch) / ABOUT).write_text(json.dumps(fields))
        yield Path(scratch)


def batches(folder: Path, size: int) -> Iterator[Batch]:
    """Yield all samples, in order; the last batch may be short.

    Memory doesn't grow with the number of samples: each batch has a mapping of its own, which is closed with the batch.
    The pages of a mapping that stays open would count as memory of this process.
    """
    total = count(folder)
    for start in range(0, total, size):
        yield take(folder, slice(start, start + size))


def fitting(folder: Path, size: int, largest: int = LARGEST, each: int = 0) -> int:
    """Return the number of samples for a batch: `size`, or as many as have at most `largest` bytes, and at least one.

    The tensors that a model computes of them, `each` bytes per sample (shared/measure/sample_bytes.py), are limited to
    COMPUTED times `largest`.
    """
    one = sum(array.nbytes for array in take(folder, slice(1)))
    return min(size, max(1, largest // max(1, one)), max(1, int(COMPUTED * largest / max(1, each))))


def finite(batch: Batch) -> NDArray[np.bool_]:
    """Return whether each sample has only finite values, (samples,)."""
    finite_samples = np.ones(len(batch[0]), np.bool_)
    for array in batch:
        finite_samples &= np.isfinite(array).reshape(len(array), -1).all(axis=1)
    return finite_samples


def draw_by_class(labels: Array, per_class: int, random: np.random.Generator) -> Indices:
    """Draw `per_class` samples of each class; return sorted indices. ValueError if a class has too few."""
    return draw_stratified(labels, per_class * len(np.unique(labels)), random)


def draw_stratified(labels: Array, samples: int, random: np.random.Generator) -> Indices:
    """Draw `samples` samples, as many of each class or one more of the first; return sorted indices.

    ValueError if a class has too few.
    """
    classes = np.unique(labels)
    each, more = divmod(samples, len(classes))
    counts = [each + (number < more) for number in range(len(classes))]
    members = [np.flatnonzero(labels == label) for label in classes]
    return np.sort(np.concatenate([_draw(*pair, random) for pair in zip(members, counts, strict=True)]))


def _draw(members: Indices, count: int, random: np.random.Generator) -> Indices:
    if len(members) < count:
        raise ValueError(f"a class has {len(members)} samples, {count} are asked for")
    return random.choice(members, count, replace=False)


def validation_split(labels: Array, images: int, seed: int) -> tuple[Indices, Indices]:
    """Indices (train, validation), disjoint; `images` of them for validation, the same number of each class."""
    per_class = images // len(np.unique(labels))
    validation = draw_by_class(labels, per_class, np.random.default_rng(seed))
    return np.setdiff1d(np.arange(len(labels)), validation), validation
