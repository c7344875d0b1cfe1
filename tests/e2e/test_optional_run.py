"""The optional images in the default comparison: they are there where they are built, and where not it goes without.

The tests' environment says 0 for each of them (`tests/conftest.py`), so that other tests don't depend on what this host
has; an empty variable is one that isn't set.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from composing import Compose
from conftest import DEFAULT, Done, Driver, docker_lack

from driver.catalog import declarations
from driver.engines import available_images
from driver.host import probes

pytestmark = pytest.mark.docker

IMAGES = declarations.list_optional()
NAMES = {f"{image}.{name}" for image in IMAGES for name in ("fp32", "int8")}
FILES = ("compose.yaml", *(f"images/{image}/compose.yaml" for image in IMAGES))
QUICK = {"passes": 1, "rounds": 1, "calls": 5}
UNSET = {available_images.PREFIX + image.upper(): "" for image in IMAGES}


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """All Compose files together. An image that is built for these tests would be in all later runs of the user's."""
    compose = Compose(tmp_path_factory.mktemp("optional"), FILES)
    client = probes.connect()
    assert client is not None, docker_lack()
    lacking = [image for image in IMAGES if not probes.has_image(client, f"crossquant-{image}")]
    if lacking:
        built = compose("build", *lacking)
        assert built.exit_code == 0, built.stderr
    yield compose
    compose("down")
    for image in lacking:
        client.images.remove(f"crossquant-{image}")


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The default experiment with its recipes, with few timings and on this CPU alone."""
    content = yaml.safe_load(DEFAULT.read_text())
    content = {key: value for key, value in content.items() if key not in ("targets", "recommended")}
    path = tmp_path_factory.mktemp("experiment") / "default.yaml"
    path.write_text(yaml.safe_dump(content | {"latency": QUICK}, sort_keys=False))
    return str(path)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    return Driver(tmp_path_factory.mktemp("volume"), "docker")


@pytest.fixture(scope="module")
def done(compose: Compose, driver: Driver, chosen: str) -> Done:  # noqa: ARG001 - the images are built
    return driver.run("--experiment", chosen, **UNSET)


def check_rows(driver: Driver, names: set[str], experiment: str = "resnet8-cifar10") -> None:
    """These have answers and timings, and the float ones answer as the reference does."""
    rows = driver.rows(experiment)
    assert {name: rows[name]["reason"] for name in names if rows[name]["status"] != "ok"} == {}
    assert {rows[name]["agreement"] for name in names if rows[name]["recipe"] == "fp32"} == {1.0}
    assert all(rows[name]["latency_ms"] for name in names)


def test_what_is_built_is_in_the_default_comparison(driver: Driver, done: Done) -> None:
    assert done.exit_code == 0, done.stdout + done.stderr
    check_rows(driver, NAMES)


def test_without_them_no_step_is_theirs_and_the_others_are_as_they_were(
    driver: Driver, done: Done, chosen: str
) -> None:
    assert done.exit_code == 0
    again = driver.run("--experiment", chosen)
    assert (again.exit_code, again.made()) == (0, [])
    assert not NAMES & driver.rows().keys()
    listed = driver("list", "--experiment", chosen).stdout.split()
    assert {"predictions.torch.x86", "torch"} <= set(listed)
    assert not {*IMAGES, *NAMES}.intersection(listed)


def test_with_their_compose_files_up_has_their_rows_too(compose: Compose, chosen: str) -> None:
    """Their images take part by what the files say to `fetch`: no recipe names them."""
    content = yaml.safe_load(Path(chosen).read_text()) | {"name": "composed", "recipes": {}}
    inputs = compose.driver.volumes / "inputs"
    inputs.mkdir()
    (inputs / "composed.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    up = compose("up", "--no-color", "--no-log-prefix", "--abort-on-container-failure", EXPERIMENT="composed")
    assert up.exit_code == 0, up.stdout + up.stderr
    check_rows(compose.driver, {f"{image}.fp32" for image in IMAGES}, "composed")
