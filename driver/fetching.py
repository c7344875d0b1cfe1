"""Bring the experiment's data set and model onto the volume. The only step that uses the network."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from driver import cifar10, download, own, sample
from driver.experiment import Dataset, Experiment, Model, Source
from shared import store
from shared.contract import SCHEMA, Seal, read_if_whole
from shared.errors import CrossquantError

Say = Callable[[str], None]
KEPT = "{}: going on with the copy on the volume"


@dataclass(frozen=True)
class Fetched:
    """`locations` of the input artifacts below the volumes' root; `sample` if the embedded sample stands in."""

    locations: dict[str, str]
    sample: bool


def fetch(experiment: Experiment, want_sample: bool, say: Say, report: download.Report) -> Fetched:
    """Fetch what isn't there yet. `say` hears a line for each source that was tried."""
    full = locations(experiment, sample=False)
    fetch_model(experiment, store.volumes() / full["input.model"], say, report)
    if experiment.own_data:
        fetch_own(experiment.dataset, store.volumes() / full["input.dataset"], say, report)
        return Fetched(full, False)
    if not want_sample and fetch_dataset(experiment, store.volumes() / full["input.dataset"], say, report):
        return Fetched(full, False)
    part = locations(experiment, sample=True)
    keep_sample(store.volumes() / part["input.dataset"])
    return Fetched(part, True)


def locations(experiment: Experiment, *, sample: bool) -> dict[str, str]:
    """The folders of the input artifacts below the volumes' root, whether they are there or not."""
    data = experiment.dataset.name + ("-sample" if sample else "")
    return {"input.model": f"inputs/models/{experiment.name}", "input.dataset": f"inputs/{data}"}


def fetch_model(experiment: Experiment, final: Path, say: Say, report: download.Report) -> None:
    sealed, model = on_volume(final), experiment.model
    problems = refusals(model.sources, lambda source: keep_model(obtain(source, report), model, source, final, sealed))
    known = sealed and model.sha256 in ("", *(file.sha256 for file in sealed.files.values()))
    if problems and not known:
        raise CrossquantError(f"no model for '{experiment.name}': {problems}")
    if problems:
        say(KEPT.format(problems))


def on_volume(final: Path) -> Seal | None:
    """The seal of what an earlier `fetch` left there."""
    return read_if_whole(Seal, final / store.SEAL)


def refusals(sources: Sequence[Source], bring: Callable[[Source], None]) -> str:
    """Why none of the sources, tried in their order, could be brought; "" where one could."""
    problems = []
    for source in sources:
        try:
            bring(source)
            return ""
        except CrossquantError as error:
            problems.append(str(error))
    return "; ".join(problems)


def keep_model(path: Path, model: Model, source: Source, final: Path, sealed: Seal | None) -> None:
    """Copy the model, and the code that it needs, into the sealed folder `final`, unless they are there already."""
    if model.sha256 and path.is_file() and (found := store.file_sha256(path)) != model.sha256:
        if source.downloaded:
            path.unlink()
        raise CrossquantError(
            f"{source} has the SHA-256 {found[:12]}, {model.sha256[:12]} is expected: get the right file"
        )
    keep_files(own.model_files(path, model), source, final, sealed)


def keep_files(files: dict[str, Path], source: Source, final: Path, sealed: Seal | None) -> None:
    """Copy `files` into the sealed folder `final`, unless it has just them."""
    if sealed and sealed.files == own.hashed(files):
        return
    with store.temporary(final) as folder:
        own.copy(files, folder)
        publish(folder, final, str(source))


def fetch_own(dataset: Dataset, final: Path, say: Say, report: download.Report) -> None:
    """Copy the user's data to the volume; every file is read, so that none is ever served from before a change."""
    sealed = on_volume(final)
    problems = refusals(
        dataset.sources, lambda source: keep_files(own.data_files(obtain(source, report)), source, final, sealed)
    )
    if problems and not sealed:
        raise CrossquantError(f"no data for '{dataset.name}': {problems}")
    if problems:
        say(KEPT.format(problems))


def fetch_dataset(experiment: Experiment, final: Path, say: Say, report: download.Report) -> bool:
    """True if the full data set is on the volume; False if no source has it."""
    if is_kept(final):
        return True
    dataset = experiment.dataset
    for source in dataset.sources:
        try:
            path = obtain(source, report)
        except CrossquantError as error:
            say(f"{dataset.name}: {error}")
            continue
        try:
            arrays = cifar10.decode(path)
            cifar10.check(arrays, dataset.sha256, str(source))
        except CrossquantError:
            if source.downloaded:
                path.unlink()
            raise
        keep_full(arrays, str(source), final)
        say(f"{dataset.name}: from {source}")
        if source.downloaded:
            path.unlink()
        return True
    return False


def obtain(source: Source, report: download.Report) -> Path:
    """The file or folder that `source` means, downloaded if need be. CrossquantError where it can't be had."""
    inputs = store.volumes() / "inputs"
    if not source.downloaded:
        return own.find(source)
    if source.url:
        place = hashlib.sha256(source.url.encode()).hexdigest()[:12]  # two addresses may end in one name
        path = inputs / "downloads" / place / source.url.rsplit("/", 1)[1]
        if not path.is_file():
            download.over_https(source.url, path, report)
        return path
    path = inputs / "downloads" / (source.npm.replace("/", "-") + ".tgz")
    if not path.is_file():
        download.by_npm(source.npm, path, report)
    return path


def is_kept(final: Path) -> bool:
    """Is the data set there, in the form of today?"""
    return (final / store.SEAL).exists() and (final / "x_test_0.npy").exists()


def keep_full(arrays: cifar10.Arrays, origin: str, final: Path) -> None:
    indices = np.arange(len(arrays["x_train"]))
    about = {"name": "cifar10", "sample": False, "classes": list(cifar10.CLASSES)}
    keep({**arrays, "train_indices": indices}, about, origin, final)


def keep_sample(final: Path) -> None:
    if not is_kept(final):
        about = {"name": "cifar10", "sample": True, "classes": list(cifar10.CLASSES)}
        keep(sample.load(), about, "embedded sample", final)


def keep(arrays: cifar10.Arrays, about: dict[str, object], origin: str, final: Path) -> None:
    with store.temporary(final) as folder:
        for name, array in arrays.items():
            np.save(folder / (f"{name}_0.npy" if name.startswith("x_") else f"{name}.npy"), array)
        (folder / "about.json").write_text(json.dumps(about))
        publish(folder, final, origin)


def publish(folder: Path, final: Path, origin: str) -> None:
    """Seal an input: it has no inputs of its own, only an origin."""
    seal = Seal(
        schema=SCHEMA,
        name=final.name,
        status="ok",
        reason="",
        files=store.list_files(folder),
        inputs={},
        code="",
        parameters={"origin": origin},
        versions={},
        image_id="",
        seconds=0.0,
        peak_bytes=0,
    )
    store.publish(folder, final, seal)
