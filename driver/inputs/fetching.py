"""Bring the experiment's data set and model onto the volume. The only step that uses the network."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driver.experiment.model import SAMPLE_SUFFIX, Experiment, Model, Source
from driver.inputs import download, user_files
from driver.inputs.file_content import find_wrong_kind, is_whole
from shared.artifacts import locks, store
from shared.contract import MANIFEST_SCHEMA, Failure, Manifest, Step, read, read_if_whole
from shared.errors import CrossquantError

Say = Callable[[str], None]
MODEL, DATASET = "input.model", "input.dataset"  # the artifacts
PATIENCE = 600  # seconds for another driver to bring the same data
KEPT = "{}: going on with the copy on the volume"
COPY_DAMAGED = "; the copy on the volume is damaged"


@dataclass(frozen=True)
class Fetched:
    """`locations` of the input artifacts below the volumes' root; `sample` if the embedded sample stands in."""

    locations: dict[str, str]
    sample: bool


def fetch(
    experiment: Experiment, want_sample: bool, say: Say, report: download.Report, damaged: Collection[str] = ()
) -> Fetched:
    """Fetch what isn't there yet or is `damaged`. `say` hears a line for each source that was tried."""
    full = list_locations(experiment, sample=False)
    fetch_model(experiment, store.volumes() / full[MODEL], say, report, damaged=MODEL in damaged)
    final = store.volumes() / full[DATASET]
    if experiment.own_data:
        fetch_own(experiment, final, say, report, damaged=DATASET in damaged)
        return Fetched(full, False)
    if not want_sample and fetch_dataset(experiment, final, say, report, damaged=DATASET in damaged):
        return Fetched(full, False)
    part = list_locations(experiment, sample=True)
    keep_sample(store.volumes() / part[DATASET], damaged=DATASET in damaged)
    return Fetched(part, True)


def list_locations(experiment: Experiment, *, sample: bool) -> dict[str, str]:
    """The folders of the input artifacts below the volumes' root, whether they are there or not."""
    data = experiment.dataset.name + (SAMPLE_SUFFIX if sample else "")
    return {MODEL: f"inputs/models/{experiment.name}", DATASET: f"inputs/{data}"}


def fetch_model(
    experiment: Experiment, final: Path, say: Say, report: download.Report, *, damaged: bool = False
) -> None:
    kept, model = None if damaged else read_kept_manifest(final), experiment.model
    failed = "" if model.sha256 else find_failed_reader(experiment, MODEL)

    def bring(source: Source) -> None:
        path = obtain_undoubted(source, final, failed, say, report)
        keep_model(path, model, source, final, kept)

    problems = try_sources(model.sources, bring)
    usable = kept and model.sha256 in ("", *(file.sha256 for file in kept.files.values()))
    if problems and not usable:
        raise CrossquantError(f"no model for '{experiment.name}': {problems}{COPY_DAMAGED if damaged else ''}")
    if problems:
        say(KEPT.format(problems))
    forget_failures(experiment, MODEL, kept, final)


def read_kept_manifest(final: Path) -> Manifest | None:
    """The manifest of what an earlier `fetch` left there, its files unread; None where it is damaged."""
    return read_if_whole(Manifest, final / store.MANIFEST)


def try_sources(sources: Sequence[Source], bring: Callable[[Source], None]) -> str:
    """Why none of the sources, tried in their order, could be brought; "" where one could."""
    problems = []
    for source in sources:
        try:
            bring(source)
            return ""
        except CrossquantError as error:
            problems.append(str(error))
    return "; ".join(problems)


def keep_model(path: Path, model: Model, source: Source, final: Path, kept: Manifest | None) -> None:
    """Copy the model, and the code that it needs, into the folder `final`, unless they are there already."""
    if model.sha256 and path.is_file() and (sha256 := store.file_sha256(path)) != model.sha256:
        if source.downloaded:
            forget_download(path)
        raise CrossquantError(
            f"{source} has the SHA-256 {sha256[:12]}, {model.sha256[:12]} is expected: get the right file"
        )
    keep_files(user_files.model_files(path, model), source, final, kept)


def keep_files(files: dict[str, Path], source: Source, final: Path, kept: Manifest | None) -> None:
    """Copy `files` into the folder `final`, unless it has just them, from there."""
    if kept and kept.files == user_files.hash_files(files) and kept.parameters.get("origin") == str(source):
        return
    with replace_input(final) as folder:
        user_files.copy(files, folder)
        publish(folder, final, str(source))


def fetch_own(experiment: Experiment, final: Path, say: Say, report: download.Report, *, damaged: bool = False) -> None:
    """Copy the user's data to the volume; every file is read, so that none is ever served from before a change."""
    kept, dataset = None if damaged else read_kept_manifest(final), experiment.dataset
    failed = find_failed_reader(experiment, DATASET)

    def bring(source: Source) -> None:
        path = obtain_undoubted(source, final, failed, say, report)
        keep_files(user_files.data_files(path), source, final, kept)

    problems = try_sources(dataset.sources, bring)
    if problems and not kept:
        raise CrossquantError(f"no data for '{dataset.name}': {problems}{COPY_DAMAGED if damaged else ''}")
    if problems:
        say(KEPT.format(problems))
    forget_failures(experiment, DATASET, kept, final)


def fetch_dataset(
    experiment: Experiment, final: Path, say: Say, report: download.Report, *, damaged: bool = False
) -> bool:
    """True if the full data set is on the volume; False if no source has it."""
    if is_kept(final) and not damaged:
        return True
    dataset = experiment.dataset
    for source in dataset.sources:
        try:
            path = obtain(source, report)
        except CrossquantError as error:
            say(f"{dataset.name}: {error}")
            continue
        from driver.inputs import cifar10  # noqa: PLC0415 - NumPy is needed to read data alone

        try:
            arrays = cifar10.decode(path)
            cifar10.check_arrays(arrays, dataset.sha256, str(source))
        except CrossquantError:
            if source.downloaded:
                forget_download(path)
            raise
        keep_full(arrays, str(source), final)
        say(f"{dataset.name}: from {source}")
        if source.downloaded:
            forget_download(path)
        return True
    return False


# A download that a stage could not load


def find_failed_reader(experiment: Experiment, name: str) -> str:
    """A stage that failed in the last run and reads the input `name`; "" where there is none."""
    return next((step.output for step, _ in list_recorded_failures(experiment, name)), "")


def list_recorded_failures(experiment: Experiment, name: str) -> Iterator[tuple[Step, Path]]:
    """The steps that read the input `name` and failed, with the record of it, by the plan of the last run."""
    try:
        plan = store.read_plan(experiment.name)
    except CrossquantError:  # there was no run, or its plan is damaged and about to be written anew
        return
    for step in plan.steps:
        path = store.failure_path(plan, step.output) if name in step.inputs else None
        if path is not None and path.exists() and has_failed(path):
            yield step, path


def has_failed(record: Path) -> bool:
    """Does the record say that the stage itself failed, and was not skipped? A damaged record counts as a failure."""
    try:
        return read(Failure, record).status == "failed"
    except CrossquantError:
        return True


def is_doubtful(source: Source, final: Path, failed: str) -> bool:
    """Did the stage `failed` read what this source gave, and may that be the wrong thing, or cut short?"""
    kept = read_kept_manifest(final)
    if not (failed and source.url and kept and kept.parameters.get("origin") == str(source)):
        return False
    path = download_path(source)
    return not (path.is_file() and is_whole(path))


def list_doubtful(experiment: Experiment) -> list[str]:
    """A line for each input that the next run downloads again, because a stage failed to load it."""
    folders = list_locations(experiment, sample=False)
    unpinned = [] if experiment.model.sha256 else [(MODEL, experiment.model.sources)]
    unpinned += [(DATASET, experiment.dataset.sources)] if experiment.own_data else []
    return [
        f"{failed} failed on what {source} gave, which no sha256 vouches for: the next run downloads it again"
        for name, sources in unpinned
        if (failed := find_failed_reader(experiment, name))
        for source in sources
        if is_doubtful(source, store.volumes() / folders[name], failed)
    ]


def forget_failures(experiment: Experiment, name: str, before: Manifest | None, final: Path) -> None:
    """Remove the records of failures on an input that has another content now: they say nothing about it."""
    now = read_kept_manifest(final)
    if before is not None and now is not None and now.files != before.files:
        for _, path in list_recorded_failures(experiment, name):
            path.unlink(missing_ok=True)


def obtain_undoubted(source: Source, final: Path, failed: str, say: Say, report: download.Report) -> Path:
    """The file of `source`, as `obtain` gives it; a download that the stage `failed` could not load is replaced."""
    doubtful = is_doubtful(source, final, failed)
    if doubtful:
        say(f"{failed} could not load what {source} gave: downloading it again")
    return obtain(source, report, again=doubtful)


def obtain(source: Source, report: download.Report, *, again: bool = False) -> Path:
    """The file or folder that `source` means. It is downloaded if need be, or `again`.

    CrossquantError where it can't be had; what an earlier command downloaded is then as it was.
    """
    if not source.downloaded:
        return user_files.find(source)
    path = download_path(source)
    if path.is_file() and not is_as_downloaded(path):
        forget_download(path)
    if again:
        path.with_name(path.name + download.PARTIAL).unlink(missing_ok=True)  # it may belong to what is doubted
    if again or not path.is_file():
        if source.url:
            download.download_https(source.url, path, report)
        else:
            download.download_npm(source.npm, path, report)
        store.write_atomically(sum_path(path), store.file_sha256(path))
    return path


def is_as_downloaded(path: Path) -> bool:
    """Is a kept download what came, and no web page? One without a sum is of an earlier version of crossquant."""
    recorded = sum_path(path)
    same = not recorded.exists() or recorded.read_bytes() == store.file_sha256(path).encode()  # it may be no text
    return same and not find_wrong_kind(path)


def sum_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def forget_download(path: Path) -> None:
    sum_path(path).unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def download_path(source: Source) -> Path:
    """Where the download of a source is kept."""
    folder = store.volumes() / "inputs" / "downloads"
    if not source.url:
        return folder / (source.npm.replace("/", "-") + ".tgz")
    place = hashlib.sha256(source.url.encode()).hexdigest()[:12]  # two addresses may end in one name
    return folder / place / source.url.rsplit("/", 1)[1]


def is_kept(final: Path) -> bool:
    """Is the data set there, in today's form?"""
    return (final / store.MANIFEST).exists() and (final / "x_test_0.npy").exists()


def keep_full(arrays: Mapping[str, Any], origin: str, final: Path) -> None:
    """The decoded CIFAR-10 as an input."""
    from driver.inputs import cifar10  # noqa: PLC0415 - NumPy is needed to read data alone

    with replace_input(final) as folder:
        cifar10.write_arrays(folder, arrays, sample=False)
        publish(folder, final, origin)


def keep_sample(final: Path, *, damaged: bool = False) -> None:
    if damaged or not is_kept(final):
        from driver.inputs import cifar10, embedded_sample  # noqa: PLC0415 - NumPy is needed to read data alone

        with replace_input(final) as folder:
            cifar10.write_arrays(folder, embedded_sample.load(), sample=True)
            publish(folder, final, "embedded sample")


@contextmanager
def replace_input(final: Path) -> Iterator[Path]:
    """An empty folder for what takes the place of `final`; one driver at a time, whatever experiment it works on."""
    with locks.exclusive(final, lambda _: None, PATIENCE):
        store.remove_partials(final)
        with store.temporary(final) as folder:
            yield folder


def publish(folder: Path, final: Path, origin: str) -> None:
    """Put an input in its place with a manifest: it has no inputs of its own, only an origin."""
    manifest = Manifest(
        schema=MANIFEST_SCHEMA,
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
    store.publish(folder, final, manifest)
