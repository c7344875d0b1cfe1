"""The sandbox of the venv engine: bubblewrap shows the runner of an image what its stages need, and nothing else.

Inside there is no network, no process of the host, none of its sockets, and no home. Files are read-only but for the
image's own folder of artifacts and a `/tmp` in memory. docs/security.md says what that holds off, and what it doesn't.
"""

import json
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from itertools import chain
from pathlib import Path

from driver.engines import seccomp
from shared.artifacts import locks
from shared.artifacts.store import ROOT, volumes
from shared.contract import Plan
from shared.emulation.cpus import ARM64
from shared.errors import CrossquantError

PROGRAM = "bwrap"
INSTALL = "apt install bubblewrap"
SECONDS = 20  # for a trial, which takes some milliseconds
LONGEST = 300  # characters of what a program said

# The first of these that works here: bubblewrap before 0.8 can't forbid further user namespaces, and one that is setuid
# root, on a kernel that allows them to nobody else, makes none itself.
NAMESPACES = (("--unshare-all", "--unshare-user", "--disable-userns"), ("--unshare-all",))
LOCKED = ("--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "crossquant")

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")  # programs, libraries, a compiler's headers
SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives")
HARDWARE = ("/sys/devices/system/cpu", "/sys/devices/system/node")  # thread pools are made after them
MASKED = (  # files of /proc that root may read without any privilege
    *("kcore", "keys", "kpagecgroup", "kpagecount", "kpageflags", "latency_stats", "sched_debug", "slabinfo"),
    *("timer_list", "vmallocinfo"),
)
PYTHON_FOLDERS = ("bin", "include", "lib", "lib64")

LOCALE = ("LANG", "LANGUAGE", "LC_*", "TZ")
# What a user sets to pin how numbers are computed, and where: which instructions, which threads, which order.
NUMERICS = (
    *("OMP_*", "GOMP_*", "KMP_*", "MKL_*", "OPENBLAS_*", "BLIS_*", "DNNL_*", "ONEDNN_*", "GLIBC_TUNABLES"),
    *("NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "ATEN_CPU_CAPABILITY", "PYTHONHASHSEED"),
    *("TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS"),
)
LIBRARIES = ("LD_LIBRARY_PATH",)  # without it some Pythons don't start
PASSED = (*LOCALE, *NUMERICS, *LIBRARIES)
FIXED = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp"}

QUIETLY = ("/bin/sh", "-c", 'exec "$@" 2>/dev/null', "sh")  # what bubblewrap itself says goes to its own stderr
BASE = "import sys; print(sys.base_prefix, sys.base_exec_prefix, sys._base_executable, sep='\\n')"


@dataclass(frozen=True)
class Trial:
    """`command` is bubblewrap with the namespaces that it can make here; empty where it can make none.

    Then `lack` says why not, and `fix` is the command that helps, "" where there is none.
    """

    command: tuple[str, ...]
    lack: str = ""
    fix: str = ""


@cache
def try_sandbox() -> Trial:
    """Try bubblewrap with all that a sandbox needs: that it is there says nothing on a host without user namespaces."""
    program = shutil.which(PROGRAM)
    if program is None:
        return Trial((), "bubblewrap is not on this host", INSTALL)
    refused = ""
    for namespaces in NAMESPACES:
        command = (program, *namespaces, *LOCKED)
        refused = find_refusal([*command, *list_system_arguments(), *list_closing_arguments()], ["/bin/sh", "-c", ":"])
        if not refused:
            return Trial(command)
    return Trial((), f"bubblewrap does not work on this host ({refused})", find_remedy())


def find_refusal(command: Sequence[str], program: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Why `program` fails in bubblewrap's `command`, in their own words; "" where it doesn't."""
    with seccomp.open_filters() as filters:
        try:
            done = subprocess.run(
                [*command, *list_filter_arguments(filters), *program],
                env=environment,
                pass_fds=filters,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=SECONDS,
                check=False,
            )
        except OSError as error:
            return f"{command[0]}: {error.strerror}"
        except subprocess.TimeoutExpired:
            return f"no answer in {SECONDS} s"
    return (read_last_line(done.stderr) or f"exit code {done.returncode}") if done.returncode else ""


def list_filter_arguments(filters: Sequence[int]) -> Iterator[str]:
    """The arguments for a filter of system calls that lies in a file descriptor."""
    for descriptor in filters:
        yield from ("--seccomp", str(descriptor))


def read_last_line(text: str) -> str:
    """The last line of a program's output, without control characters."""
    line = (text.strip().splitlines() or [""])[-1]
    return "".join(char if char.isprintable() else "?" for char in line[:LONGEST])


def find_remedy(proc: Path = Path("/proc/sys")) -> str:
    """The command that allows bubblewrap the user namespaces that it needs; "" where nothing forbids them here."""
    for name, bad, good in (
        ("kernel/unprivileged_userns_clone", "0", "1"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
        ("user/max_user_namespaces", "0", "15000"),
    ):
        path = proc / name
        if path.exists() and path.read_text().strip() == bad:
            return f"sysctl -w {name.replace('/', '.')}={good}"
    return ""


def select_variables(given: Mapping[str, str]) -> dict[str, str]:
    """The variables of the driver's environment that a runner may know."""
    return {name: value for name, value in given.items() if any(fnmatchcase(name, pattern) for pattern in PASSED)}


@dataclass(frozen=True)
class Sandbox:
    """`command` is bubblewrap with all its arguments for one image, `variables` the environment inside."""

    command: tuple[str, ...]
    variables: dict[str, str]

    @contextmanager
    def run(self, program: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
        """Run `program` in the sandbox: stdout is a pipe; stderr has bubblewrap's messages only.

        However the block is left, all that ran in the sandbox has ended then: it ends with its first process.
        """
        reading, writing = os.pipe()
        with os.fdopen(reading) as status:  # open to the end: bubblewrap writes the exit code too
            try:
                process = self._start(program, writing)
            finally:
                os.close(writing)
            first = None
            with process:  # closes its pipes
                try:
                    first = open_first_process(status.readline())
                    yield process
                finally:
                    end(process, first)

    def _start(self, program: Sequence[str], status: int) -> "subprocess.Popen[str]":
        with seccomp.open_filters() as filters:
            return subprocess.Popen(
                [*self.command, *list_filter_arguments(filters), "--json-status-fd", str(status), *QUIETLY, *program],
                env=self.variables,
                pass_fds=[status, *filters],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C comes to the driver alone, which then stops the runner
            )

    def find_refusal(self, program: Sequence[str]) -> str:
        """Why `program` does not run in this sandbox, "" where it does."""
        return find_refusal(self.command, program, self.variables)


def make_sandbox(of: Trial, plan: Plan, image: str, environment: Path) -> Sandbox:
    """The sandbox for the stages of one image, whose virtual environment is `environment`."""
    return Sandbox((*of.command, *list_view_arguments(plan, image, environment)), make_variables(plan))


def make_variables(plan: Plan) -> dict[str, str]:
    """The environment of a runner: its own variables, and those of the driver that change how numbers are computed."""
    own = {"EXPERIMENT": plan.experiment, "PROGRESS": "json", "CROSSQUANT_VOLUMES": str(volumes().resolve())}
    holder = {locks.HOLDER: f"the driver, {locks.describe_self()}"}
    return {**select_variables(os.environ), **FIXED, **own, **holder}


def list_view_arguments(plan: Plan, image: str, environment: Path) -> list[str]:
    """The arguments that build what the runner sees. Later ones lie over earlier ones."""
    own = make_own_folder(plan, image)
    code = (ROOT / "shared", ROOT / "images" / image)
    inputs = {name: volumes().resolve() / place for name, place in plan.locations.items() if name.startswith("input.")}
    return [
        *list_system_arguments(),
        *list_readable(*list_python_folders(environment), environment, *code),
        *list_readable(own.parent, *inputs.values()),
        *("--bind", str(own), str(own)),
        *list_closing_arguments(),
        *("--chdir", str(ROOT)),
    ]


def make_own_folder(plan: Plan, image: str) -> Path:
    """The one folder that the image's stages may write. CrossquantError where it can't be made."""
    own = volumes().resolve() / plan.experiment / image
    try:
        own.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CrossquantError(f"{own} can't be made: {error.strerror}") from None
    return own


def list_system_arguments() -> list[str]:
    """The arguments for what every program needs: the system's programs and libraries, devices, an empty `/tmp`."""
    there = [Path(name) for name in SYSTEM if Path(name).exists()]
    links = [("--symlink", str(path.readlink()), str(path)) for path in there if path.is_symlink()]
    masks = [("--ro-bind", "/dev/null", f"/proc/{name}") for name in MASKED if Path("/proc", name).exists()]
    return [
        *list_readable(*(path for path in there if not path.is_symlink())),
        *chain.from_iterable(links),
        *list_readable(*SETTINGS, *HARDWARE, ARM64),
        *("--proc", "/proc"),
        *chain.from_iterable(masks),
        *("--dev", "/dev", "--tmpfs", "/dev/shm", "--tmpfs", "/tmp"),
    ]


def list_closing_arguments() -> list[str]:
    """The last arguments: the folders in between, which bubblewrap makes, are read-only too."""
    return ["--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/"]


def list_readable(*paths: str | Path) -> Iterator[str]:
    """The arguments that mount each existing path of `paths` read-only in its place."""
    for path in paths:
        yield from ("--ro-bind-try", str(path), str(path))


@cache
def list_python_folders(environment: Path) -> tuple[Path, ...]:
    """The folders of the Python that the virtual environment was made from, without the system's.

    The folders that Python reads, and not all of its prefix: that may be somebody's home.
    """
    done = subprocess.run(
        [environment / "bin" / "python", "-I", "-S", "-c", BASE], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CrossquantError(f"{environment} has no Python that runs: delete it and run again")
    *prefixes, executable = map(Path, done.stdout.splitlines())
    prefixes += [executable.parents[1], executable.resolve().parents[1]]
    folders = [prefix / name for prefix in dict.fromkeys(prefixes) for name in PYTHON_FOLDERS]
    return tuple(path for path in folders if path.is_dir() and not any(path.is_relative_to(name) for name in SYSTEM))


def open_first_process(status: str) -> int | None:
    """A descriptor of the first process in the sandbox, by bubblewrap's status line; None where it started none."""
    with suppress(ValueError, OSError):
        return os.pidfd_open(json.loads(status)["child-pid"])
    return None


def end(process: "subprocess.Popen[str]", first: int | None) -> None:
    """End the sandbox by force, and wait until nothing of it is left: the driver clears away what was half-written."""
    if first is not None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(first, signal.SIGKILL)
        select.select([first], [], [])  # the kernel lets a first process end after all others of its namespace
        os.close(first)
    process.kill()
    process.wait()
