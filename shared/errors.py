"""The one exception family. `main` of the driver and of the stage runner print it; nobody else catches it to print."""

import errno

from shared.host_paths import on_host

DISK_FULL = "the disk is full: free some space and run again; what is finished is kept"


class CrossquantError(Exception):
    """Something the user can fix: its text is one line that names the thing and the fix."""

    exit_code = 2  # wrong use or a broken contract


class StageError(CrossquantError):
    """A stage failed, or the engine that should have run it did."""

    exit_code = 3


class Unconfined(CrossquantError):
    """The kernel can't confine a stage, and the model may be hostile: nothing was run."""

    exit_code = 4


class Unsupported(CrossquantError):
    """Raised inside a stage: the framework refuses this variant. It is a result, not a failure of the run."""

    exit_code = 0


class FieldError(CrossquantError):
    """A field of a file is missing, unknown or mistyped. `path` leads to it; who reads the file adds its name."""

    def __init__(self, path: tuple[str, ...], problem: str) -> None:
        super().__init__(f"{'.'.join(path)}: {problem}" if path else problem)
        self.path, self.problem = path, problem


def explain(error: OSError) -> str:
    """One line for what the operating system refuses."""
    if error.errno == errno.ENOSPC:
        return DISK_FULL
    where = f"{on_host(error.filename)}: " if error.filename else ""
    return f"{where}{error.strerror or error}: fix that and run again"
