"""Damage on the volume after a run: no command prints a figure that it can't vouch for."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Driver, Finish, Finished

NAMES = ("comparison.json", "comparison.html", "comparison.md", "comparison.csv", "changed.csv")
Damage = Callable[[Path], object]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def edit(path: Path) -> None:
    """Another accuracy, in JSON that is still sound."""
    data = json.loads(path.read_text())
    data["variants"][3]["metrics"][0]["value"] = 0.9999
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def copy_run(finished: Finished, tmp_path: Path) -> Driver:
    """A driver on a copy of the finished run's volume."""
    shutil.copytree(finished.driver.volumes, tmp_path / "volumes")
    return Driver(tmp_path / "volumes", finished.driver.engine)


def comparison_of(driver: Driver) -> Path:
    return driver.volumes / "resnet8-cifar10" / "comparison"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


DAMAGES: tuple[tuple[str, Damage], ...] = (
    ("comparison.json", edit),
    ("comparison.html", flip),
    ("comparison.md", Path.unlink),
    ("manifest.json", cut),
)


@pytest.mark.parametrize(
    ("engine", "command"),
    [("venv", ["report"]), pytest.param("docker", ["run", "--sample", "--engine", "docker"], marks=pytest.mark.docker)],
)
def test_a_damaged_comparison_is_reported_and_made_anew(
    finish: Finish, tmp_path: Path, engine: str, command: list[str]
) -> None:
    driver, arguments = copy_run(finish(engine), tmp_path), command
    folder, first = comparison_of(driver), driver(*arguments)
    whole = contents(folder)
    for name, damage in DAMAGES:
        damage(folder / name)
        done = driver(*arguments)
        assert done.exit_code == 0, done.stderr
        reports = [
            line for line in done.stdout.splitlines() if line.startswith("the comparison was damaged: made anew")
        ]
        assert len(reports) == 1 and name in reports[0], done.stdout
        assert "99.99" not in done.stdout
        assert done.stdout.replace(reports[0] + "\n", "") == first.stdout
        assert contents(folder) == whole, name
    assert driver(*arguments).stdout == first.stdout


def test_diff_refuses_a_damaged_comparison(finish: Finish, tmp_path: Path) -> None:
    driver = finish("venv").driver
    copy = tmp_path / "yesterday"
    shutil.copytree(driver.volumes / "resnet8-cifar10", copy)
    assert driver("diff", str(copy), "resnet8-cifar10").exit_code == 0
    for name in (*NAMES, "manifest.json"):
        whole = (copy / "comparison" / name).read_bytes()
        (cut if name == "manifest.json" else flip)(copy / "comparison" / name)
        for pair in ((str(copy), "resnet8-cifar10"), ("resnet8-cifar10", str(copy))):
            done = driver("diff", *pair)
            assert (done.exit_code, done.stdout) == (2, "")
            assert done.stderr.startswith(f"error: {copy}/comparison/{name} ")
            assert len(done.stderr.splitlines()) == 1
        (copy / "comparison" / name).write_bytes(whole)
    assert driver("diff", str(copy), "resnet8-cifar10").exit_code == 0


@pytest.mark.parametrize(
    "file", ["onnx/predictions.onnx.int8/output_0.npy", "keras/labels/labels.npy", "keras/dataset/artifact.json"]
)
def test_diff_refuses_altered_evidence(finish: Finish, tmp_path: Path, file: str) -> None:
    driver = finish("venv").driver
    copy = tmp_path / "yesterday"
    shutil.copytree(driver.volumes / "resnet8-cifar10", copy)
    flip(copy / file)
    done = driver("diff", str(copy), "resnet8-cifar10")
    assert (done.exit_code, done.stdout) == (2, "")
    assert (copy / file).parent.name in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_two_reports_and_a_run_at_once(finish: Finish, tmp_path: Path) -> None:
    driver = copy_run(finish("venv"), tmp_path)
    flip(comparison_of(driver) / "comparison.json")
    reports = [driver.start_command("report") for _ in range(2)]
    run = driver.start()
    for process in (*reports, run):
        stdout, stderr = process.communicate()
        assert process.returncode == 0, stderr
        assert re.search(r"^All \d+ gates hold\.$", stdout, re.MULTILINE)
    done = driver("report")
    assert "damaged" not in done.stdout
    assert {path.name for path in comparison_of(driver).iterdir()} == {*NAMES, "manifest.json"}
    assert driver.leftovers() == []


def test_an_input_that_is_damaged_on_the_volume_is_fetched_again(finish: Finish, tmp_path: Path) -> None:
    driver = copy_run(finish("venv"), tmp_path)
    (model,) = (driver.volumes / "inputs" / "models" / "resnet8-cifar10").glob("*.keras")
    whole = model.read_bytes()
    flip(model)
    done = driver.run("keras.fp32")
    assert done.exit_code == 0, done.stderr
    assert "damaged on the volume: input.model; fetching it again" in done.stdout
    assert model.read_bytes() == whole
    assert done.made() == [], "it is what it was"
    flip(driver.volumes / "inputs" / "cifar10-sample" / "x_test_0.npy")
    assert driver.run("keras.fp32").made() == []
