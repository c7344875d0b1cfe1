"""What Inductor, PyTorch's compiler, needs: a C++ compiler, and a folder whose files may be executed."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch._inductor.config as settings

from shared.errors import CrossquantError

CACHE = "TORCHINDUCTOR_CACHE_DIR"
PROBE = "#!/bin/sh\nexit 0\n"


def prepare(*, compiler: bool) -> None:
    """Set Inductor up for this process; to be called before anything is compiled. CrossquantError says what is missing.

    Freezing makes constants of the weights, without which nothing is computed in 8 bits. Workers are processes beside
    the stage's own, which nobody would wait for.
    """
    settings.freezing = True
    settings.compile_threads = 1
    os.environ.setdefault(
        CACHE, str(Path(tempfile.gettempdir()) / f"inductor-{os.getuid()}")
    )  # a user may have no name
    if compiler and not shutil.which("g++"):
        raise CrossquantError("Inductor needs a C++ compiler: install g++, or take the form exported")
    check_executable(Path(tempfile.gettempdir()))


def check_executable(folder: Path) -> None:
    """Compiled code is loaded from there: Docker mounts a tmpfs without execution, unless it is told."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        probe = Path(scratch) / "probe"
        probe.write_text(PROBE)
        probe.chmod(0o700)
        try:
            subprocess.run([probe], check=True)
        except PermissionError:
            raise CrossquantError(
                f"{folder} forbids to execute its files: mount it with exec (tmpfs /tmp:exec)"
            ) from None
