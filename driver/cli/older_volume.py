"""Sets aside what another version of crossquant left on the volume; it is never deleted."""

from pathlib import Path

from driver.engines import execute
from shared.artifacts import store
from shared.contract import MANIFEST_SCHEMA, PLAN_SCHEMA, loads


def set_aside(experiment: str) -> str:
    """Rename the folder of the experiment to NAME.old, or NAME.old.2 and so on, where another version has written it.

    One line that says so; "" where there is nothing to do. CrossquantError where another driver works in the folder.
    """
    folder = store.volumes() / experiment
    if not is_of_other_version(folder):
        return ""
    with execute.lock(experiment):
        place = free_name(folder)
        folder.rename(place)
    return f"{folder.name} on the volume is of another version of crossquant: kept as {place.name}, made anew"


def is_of_other_version(folder: Path) -> bool:
    """Has the plan of an experiment's folder, or the manifest of one of its artifacts, another schema than today's?"""
    plan = read_schema(store.plan_path(folder.name))
    manifests = (read_schema(path) for path in sorted(folder.glob(f"*/*/{store.MANIFEST}")))
    return plan not in (None, PLAN_SCHEMA) or any(schema not in (None, MANIFEST_SCHEMA) for schema in manifests)


def read_schema(path: Path) -> int | None:
    """The number that a file of JSON gives as its schema; None where it is missing, damaged or without one."""
    try:
        data = loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    schema = data.get("schema") if isinstance(data, dict) else None
    return schema if isinstance(schema, int) else None


def free_name(folder: Path) -> Path:
    """The first of NAME.old, NAME.old.2, NAME.old.3 … that nothing has."""
    place, number = folder.with_name(f"{folder.name}.old"), 1
    while place.exists() or place.is_symlink():
        number += 1
        place = folder.with_name(f"{folder.name}.old.{number}")
    return place
