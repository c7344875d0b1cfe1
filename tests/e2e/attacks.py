"""What a hostile model, or a hostile data file, might try on the host that runs it. A test puts `TARGETS` before this
text, a dictionary, and runs it as the user's code: it prints one line that starts with MARK, and has what became of
each attempt. Nothing here does any harm but to what the test has laid out.
"""

import ctypes
import errno
import json
import os
import signal
import socket
import sys
from pathlib import Path

TARGETS = globals().get("TARGETS", {})  # the test's line before this one
MARK = "ATTACKS "
LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH, NEWUSER = 16, 0x10000000
HYPERVISOR = 2  # of virtual sockets
CALLS = {"keyctl": 250, "io_uring_setup": 425, "perf_event_open": 298}  # on x86-64


def unix(address):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(address)


def tcp(address):
    socket.create_connection(tuple(address), timeout=5).close()


def vsock(port):
    with socket.socket(socket.AF_VSOCK) as client:
        client.settimeout(5)
        client.connect((HYPERVISOR, port))


def called(name):
    """A system call that must not be answered at all: its arguments are wrong."""
    LIBC.syscall(CALLS[name], -1, 0, 0, 0, 0)
    if ctypes.get_errno() in (errno.EPERM, errno.ENOSYS):
        checked(-1)


def udp(address):
    """Sending is not refused: whether it arrives, the test sees at the other end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"attack", tuple(address))


def read(path):
    return Path(path).read_bytes()


def listed(path):
    return os.listdir(path)


def appended(path):
    with Path(path).open("ab") as file:
        file.write(b"attack")


def planted(path):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("raise SystemExit('attack')")


def removed(path):
    Path(path).unlink()


def renamed(path):
    Path(path).rename(path + ".away")


def opened_up(path):
    Path(path).chmod(0o777)


def signalled(pid):
    os.kill(pid, signal.SIGTERM)


def memory(pid):
    Path(f"/proc/{pid}/mem").open("rb").close()


def environ(pid):
    return Path(f"/proc/{pid}/environ").read_bytes()


def traced(pid):
    checked(LIBC.ptrace(PTRACE_ATTACH, pid, None, None))


def namespace(_):
    checked(LIBC.unshare(NEWUSER))


def mounted(path):
    checked(LIBC.mount(b"none", str(path).encode(), b"tmpfs", 0, None))


def checked(result):
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


ATTEMPTS = {
    "connect": unix,
    "tcp": tcp,
    "vsock": vsock,
    "call": called,
    "read": read,
    "list": listed,
    "append": appended,
    "plant": planted,
    "remove": removed,
    "rename": renamed,
    "chmod": opened_up,
    "signal": signalled,
    "memory": memory,
    "environ": environ,
    "trace": traced,
    "namespace": namespace,
    "mount": mounted,
}


def tried(kind, target):
    """ "done", or why not."""
    try:
        ATTEMPTS[kind](target)
    except OSError as error:
        return f"refused: {error.strerror or error}"
    return "done"


def seen():
    """What is there without trying anything: whatever can be read of any process, descriptors, variables, networks."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    environments = b""
    for pid in pids:
        try:
            environments += environ(pid)
        except OSError:
            continue
    return {
        "pids": pids,
        "secrets": TARGETS["secret"].encode() in environments or TARGETS["secret"] in os.environ.values(),
        "variables": sorted(os.environ),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "descriptors": sorted({descriptor(number) for number in os.listdir("/proc/self/fd")}),
        "uid": os.getuid(),
        "privileges": [line for line in read("/proc/self/status").decode().splitlines() if line.startswith("Cap")],
    }


def descriptor(number):
    try:
        return str(Path(f"/proc/self/fd/{number}").readlink())
    except OSError:
        return ""


def attack():
    """Try everything, most harmful last."""
    result = {"seen": seen(), "parent": tried("environ", os.getppid())}
    result["outcomes"] = {f"{kind} {target}": tried(kind, target) for kind, target in TARGETS["attempts"]}
    udp(TARGETS["udp"])
    sys.stdout.flush()
    os.write(1, (MARK + json.dumps(result) + "\n").encode())


if TARGETS:
    attack()
