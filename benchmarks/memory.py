"""How much memory each container takes at most, and each bare script."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import requests

from benchmarks.chains import IMAGES, Setting, empty, last_line, script
from driver.engines.docker import LABEL
from shared.artifacts import store
from shared.contract import Manifest, read
from shared.errors import CrossquantError

POLL = 0.1  # seconds between two looks


class Peaks:
    """Of each container, in bytes, as its control group counts: all its processes, and the files that it caches.

    Docker gives the kernel's own peak under cgroup v1; under v2 it gives none, and the largest of many looks stands in.
    """

    def __init__(self, setting: Setting) -> None:
        self.label = f"{LABEL}={setting.folder.resolve()}"
        self.containers = setting.engine == "docker"
        self.found: dict[str, int] = {}
        self.stop = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[None]:
        if not self.containers:
            yield
            return
        watcher = threading.Thread(target=self.watch)
        watcher.start()
        try:
            yield
        finally:
            self.stop.set()
            watcher.join()

    def watch(self) -> None:
        client = docker.from_env()
        while not self.stop.wait(POLL):
            for item in client.api.containers(filters={"label": self.label}):
                try:
                    memory = client.api.stats(item["Id"], stream=False, one_shot=True)["memory_stats"]
                except (docker.errors.APIError, requests.RequestException):  # it ended meanwhile
                    continue
                image = item["Image"].rpartition("-")[2]
                peak = memory.get("max_usage") or memory.get("usage", 0)
                self.found[image] = max(peak, self.found.get(image, 0))


def of_stages(setting: Setting, image: str) -> int:
    """The largest `peak_bytes` that the image's manifests have: resident memory of one process."""
    return max(read(Manifest, path).peak_bytes for path in (setting.folder / image).glob(f"*/{store.MANIFEST}"))


def of_scripts(setting: Setting) -> dict[str, int]:
    """The largest resident memory of a process of each bare script, in bytes."""
    empty(setting.bare)
    peaks = {}
    for image in IMAGES:
        with script(setting, image) as process:
            assert process.stderr is not None
            error_text = process.stderr.read()
            _, ended, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(ended)
        if ended:
            raise CrossquantError(f"bare_{image}.py died ({process.returncode}; {last_line(error_text)}): run again")
        peaks[image] = usage.ru_maxrss * 1024
    return peaks
