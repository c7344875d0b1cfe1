"""A Landlock domain for one stage: what it may read, write and signal. It needs no privilege.

A model file may run code: its own layers, a Lambda that the user trusts, or a fault of a parser. The runner restricts
each stage's process, before any of that code runs, to its declared inputs, its own output and a private folder for
temporary files. The kernel enforces it for the process and for whatever it starts, and nothing can lift it again.

What Landlock does not restrict is written in docs/security.md. The kernel's interface: landlock(7).
"""

import ctypes
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.errors import StageError

LEAST_ABI: Final = 6  # Linux 6.12: signals to processes outside of the domain are refused
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # system calls; the same numbers on x86-64 and arm64
VERSION_FLAG, PATH_BENEATH = 1, 1
NO_NEW_PRIVS = 38  # prctl(2)

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR, MAKE_REG = 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8
MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM, REFER, TRUNCATE = 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14
EVERY_FILE_ACCESS = (1 << 15) - 1
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE  # rights that a rule on a single file may have
BIND_TCP, CONNECT_TCP = 1 << 0, 1 << 1
ABSTRACT_SOCKETS, SIGNALS = 1 << 0, 1 << 1

READ = READ_FILE | READ_DIR
PROGRAMS = READ | EXECUTE
FILES = READ | WRITE_FILE | TRUNCATE | MAKE_REG | MAKE_DIR | REMOVE_FILE | REMOVE_DIR | REFER  # no links, no devices
SCRATCH = FILES | EXECUTE | MAKE_SYM | MAKE_SOCK | MAKE_FIFO  # compiled models are built and loaded there
DEVICES = ("/dev/null", "/dev/zero")
SEMAPHORES = "/dev/shm"  # where multiprocessing has its semaphores

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Rule:
    """`access`, a set of the flags above, to `path` and all that lies below it."""

    path: str
    access: int


_entered: list[Rule] = []  # the rules of the domain that this process is in


def abi() -> int:
    """The version of Landlock that this process may use; 0 where the kernel, or a seccomp filter, has none."""
    return max(0, int(_libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(VERSION_FLAG))))


def available() -> bool:
    """Can `restrict` do all that it promises?"""
    return abi() >= LEAST_ABI


def rules(hidden: Path, inputs: Iterable[Path], output: Path, scratch: Path) -> list[Rule]:
    """Return the rules of a stage: it reads everything outside of `hidden`, the volume, and its `inputs` there.

    It writes `output` and `scratch`, and what multiprocessing needs. The folders that contain the volume can't be
    listed, since a rule holds for all below it: names of files can be as telling as what is in them.
    """
    allowed = [Rule(path, PROGRAMS) for path in beside(hidden.resolve())]
    allowed += [Rule(str(path), READ) for path in inputs]
    allowed += [Rule(str(output), FILES), Rule(str(scratch), SCRATCH), Rule(SEMAPHORES, FILES)]
    return allowed + [Rule(path, READ_FILE | WRITE_FILE | TRUNCATE) for path in DEVICES]


def beside(hidden: Path) -> Iterator[str]:
    """Every path that neither is, nor contains, nor lies below `hidden`, as few of them as can be. Links are left out:
    what they lead to has a rule of its own, or is hidden.
    """
    for folder, child in zip(reversed(hidden.parents), reversed([hidden, *hidden.parents[:-1]]), strict=True):
        with suppress(OSError), os.scandir(folder) as entries:
            yield from (entry.path for entry in entries if entry.name != child.name and not entry.is_symlink())


def restrict(allowed: Sequence[Rule]) -> None:
    """Restrict this process, and all that it will start, to `allowed`: for ever, and beside what restricts it already.

    No TCP, no abstract Unix socket, no signal and no ptrace to a process outside. To be called while the process has a
    single thread. StageError where the kernel refuses.
    """
    attributes = struct.pack("=QQQ", EVERY_FILE_ACCESS, BIND_TCP | CONNECT_TCP, ABSTRACT_SOCKETS | SIGNALS)
    ruleset = _checked(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    try:
        for rule in allowed:
            _add(ruleset, rule)
        if _libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0):
            raise StageError("the stage can't be confined: prctl refuses no_new_privs")
        _checked(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    _entered[:] = allowed


def hide(path: Path) -> None:
    """Deny this process, and all that it will start, the folder `path`.

    For a process that runs the model in a stage that reads the labels. Nothing happens where Landlock is missing.
    """
    if available():
        hidden = path.resolve()
        # The folders that contain it can't be listed any more in a domain that has been entered.
        everything = _entered or [Rule(each, EVERY_FILE_ACCESS) for each in beside(hidden)]
        restrict([rule for rule in everything if not Path(rule.path).resolve().is_relative_to(hidden)])


def _add(ruleset: int, rule: Rule) -> None:
    """A path that is not there, or not to be opened, has no rule: it stays out of reach."""
    try:
        place = os.open(rule.path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        access = rule.access if Path(rule.path).is_dir() else rule.access & OF_A_FILE
        attributes = struct.pack("=Qi", access, place)
        _checked(ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(PATH_BENEATH), attributes, ctypes.c_uint32(0))
    finally:
        os.close(place)


def _checked(number: int, *arguments: object) -> int:
    answer = int(_libc.syscall(number, *arguments))
    if answer < 0:
        raise StageError(f"the stage can't be confined: Landlock says {os.strerror(ctypes.get_errno())}")
    return answer
