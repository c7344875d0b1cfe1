"""How an optional image's Compose file extends the chain: its folder is prepared, and nothing is timed beside it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from driver.catalog import declarations
from shared.artifacts.store import ROOT

OPTIONAL = [name for name in declarations.list_optional() if (ROOT / f"images/{name}/compose.yaml").exists()]

per_image = pytest.mark.parametrize("image", OPTIONAL)


def services(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())["services"]


def own(image: str) -> dict[str, Any]:
    return services(ROOT / f"images/{image}/compose.yaml")


def test_every_optional_image_has_a_compose_file() -> None:
    assert tuple(OPTIONAL) == declarations.list_optional()


@per_image
def test_its_folder_is_given_to_the_user_and_to_no_other(image: str) -> None:
    ours, theirs = own(image)[f"prepare-{image}"], services(ROOT / "compose.yaml")["prepare"]
    free = {"build", "command", "depends_on"}
    assert {key: value for key, value in ours.items() if key not in free} == {
        key: value for key, value in theirs.items() if key not in free
    }
    assert ours["command"] == [theirs["command"][1] + f"/{image}"]


@per_image
def test_it_waits_for_its_folder_and_the_comparison_for_it(image: str) -> None:
    mine = own(image)
    assert f"prepare-{image}" in {*mine["fetch"].get("depends_on", ()), *mine[image]["depends_on"]}
    assert image in mine["compare"]["depends_on"]


def test_the_comparison_can_write_to_no_evidence() -> None:
    """Its service mounts the experiment's folder, in which it renames, and each image's folder read-only upon that."""
    folder = "${EXPERIMENT:-resnet8-cifar10}"
    for image in declarations.load(declarations.list_optional()):
        path = f"images/{image}/compose.yaml" if image in OPTIONAL else "compose.yaml"
        mounts = services(ROOT / path)["compare"]["volumes"]
        assert f"${{CROSSQUANT_VOLUMES:-./volumes}}/{folder}/{image}:/app/volumes/{folder}/{image}:ro" in mounts


def test_no_two_images_are_timed_at_once() -> None:
    """With all optional images together the services are a chain: each stage's image waits for another one's end."""
    chain: dict[str, set[str]] = {}
    for path in (ROOT / "compose.yaml", *(ROOT / f"images/{image}/compose.yaml" for image in OPTIONAL)):
        for name, service in services(path).items():
            chain.setdefault(name, set()).update(service.get("depends_on", {}))
    images = [name for name in chain if re.fullmatch(r"[a-z0-9]+", name) and (ROOT / "images" / name).is_dir()]
    before = {name: len(ancestors(name, chain).intersection(images)) for name in images}
    assert sorted(before.values()) == list(range(len(images))), before


def ancestors(name: str, chain: dict[str, set[str]]) -> set[str]:
    direct = chain[name]
    return direct.union(*(ancestors(other, chain) for other in direct))
