"""Paths on the volume in messages, as the user finds them: containers have the volume at another place."""

import os
from pathlib import Path

MOUNTED = Path("/app/volumes")  # in a container
VARIABLE = "CROSSQUANT_HOST_VOLUMES"  # where that is on the host, as who starts a container tells it


def on_host(path: Path | str) -> Path:
    """The path on the host. It is `path` itself outside of a container."""
    path, host = Path(path), os.environ.get(VARIABLE)
    return host / path.relative_to(MOUNTED) if host and path.is_relative_to(MOUNTED) else path
