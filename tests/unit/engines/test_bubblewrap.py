"""The arguments of the venv engine's sandbox: which folders, in which order, which variables, which system calls."""

import errno
import struct
from pathlib import Path

import pytest

from driver.engines import bubblewrap, seccomp
from driver.engines.bubblewrap import Trial
from shared.artifacts import locks
from shared.artifacts.store import ROOT
from shared.contract import Plan
from shared.errors import CrossquantError

LOCATIONS = {"input.model": "inputs/models/mine", "dataset": "mine/keras/dataset"}
PLAN = Plan(2, "mine", 1, 1, ("keras",), "", LOCATIONS, (), False)


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch, volumes: Path) -> list[str]:  # noqa: ARG001 - the fixture
    monkeypatch.setattr(bubblewrap, "list_python_folders", lambda _: [Path("/somewhere/python/lib")])
    return bubblewrap.list_view_arguments(PLAN, "keras", ROOT / ".venvs" / "keras")


def mounts(arguments: list[str], option: str) -> list[str]:
    """Where things are mounted by this option of two arguments."""
    return [arguments[place + 2] for place, word in enumerate(arguments) if word == option]


def test_one_folder_can_be_written(view: list[str], volumes: Path) -> None:
    own = volumes.resolve() / "mine" / "keras"
    assert mounts(view, "--bind") == [str(own)]
    assert own.is_dir()
    assert not {"--dev-bind", "--dev-bind-try", "--bind-try"} & set(view)


def test_what_is_seen_of_the_host(view: list[str], volumes: Path) -> None:
    """The code of this image alone, its environment, the inputs that the plan names, and the system."""
    seen = set(mounts(view, "--ro-bind-try"))
    volume = volumes.resolve()
    own = {"shared", "images/keras", ".venvs/keras"}
    wanted = {*(str(ROOT / name) for name in own), str(volume / "mine"), str(volume / "inputs/models/mine")}
    assert wanted | {"/somewhere/python/lib"} <= seen
    system = set(bubblewrap.SYSTEM) | set(bubblewrap.SETTINGS) | set(bubblewrap.HARDWARE) | {str(bubblewrap.ARM64)}
    assert seen - wanted - {"/somewhere/python/lib"} <= system
    assert not seen & {"/", "/home", "/root", "/run", "/var", "/etc", "/tmp", str(ROOT), str(volume)}


def test_the_sandboxs_own_tmp_lies_below_the_volume_which_may_be_in_tmp(view: list[str], volumes: Path) -> None:
    """Later mounts lie over earlier ones: the other way round the volume would be empty, and written to nowhere."""
    folder, own = view.index("/tmp"), view.index(str(volumes.resolve() / "mine" / "keras"))
    assert view[folder - 1] == "--tmpfs"
    assert folder < view.index(str(volumes.resolve() / "mine")) < own
    assert own < view.index("--remount-ro"), "folders are made up to the end"


def test_a_volume_of_a_relative_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSQUANT_VOLUMES", "here")
    assert bubblewrap.make_variables(PLAN)["CROSSQUANT_VOLUMES"] == str(tmp_path / "here")


def test_an_own_folder_that_can_not_be_made(volumes: Path) -> None:
    (volumes / "mine").touch()
    with pytest.raises(CrossquantError, match=r"mine/keras can't be made: "):
        bubblewrap.make_own_folder(PLAN, "keras")


def test_a_runner_knows_what_changes_numbers_and_no_secret(monkeypatch: pytest.MonkeyPatch, volumes: Path) -> None:
    for name in bubblewrap.os.environ:
        monkeypatch.delenv(name)
    numbers = {"OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell", "LC_ALL": "C", "MKL_CBWR": "COMPATIBLE"}
    secrets = {"PIP_INDEX_URL": "https://me:secret@example.org", "AWS_SECRET_ACCESS_KEY": "s", "DOCKER_HOST": "unix://"}
    foreign = {"HOME": "/home/me", "PATH": "/home/me/bin", "PYTHONPATH": "/home/me", "LD_PRELOAD": "/home/me/x.so"}
    own = {"CROSSQUANT_VOLUMES": str(volumes), "EXPERIMENT": "another", "TMPDIR": "/home/me/tmp"}
    for name, value in {**numbers, **secrets, **foreign, **own}.items():
        monkeypatch.setenv(name, value)
    fixed = {"EXPERIMENT": "mine", "PROGRESS": "json", "CROSSQUANT_VOLUMES": str(volumes.resolve())}
    fixed["CROSSQUANT_HOLDER"] = f"the driver, {locks.describe_self()}"
    assert bubblewrap.make_variables(PLAN) == numbers | bubblewrap.FIXED | fixed


@pytest.mark.parametrize(
    ("setting", "value", "fix"),
    [
        ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
        ("user/max_user_namespaces", "31000", ""),
    ],
)
def test_what_allows_user_namespaces(tmp_path: Path, setting: str, value: str, fix: str) -> None:
    (tmp_path / setting).parent.mkdir()
    (tmp_path / setting).write_text(f"{value}\n")
    assert bubblewrap.find_remedy(tmp_path) == fix


def test_without_bubblewrap_its_installation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda _: None)
    assert bubblewrap.try_sandbox.__wrapped__() == Trial((), "bubblewrap is not on this host", "apt install bubblewrap")


def test_older_namespaces_are_tried_and_the_last_refusal_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap.shutil, "which", lambda _: "/bin/bwrap")
    monkeypatch.setattr(bubblewrap, "find_remedy", lambda: "sysctl")
    monkeypatch.setattr(
        bubblewrap, "find_refusal", lambda command, _: "" if "--disable-userns" not in command else "old"
    )
    assert bubblewrap.try_sandbox.__wrapped__().command[:2] == ("/bin/bwrap", "--unshare-all")
    monkeypatch.setattr(bubblewrap, "find_refusal", lambda *_: "bwrap: no")
    assert bubblewrap.try_sandbox.__wrapped__() == Trial(
        (), "bubblewrap does not work on this host (bwrap: no)", "sysctl"
    )


def test_the_last_line_is_printable_and_short() -> None:
    assert bubblewrap.read_last_line("first\nbwrap: \x1b[2Jno\n") == "bwrap: ?[2Jno"
    assert bubblewrap.read_last_line("") == ""
    assert len(bubblewrap.read_last_line("x" * 1000)) == bubblewrap.LONGEST


# The filter of system calls


def answer(machine: str, audit: int, number: int, argument: int = 0) -> int:
    """What the kernel would do with a system call: this is how it reads the filter."""
    lines = list(struct.iter_unpack("=HBBI", seccomp.program(machine)))
    data = {seccomp.NUMBER: number, seccomp.ARCHITECTURE: audit, seccomp.FIRST_ARGUMENT: argument}
    place = value = 0
    while True:
        code, yes, no, operand = lines[place]
        place += 1
        if code == seccomp.RETURN:
            return operand
        if code == seccomp.LOAD:
            value = data[operand]
        else:
            place += yes if (value == operand if code == seccomp.EQUAL else value >= operand) else no


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_which_system_calls_are_refused(machine: str) -> None:
    own = seccomp.ARCHITECTURES[machine]
    assert len(own.calls) == len(seccomp.REFUSED)
    for number in range(600):
        if number == own.socket:
            continue
        refused = seccomp.ERROR | errno.EPERM if number in own.calls else seccomp.ALLOW
        assert answer(machine, own.audit, number) == refused, number
    for family in range(50):
        allowed = seccomp.ALLOW if family in seccomp.FAMILIES else seccomp.ERROR | errno.EAFNOSUPPORT
        assert answer(machine, own.audit, own.socket, family) == allowed, family
    assert answer(machine, own.audit, seccomp.X32 | own.socket, 40) == seccomp.ERROR | errno.ENOSYS
    assert answer(machine, 0x40000003, 1) == seccomp.ERROR | errno.ENOSYS, "a 32-bit call has other numbers"


def test_a_machine_whose_calls_are_not_known_has_no_filter() -> None:
    assert seccomp.program("riscv64") == b""
