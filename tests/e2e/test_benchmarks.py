"""Every benchmark on its smallest size: it ends, and its tables are whole. What they say of time is not looked at."""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

import pytest
from conftest import docker_lack

from benchmarks import PARTS, speed
from benchmarks.peer_catalog import PEERS
from benchmarks.recipes import SMALL
from shared.artifacts.store import ROOT

MODULES = {
    path.stem: path.read_text()
    for path in sorted((ROOT / "benchmarks").glob("*.py"))
    if '__name__ == "__main__"' in path.read_text()
}
LONG = ("large",)  # two models through every recipe and `explain`, even when small: `make test-long`
BENCHMARKS = [name for name in MODULES if not any(name in parts for parts in PARTS.values())]
WRONG = {"", "nan", "inf", "died", "None"}

Table = list[list[str]]


@cache
def small(name: str) -> "subprocess.CompletedProcess[str]":
    """The benchmark's smallest size; in containers where it can choose, and Docker is there."""
    engine = ["--engine", "venv" if docker_lack() else "docker"] if 'add_argument("--engine"' in MODULES[name] else []
    command = [sys.executable, "-m", f"benchmarks.{name}", "--small", *engine]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def tables(text: str) -> Iterator[Table]:
    """The Markdown tables in `text`, each as the cells of its lines."""
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        yield [
            [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
            for line in block.splitlines()
        ]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in LONG else ()) for name in BENCHMARKS]
)
def test_a_benchmark_ends_with_whole_tables(name: str) -> None:
    done = small(name)
    assert done.returncode == 0, done.stdout + done.stderr
    printed = list(tables(done.stdout))
    assert printed, done.stdout
    for heading, rule, *rows in printed:
        assert all(re.fullmatch(r":?-{3,}:?", cell) for cell in rule), rule
        assert rows, heading
        assert {len(line) for line in (rule, *rows)} == {len(heading)}
        assert not [row for row in rows if WRONG.intersection(row)]


def first_column(table: Table) -> list[str]:
    return [row[0] for row in table[2:]]


def test_both_ways_make_the_same_rows_with_the_same_answers() -> None:
    rows, times, whole, memory = tables(small("speed").stdout)
    by_name = {row[0]: row[1:] for row in rows[2:]}
    recipes = {f"{image}.{name}" for image, name in speed.SMALL.items()}
    assert set(by_name) == {"keras.fp32", "onnx.fp32", "torch.fp32"} | recipes
    assert all(set(cells) == {"equal"} for name, cells in by_name.items() if not name.startswith("onnx.u8s8"))
    assert first_column(times) == ["1", "median", "least"]
    assert first_column(whole) == ["venv" if docker_lack() else "docker"]
    assert first_column(memory) == ["keras", "onnx", "torch"]
    assert docker_lack() or not any("–" in row for row in memory)


def test_each_recipe_has_its_cost() -> None:
    [table] = tables(small("recipes").stdout)
    assert first_column(table) == [f"`{image}.{name}`" for image, name in SMALL.items()]


def test_each_peer_has_a_row_beside_ours() -> None:
    table = next(tables(small("peers").stdout))
    tools = first_column(table)
    assert tools[:2] == ["exported", "onnx.fp32"]
    assert tools[3:] == [peer.package for peer in PEERS]
    assert all(re.fullmatch(r"\d+\.\d\d%", row[3]) for row in table[2:5])


def test_8_bits_are_evaluated_with_and_without_outliers() -> None:
    [table] = tables(small("ordinary").stdout)
    assert first_column(table) == ["float", "all", "scores up to 20", "scores up to 10", "scores up to 5"]


def test_each_image_is_decoded_once_and_every_stage_is_weighed() -> None:
    done = small("streams")
    [table] = tables(done.stdout)
    assert {row[0] for row in table[2:]} == {"keras", "onnx", "torch"}
    assert "each image decoded once" in done.stdout


def test_what_can_be_run_is_a_benchmark_or_a_part_of_one() -> None:
    parts = [name for names in PARTS.values() for name in names]
    assert set(PARTS) <= set(BENCHMARKS)
    assert set(parts) <= set(MODULES) and len(set(parts)) == len(parts)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_says_how_it_is_run(name: str) -> None:
    docstring = MODULES[name].split('"""')[1]
    assert f"`python -m benchmarks.{name}" in docstring
    assert "`--small`" in docstring
    assert f"python -m benchmarks.{name}" in (ROOT / "benchmarks" / "README.md").read_text()
