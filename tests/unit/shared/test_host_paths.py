"""Paths in messages of containers: those of the host."""

from pathlib import Path

import pytest

from shared import errors, host_paths
from shared.contract import Plan, read
from shared.errors import CrossquantError
from shared.host_paths import on_host
from shared.runner import forks

LOG = Path("/app/volumes/mine/keras/logs/keras.fp32.log")


@pytest.fixture
def in_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(host_paths.VARIABLE, "/home/me/crossquant/volumes")


@pytest.mark.usefixtures("in_container")
@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/app/volumes/mine/plan.json", "/home/me/crossquant/volumes/mine/plan.json"),
        ("/app/volumes", "/home/me/crossquant/volumes"),
        ("/app/volumes2/plan.json", "/app/volumes2/plan.json"),
        ("/tmp/x", "/tmp/x"),
    ],
)
def test_a_path_on_the_volume_is_that_of_the_host(path: str, shown: str):
    assert str(on_host(path)) == shown


def test_outside_of_a_container_a_path_is_itself():
    assert on_host(LOG) == LOG


@pytest.mark.usefixtures("in_container")
def test_messages_name_what_the_user_finds():
    assert forks.describe(KeyError("x"), LOG) == (
        "KeyError: 'x' (see /home/me/crossquant/volumes/mine/keras/logs/keras.fp32.log)"
    )
    refused = PermissionError(13, "Permission denied", str(LOG.parent))
    assert errors.explain(refused).startswith("/home/me/crossquant/volumes/mine/keras/logs: Permission denied")
    with pytest.raises(CrossquantError, match=r"^/home/me/crossquant/volumes/mine/plan.json is missing: "):
        read(Plan, Path("/app/volumes/mine/plan.json"))
