"""Configures Inductor, PyTorch's compiler, which needs a C++ compiler and a folder whose files may be executed."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch._inductor.config as settings

from shared.errors import CrossquantError

CACHE = "TORCHINDUCTOR_CACHE_DIR"
PROBE = "#!/bin/sh\nexit 0\n"


def configure_inductor(*, compiler: bool) -> None:
    """Configure Inductor for this process; call it before anything is compiled.

    Freezing makes the weights constant: otherwise nothing is computed in 8 bits. It compiles in this process, since no
    one would wait for worker processes. CrossquantError if the compiler, which `compiler` requires, is missing, or if
    files below TMPDIR can't be executed.
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
    """Raise CrossquantError if files in `folder` can't be executed: Docker mounts a tmpfs so by default, and compiled
    code is loaded from there.
    """
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
