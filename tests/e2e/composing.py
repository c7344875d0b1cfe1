"""`docker compose` on a volume of its own, for the tests of it."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from conftest import Done, Driver

from shared.artifacts.store import ROOT


class Compose:
    """Takes the embedded sample; `files` where there are to be more services than those of `compose.yaml`."""

    def __init__(self, volumes: Path, files: Sequence[str] = ()) -> None:
        self.driver = Driver(volumes, "docker")
        self.files = [word for path in files for word in ("-f", path)]
        self.environment = {
            **self.driver.environment,
            "SAMPLE": "1",
            "CROSSQUANT_UID": str(os.getuid()),
            "CROSSQUANT_GID": str(os.getgid()),
        }

    def __call__(self, *arguments: str, **environment: str) -> Done:
        project = ["--project-name", f"test-{self.driver.volumes.name}", "--progress", "quiet"]
        done = subprocess.run(
            ["docker", "compose", *self.files, *project, *arguments],
            cwd=ROOT,
            env=self.environment | environment,
            check=False,
            capture_output=True,
            text=True,
        )
        return Done(done.returncode, done.stdout, done.stderr)
