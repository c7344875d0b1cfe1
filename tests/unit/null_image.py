"""An image without a framework: what its stages do is known beforehand, so that the harness alone is tested."""

import faulthandler
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from shared.artifacts import store
from shared.artifacts.code_hash import CodeHasher
from shared.contract import MANIFEST_SCHEMA, PLAN_SCHEMA, Manifest, Plan, Step
from shared.errors import CrossquantError, Unsupported
from shared.runner.progress import report

IMAGE = "null"
EXPERIMENT = "tiny"
INPUT = "input.data"
REFUSAL = "no converter for GlobalMaxPool"


def write(*paths: Path, text: str = "", note: str = "") -> None:  # noqa: ARG001 - a setting without an effect
    """Write the text of every input, then `text`."""
    *inputs, out = paths
    (out / "text.txt").write_text("".join((path / "text.txt").read_text() for path in inputs) + text)


def gather(source: Path, available: dict[str, Path], out: Path) -> None:
    """Write what each optional input holds."""
    assert (source / "text.txt").exists()
    texts = {name: (path / "text.txt").read_text() for name, path in available.items()}
    (out / "texts.json").write_text(json.dumps(texts))


def refuse(*paths: Path, half: str = "half.txt") -> None:
    """Leave something half-made at `half`, then raise what a framework's refusal becomes."""
    (paths[-1] / half).parent.mkdir(exist_ok=True)
    (paths[-1] / half).write_text("half")
    raise Unsupported(REFUSAL)


def stop(*_: Path, message: str) -> None:
    raise CrossquantError(message)


def fail(*_: Path) -> None:
    raise RuntimeError("the first line\nthe second line")


def exhaust(*_: Path) -> None:
    raise MemoryError


def leave(*_: Path, code: int) -> None:
    sys.exit(code)


def vanish(*_: Path) -> None:
    os._exit(7)


def die(*_: Path, number: int) -> None:
    faulthandler.disable()  # pytest's, which tells of it on the terminal
    os.kill(os.getpid(), number)


def end_at_last() -> None:
    """A runner that forgets its stage fails a test, and leaves no process behind for ever."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(60)


def write_forever(*paths: Path) -> None:
    end_at_last()
    while True:
        (paths[-1] / "text.txt").write_text("again")


def talk(*_: Path) -> None:
    """Speak in all the ways in which a framework does."""
    print("printed")
    print("complained", file=sys.stderr)
    os.write(1, b"written by a library\n")
    os.write(2, b"complained by a library\n")
    report(1, 2)


def start_helper(*_: Path, apart: bool, wait: bool) -> None:
    """Start a process, in a session of its own if `apart`, print its number, and leave it or wait with it for ever."""
    readable, writable = os.pipe()
    helper = os.fork()
    end_at_last()
    if helper == 0:
        if apart:
            os.setsid()
        print(os.getpid(), flush=True)
        os.write(writable, b"ready")
    while wait or helper == 0:
        signal.pause()
    os.read(readable, 1)


def allocate(*_: Path, megabytes: int) -> None:
    np.ones((megabytes, 1 << 20), np.uint8)


def show_threads(*paths: Path) -> None:
    (paths[-1] / "text.txt").write_text(os.environ["OMP_NUM_THREADS"])


def wait(*paths: Path) -> None:
    """Leave something half-made, with this process's number, and wait for ever."""
    end_at_last()
    (paths[-1] / "half.txt").write_text(str(os.getpid()))
    (paths[-1] / "half.txt").rename(paths[-1] / "text.txt")
    while True:
        signal.pause()


def attack(*paths: Path, what: str) -> None:
    """Try something that a model's code may not do; its exception is the stage's."""
    exec(what, {"inputs": paths[:-1], "out": paths[-1], "os": os, "Path": Path})


STAGES = (
    *(write, gather, refuse, stop, fail, exhaust, leave, vanish, die, write_forever, talk, allocate),
    *(show_threads, wait, attack, start_helper),
)


def install(root: Path) -> Path:
    """Make the image's folder below `root`, with one file a stage."""
    folder = root / "images" / IMAGE
    folder.mkdir(parents=True)
    for stage in STAGES:
        (folder / f"{stage.__name__}.py").write_text(f"from null_image import {stage.__name__} as run\n")
    return folder


def step(
    output: str,
    run: str = "write",
    inputs: tuple[str, ...] = (INPUT,),
    *,
    optional: tuple[str, ...] = (),
    image: str = IMAGE,
    default: bool = True,
    **parameters: Any,
) -> Step:
    return Step(output, image, run, inputs, optional, parameters, default)


def plan(
    *steps: Step,
    stage_seconds: int = 60,
    threads: int = 2,
    code: dict[str, str] | None = None,
    own_model: bool = False,
) -> Plan:
    """A plan of `steps`, with the code as it is now unless `code` has hashes by image."""
    images, hasher = tuple(sorted({IMAGE} | {each.image for each in steps})), CodeHasher()
    if code is None:
        steps = tuple(replace(each, code=hasher.of_step(each)) for each in steps)
    else:
        steps = with_code(steps, code)
    locations = {each.output: f"{EXPERIMENT}/{each.image}/{each.output}" for each in steps}
    return Plan(
        PLAN_SCHEMA,
        EXPERIMENT,
        threads,
        stage_seconds,
        images,
        hasher.of_runner(),
        {INPUT: "inputs/data", **locations},
        steps,
        own_model,
    )


def with_code(steps: Sequence[Step], code: Mapping[str, str]) -> tuple[Step, ...]:
    """The steps with the hash that `code` has for the image of each."""
    return tuple(replace(each, code=code.get(each.image, "")) for each in steps)


def keep(plan: Plan, name: str, files: dict[str, str], status: str = "ok", **fields: Any) -> Manifest:
    """Manifest an artifact that holds `files`, as if its stage had made it; `fields` are those of its manifest."""
    final = store.artifact_path(plan, name)
    given = {"inputs": {}, "code": "", "parameters": {}, "reason": "", **fields}
    rest = {"versions": {}, "image_id": "", "seconds": 1.5, "peak_bytes": 1 << 20}
    with store.temporary(final) as folder:
        for file, text in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
        manifest = Manifest(
            schema=MANIFEST_SCHEMA, name=name, status=status, files=store.list_files(folder), **given, **rest
        )
        store.publish(folder, final, manifest)
    return manifest


def keep_input(plan: Plan, text: str = "input") -> Manifest:
    return keep(plan, INPUT, {"text.txt": text})


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """(count, 4, 4, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
