"""A filter of system calls for the sandbox: what no namespace holds off.

Virtual sockets lead to the hypervisor whatever the network namespace is, the session's keyring comes along into a new
user namespace, and io_uring does both past this filter. The rest of the list is what Docker refuses by default too.
"""

import errno
import os
import platform
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

REFUSED = ("add_key", "request_key", "keyctl", "io_uring_setup", "bpf", "perf_event_open", "userfaultfd")
FAMILIES = (1, 2, 10, 16)  # of sockets: Unix, IPv4, IPv6, netlink
X32 = 0x40000000  # in a call's number: another ABI of x86-64, with numbers of its own

# Of <linux/seccomp.h> and <linux/bpf_common.h>
ALLOW, ERROR = 0x7FFF0000, 0x00050000
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data


@dataclass(frozen=True)
class Architecture:
    """`audit` is the kernel's number of the architecture, `calls` the numbers of REFUSED, in that order."""

    audit: int
    calls: tuple[int, ...]
    socket: int


ARCHITECTURES = {
    "x86_64": Architecture(0xC000003E, (248, 249, 250, 425, 321, 298, 323), 41),
    "aarch64": Architecture(0xC00000B7, (217, 218, 219, 425, 280, 241, 282), 198),
}


def program(machine: str) -> bytes:
    """The filter as the kernel reads it; empty for a machine whose system calls aren't listed here."""
    own = ARCHITECTURES.get(machine)
    if own is None:
        return b""
    lines = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, own.audit),
        refuse(errno.ENOSYS),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        refuse(errno.ENOSYS),
    ]
    for call in own.calls:
        lines += [(EQUAL, 0, 1, call), refuse(errno.EPERM)]
    lines += [(EQUAL, 0, len(FAMILIES) + 2, own.socket), (LOAD, 0, 0, FIRST_ARGUMENT)]
    lines += [(EQUAL, len(FAMILIES) - place, 0, family) for place, family in enumerate(FAMILIES)]
    lines += [refuse(errno.EAFNOSUPPORT), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def refuse(error: int) -> tuple[int, int, int, int]:
    return RETURN, 0, 0, ERROR | error


@contextmanager
def open_filters() -> Iterator[Sequence[int]]:
    """A file descriptor of the filter for this machine; none where there is none."""
    content = program(platform.machine())
    if not content:
        yield ()
        return
    descriptor = os.memfd_create("seccomp")
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield (descriptor,)
    finally:
        os.close(descriptor)
