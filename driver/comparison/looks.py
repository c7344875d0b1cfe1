"""How often a test set has been looked at: each comparison of other variants of a model on it is one more look.

Who looks often and keeps what did best measures luck in part, whatever the tests say of each look. The count is on the
volume, for each test set and model: `volumes/.looks.json` has a digest for each look.
"""

import fcntl
import hashlib
import json
from contextlib import suppress
from pathlib import Path

from driver.analysis.artifacts import PREDICTIONS, Evidence, variants
from shared.artifacts import store
from shared.contract import loads

NAME, LOCK = ".looks.json", ".looks.lock"


def record_look(evidence: Evidence, reference: str) -> int:
    """Count this look, unless it was counted before; return how many there have been, this one included.

    1 where there are no answers of the reference. A volume that can't be written to counts nothing.
    """
    answers = {step.output: hash_answers(evidence, step.output) for step in variants(evidence.plan)}
    base = answers.pop(reference, "")
    if not base:
        return 1
    labels = evidence.manifest(evidence.labelled_by("dataset"))
    key = digest([base, sorted(file.sha256 for file in labels.files.values()) if labels else []])
    look = digest(sorted(answer for answer in answers.values() if answer))
    with suppress(OSError):
        return add(store.volumes(), key, look)
    return 1


def hash_answers(evidence: Evidence, variant: str) -> str:
    """A digest of what the variant answers; "" where it has no answers."""
    manifest = evidence.manifest(PREDICTIONS + variant)
    if manifest is None:
        return ""
    return digest(sorted((name, file.sha256) for name, file in manifest.files.items() if name.endswith(".npy")))


def digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def add(volumes: Path, key: str, look: str) -> int:
    """Add the look to those of this key, and return how many these are."""
    with (volumes / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        looks = read_looks(volumes / NAME)
        known = looks.setdefault(key, [])
        if look not in known:
            known.append(look)
            store.write_atomically(volumes / NAME, json.dumps(looks, indent=1))
        return len(known)


def read_looks(path: Path) -> dict[str, list[str]]:
    """The digests of the looks by their key; none where the file is missing or damaged."""
    with suppress(OSError, ValueError):
        data = loads(path.read_bytes())
        if isinstance(data, dict) and all(isinstance(each, list) for each in data.values()):
            return {str(key): [str(look) for look in looks] for key, looks in data.items()}
    return {}
