"""What the code of a model may do in its stage: read its inputs, write its output, and nothing else."""

import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import null_image
import pytest
from null_image import INPUT, step
from stage_runner import (
    failures,
    log,
    make_runner,  # noqa: F401 - the fixture `run`
    path,
    read_manifest,
)

from shared import stage
from shared.artifacts import store
from shared.runner import sandbox
from shared.runner.progress import Event

pytestmark = pytest.mark.skipif(not sandbox.available(), reason="this kernel has no Landlock of version 6")

PERMISSION = "PermissionError"


def attacked(run, what: str, *before) -> str:
    """What becomes of a stage with this code, after the steps `before`: its reason, "" where it succeeds."""
    run(null_image.plan(*before, step("made", "attack", what=what)))
    status, reason = run.ends["made"]
    assert status == ("failed" if reason else "ok")
    return reason


@pytest.mark.parametrize(
    "what",
    [
        "(out / 'new.txt').write_text('new')",
        "(out / 'deep').mkdir(); (out / 'a').touch(); (out / 'a').rename(out / 'deep' / 'b')",
        "(inputs[0] / 'text.txt').read_text()",
        "import tempfile; tempfile.TemporaryFile()",
        "p = Path(os.environ['TMPDIR']) / 'run'; p.write_text('#!/bin/sh'); p.chmod(0o700); os.spawnv(0, p, ['run'])",
        "import multiprocessing; multiprocessing.Lock()",
        "import subprocess; subprocess.run(['true'], check=True, stdout=subprocess.DEVNULL)",
        "import threading; t = threading.Thread(target=print); t.start(); t.join()",
        "import subprocess, sys; subprocess.run([sys.executable, '-m', 'shared.text'], check=True)",
        "os.kill(os.getpid(), 0)",
        "p = Path(os.environ['HOME']) / 'x'; p.write_text('x'); p.rename(out / 'x')",
    ],
)
def test_a_stage_may_do_what_it_needs(run, what):
    assert attacked(run, what) == ""


@pytest.mark.parametrize(
    "what",
    [
        "(inputs[0] / 'text.txt').write_text('forged')",
        "(inputs[0] / 'text.txt').unlink()",
        "os.truncate(inputs[0] / 'text.txt', 0)",
        "inputs[0].rename(out / 'moved')",
        "(out.parent / 'other' / 'text.txt').write_text('forged')",
        "(out.parent / 'other' / 'artifact.json').unlink()",
        "(out.parent / 'other' / 'text.txt').read_text()",
        "(out.parent / 'planted').mkdir()",
        "(out.parent.parent / 'plan.json').write_text('{}')",
        "(out.parent.parent / 'plan.json').read_text()",
        "(out.parent / '.locks' / 'other.lock').open('r')",
        "os.listdir(out.parent)",
        "os.listdir(out.parent / 'other')",
        "os.listdir(inputs[0].parent)",
        "os.listdir('/')",
        "open('/tmp/planted', 'w')",
        "Path(os.environ['TMPDIR']).parent.joinpath('planted').mkdir()",
        "os.kill(os.getppid(), 15)",
        "os.kill(os.getppid(), 0)",
        "open(f'/proc/{os.getppid()}/mem', 'rb')",
        "os.open(f'/proc/{os.getppid()}/fd/1', os.O_WRONLY)",
        "os.readlink(f'/proc/{os.getppid()}/cwd')",
        "open(f'/proc/{os.getppid()}/oom_score_adj', 'w')",
        "(out / 'link').symlink_to('/etc/passwd')",
        "l = Path(os.environ['TMPDIR']) / 'l'; l.symlink_to('/etc/passwd'); l.rename(out / 'l')",
        "os.link(inputs[0] / 'text.txt', out / 'linked')",
        "os.link(out.parent / 'other' / 'text.txt', out / 'linked')",
        "os.mkfifo(out / 'pipe')",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0))",
        "import socket; s = socket.socket(socket.AF_UNIX); s.bind(str(out / 'socket'))",
    ],
)
def test_what_is_finished_and_the_runner_are_out_of_a_stage_s_reach(run, what):
    reason = attacked(run, what, step("other", text="as it was"))
    assert reason.startswith(("PermissionError", "OSError: [Errno 18] Invalid cross-device link"))
    assert read_manifest("other") is not None, "its manifest still matches"
    assert store.read_verified_manifest(store.volumes() / "inputs/data", INPUT) is not None
    assert not Path("/tmp/planted").exists()


def test_a_program_that_a_stage_starts_is_confined_too(run):
    code = "import subprocess; subprocess.run(['sh', '-c', 'echo forged > {}'], check=True)"
    target = path("other") / "text.txt"
    assert attacked(run, code.format(target), step("other")).startswith("CalledProcessError")
    assert read_manifest("other") is not None


def test_an_abstract_socket_is_no_way_out(run):
    name = f"\0crossquant-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        what = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({name!r})"
        assert attacked(run, what).startswith(PERMISSION)


def test_no_descriptor_is_inherited(run, tmp_path):
    """Neither a file that the runner has open, nor the stream to whoever started it."""
    with (tmp_path / "open").open("w"):
        shown = "print(sorted(os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if int(n) < 1000))"
        assert attacked(run, shown.replace("os.readlink", "str")) == ""
    numbers = log("made").read_text()
    assert numbers.count("/proc/self/fd/") == 5, "0, 1, 2, the pipe to the runner, and the listing itself"


def test_a_stage_s_temporary_files_are_gone_with_it(run):
    assert (
        attacked(run, "print(os.environ['TMPDIR'], os.environ['HOME']); open(os.environ['TMPDIR'] + '/x', 'w')") == ""
    )
    scratch, home = log("made").read_text().split()
    assert scratch == home
    assert not Path(scratch).exists()


def test_labels_that_were_read_can_be_put_out_of_reach(run):
    what = "from shared.runner import sandbox; (inputs[0] / 'text.txt').read_text(); sandbox.hide(inputs[0]); "
    assert attacked(run, what + "(out / 'x').write_text('x'); import subprocess; subprocess.run(['true'])") == ""
    assert attacked(run, what + "(inputs[0] / 'text.txt').read_text()").startswith(PERMISSION)
    child = "import subprocess; subprocess.run(['cat', inputs[0] / 'text.txt'], check=True)"
    assert attacked(run, what + child).startswith("CalledProcessError")


COUNT = """
import sys
from pathlib import Path
from shared.artifacts import store
for path in sys.argv[1:3]:
    store.file_sha256(Path(path))
inverse = bytes.fromhex(sys.argv[3])  # what is sought must not lie in memory because it is sought
needle = bytearray(255 - byte for byte in inverse)
found = 0
with open("/proc/self/mem", "rb", 0) as memory:
    for line in open("/proc/self/maps").read().splitlines():
        low, high = (int(end, 16) for end in line.split()[0].split("-"))
        if " rw" in line:
            memory.seek(low)
            found += memory.read(high - low).count(needle)
print(found)
"""


@pytest.mark.parametrize("size", [100, 1200, 100_000])
def test_what_was_hashed_is_not_in_memory_any_more(tmp_path, size):
    """A stage is a fork of its runner, which has read the labels to check them against their manifest."""
    content, before = os.urandom(size), tmp_path / "before"
    (tmp_path / "labels.npy").write_bytes(content)
    before.write_bytes(bytes(store.BLOCK))  # from its second block on, memory is kept by the allocator
    inverse = bytes(255 - byte for byte in content[size // 2 : size // 2 + 24]).hex()
    command = [sys.executable, "-c", COUNT, before, tmp_path / "labels.npy", inverse]
    done = subprocess.run(command, cwd=store.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"], "the one that it looks for"


@pytest.mark.parametrize("number", [15, 34, 64])
def test_whatever_signal_ends_a_stage_the_next_one_runs(run, number):
    run(null_image.plan(step("made", "attack", what=f"os.kill(os.getpid(), {number})"), step("next")))
    assert run.ends["made"][1].startswith("killed by SIGTERM" if number == 15 else "killed by ")
    assert run.ends["next"] == ("ok", "")


@pytest.mark.parametrize("place", ["out.parent", "out.parent / 'other'", "out.parent / 'logs'", "out"])
def test_modes_that_a_stage_takes_away_are_given_back(run, place):
    what = f"({place}).chmod(0)"
    assert attacked(run, what, step("other")) == ""
    run(null_image.plan(step("other"), step("made", "attack", what=what), step("next")))
    assert run.ends["next"] == ("ok", "")
    assert read_manifest("other") is not None and read_manifest("made") is not None


def test_a_file_of_holes_takes_no_longer_than_a_stage_may(run):
    plan = null_image.plan(step("made", "attack", what="(out / 'a').touch(); os.truncate(out / 'a', 1 << 42)"))
    run(replace(plan, stage_seconds=2))
    assert run.ends["made"] == ("failed", "its output is not hashed after 2 s: raise limits.stage_seconds")


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("pass", ""),
        ("(inputs[0] / 'text.txt').read_text()", PERMISSION),
        ("os.kill(os.getppid(), 0)", PERMISSION),
        ("open(f'/proc/{os.getppid()}/mem', 'rb')", PERMISSION),
        ("raise Unsupported('no such operator')", "no such operator"),
        ("os._exit(5)", "ended by itself with exit code 5"),
        ("os.kill(os.getpid(), 9)", "killed by SIGKILL (out of memory? raise limits.memory)"),
        ("os.kill(os.getpid(), 40)", "killed by signal 40"),
    ],
)
def test_a_fork_of_a_stage_can_reach_neither_what_is_hidden_nor_the_stage(run, what, reason):
    code = f"""
from shared.errors import Unsupported
from shared.runner.forks import run_in_fork
def work():
    {what}
run_in_fork(work, hidden=[inputs[0]])
(inputs[0] / "text.txt").read_text()
"""
    run(null_image.plan(step("made", "attack", what=code)))
    status, message = run.ends["made"]
    assert status == ("unsupported" if "Unsupported" in what else "failed" if reason else "ok")
    assert message.startswith(reason)


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("(out / 'artifact.json').write_text('{}')", "its output has a file artifact.json"),
        ("(out / 'artifact.json').mkdir()", "its output has a file artifact.json"),
        ("(out / 'a\\nb').touch()", "a b: a file's name must have no control characters"),
        ("[os.mkdir('d') or os.chdir('d') for _ in range(2000)]", "folders are nested more than 32 deep"),
    ],
)
def test_an_output_that_can_not_have_a_manifest_fails_alone(run, what, reason):
    code = f"(out / 'a').touch(); os.chdir(out); {what}"
    run(null_image.plan(step("made", "attack", what=code), step("next")))
    assert reason in run.ends["made"][1]
    assert run.ends["next"] == ("ok", "")
    assert list(failures()) == ["made"]


def writing(text: str, times: int = 1) -> str:
    """Code that writes `text` to whatever this process has open, but its log."""
    return f"""
import contextlib
for number in {times} * [n for n in map(int, os.listdir("/proc/self/fd")) if n > 2]:
    with contextlib.suppress(OSError):
        os.write(number, {text!r}.encode())
"""


def test_a_stage_can_not_speak_for_another(run, monkeypatch):
    """What it writes to its pipe is heard as its own progress, or not at all."""
    forged = '{"event": "end", "output": "other", "status": "ok"}\n' + "x" * 200_000 + "\n"
    forged += '{"done": 1, "total": 2}\n{"done": 1, "total": 2, "output": "other"}\n'
    monkeypatch.setattr("shared.runner.progress.JSON_INTERVAL", 0.0)
    assert attacked(run, writing(forged)) == ""
    assert {event.output for event in run.events} == {"made"}
    assert run.named("progress") == ["made"]


def test_a_reason_is_safe_to_show(run):
    reason = attacked(run, "raise ValueError('\\x1b[2J\\x1b[HAll 22 gates hold.')")
    assert reason.startswith("ValueError: [2J [HAll 22 gates hold. (see ")


def test_a_flood_of_progress_is_passed_on_as_a_person_can_read_it(run, monkeypatch):
    monkeypatch.setattr("shared.runner.progress.JSON_INTERVAL", 30.0)
    assert attacked(run, writing('{"done": 1, "total": 2}\n' * 1000, times=20)) == ""
    assert len(run.named("progress")) <= 1


def test_where_the_kernel_can_not_confine_a_foreign_model_is_not_run(run, monkeypatch):
    monkeypatch.setattr(sandbox, "abi", lambda: 5)
    assert run(null_image.plan(step("made"))) == 4
    (event,) = run.events
    assert (event.event, event.exit_code) == ("unconfined", 4)
    assert event.message.startswith("this kernel can't confine a stage (Landlock version 5, 6 is needed)")
    assert not path("made").exists()


@pytest.mark.parametrize("why", ["own model", "isolated"])
def test_where_the_kernel_can_not_confine_what_is_safe_is_run(run, monkeypatch, why):
    monkeypatch.setattr(sandbox, "abi", lambda: 0)
    if why == "isolated":
        monkeypatch.setenv(stage.ISOLATED, "1")
    assert run(null_image.plan(step("made"), own_model=why == "own model")) == 0
    assert run.ends == {"made": ("ok", "")}


def test_many_stages_at_once_keep_apart(tmp_path):
    """Rules of one domain say nothing of another: each process has its own."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text(name)
    seen: dict[str, bytes] = {}

    def confined(mine: str) -> None:
        readable, writable = os.pipe()
        child = os.fork()
        if child == 0:
            scratch = tmp_path / "scratch"
            sandbox.restrict(sandbox.rules(tmp_path, [tmp_path / mine], scratch, scratch))
            answers = [os.access(tmp_path / name / "x", os.R_OK) and can_read(tmp_path / name / "x") for name in "ab"]
            os.write(writable, repr(answers).encode())
            os._exit(0)
        os.waitpid(child, 0)
        seen[mine] = os.read(readable, 100)

    threads = [threading.Thread(target=confined, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"a": b"[True, False]", "b": b"[False, True]"}


def can_read(file: Path) -> bool:
    try:
        return bool(file.read_text())
    except PermissionError:
        return False


def test_the_events_of_a_run_with_an_attack_are_those_of_any_run(run):
    attacked(run, "os.write(1, b'{}\\n')")
    assert [event.event for event in run.events] == ["start", "end"]
    assert all(isinstance(event, Event) for event in run.events)
