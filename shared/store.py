"""Artifacts on the volume: hashed, sealed, and believed only after they have been read again."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.contract import Failure, File, Plan, Seal, encode, read
from shared.errors import CrossquantError

SEAL = "artifact.json"
ROOT = Path(__file__).resolve().parents[1]
BLOCK = 1 << 20  # bytes
LEAST_FREE = 1 << 18  # bytes; with fewer, what failed failed for want of space


def volumes() -> Path:
    """The folder that all containers share: `volumes/` of the checkout, or $CROSSQUANT_VOLUMES."""
    return Path(os.environ.get("CROSSQUANT_VOLUMES") or ROOT / "volumes")


def plan_path(experiment: str) -> Path:
    return volumes() / experiment / "plan.json"


def artifact_path(plan: Plan, name: str) -> Path:
    return volumes() / plan.locations[name]


def failure_path(plan: Plan, name: str) -> Path:
    return beside(plan, name, "failures", ".json")


def log_path(plan: Plan, name: str) -> Path:
    return beside(plan, name, "logs", ".log")


def beside(plan: Plan, name: str, folder: str, suffix: str) -> Path:
    return artifact_path(plan, name).parent / folder / (name + suffix)


def file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def list_files(folder: Path) -> dict[str, File]:
    """Every file below `folder` except the seal, by its relative path."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SEAL)
    return {path.relative_to(folder).as_posix(): File(file_sha256(path), path.stat().st_size) for path in found}


def digest(seal: Seal) -> str:
    """What a later stage records of this artifact: the content, not when or where it was made."""
    lines = [f"{seal.status} {seal.reason}"]
    lines += [f"{name} {file.sha256}" for name, file in sorted(seal.files.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def code_hash(image: str) -> str:
    """One hash of all that a stage's result depends on in the code: `shared/` and `images/<image>/`, lock included."""
    return tree_hash("shared", f"images/{image}")


def build_command(image: str) -> str:
    """What builds the image: an optional one has a Compose file of its own."""
    own = f"images/{image}/compose.yaml"
    more = f" -f compose.yaml -f {own}" if (ROOT / own).exists() else ""
    return f"docker compose{more} build {image}"


def tree_hash(*folders: str) -> str:
    """One hash of the names and contents of all files below these folders of the checkout."""
    total = hashlib.sha256()
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(f"{path.relative_to(ROOT).as_posix()} {file_sha256(path)}\n".encode())
    return total.hexdigest()


def open_sealed(path: Path, name: str) -> Seal | None:
    """The seal of a finished artifact, its files hashed again; None where there is none.

    CrossquantError where a file is not what was sealed: a trusted seal would show an old result as new.
    """
    if not (path / SEAL).exists():
        return None
    seal = read(Seal, path / SEAL)
    if list_files(path) != seal.files:
        raise CrossquantError(f"artifact '{name}' changed after it was sealed: delete {path} and run again")
    return seal


@contextmanager
def temporary(final: Path) -> Iterator[Path]:
    """An empty folder beside `final`; gone afterwards unless `publish` has moved it into place."""
    folder = final.parent / f".{final.name}.{os.getpid()}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, final: Path, seal: Seal) -> None:
    """Seal `folder` and put it in the place of `final`, in one rename."""
    write_atomically(folder / SEAL, encode(seal))
    discard(final)
    folder.rename(final)


def discard(final: Path) -> None:
    shutil.rmtree(final, ignore_errors=True)


def write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def record_failure(plan: Plan, failure: Failure) -> None:
    write_atomically(failure_path(plan, failure.name), encode(failure))


def remove_partials(folder: Path) -> None:
    """What a killed process left; for the owner of `folder` alone, when nothing else writes there."""
    for path in folder.glob(".*.partial"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def is_full(folder: Path) -> bool:
    """Is the disk that holds `folder` as good as full?"""
    return shutil.disk_usage(folder).free < LEAST_FREE


def parameters(path: Path) -> dict[str, Any]:
    """What the artifact in `path` was made with."""
    return read(Seal, path / SEAL).parameters
