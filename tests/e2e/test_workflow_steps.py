"""The example workflow's scripts, word for word, as GitHub's runner starts them, in a copy of this checkout.

Left out are the steps that `uses` an action: they need GitHub (checkout, Python, caches, upload). The images are those
that are built here, the environment is the one that runs this test, and `gh` writes down what it is asked for.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from conftest import DEFAULT, Done

from shared.artifacts.store import ROOT

pytestmark = pytest.mark.docker

WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "compare.yml").read_text())
STEPS = [step for step in WORKFLOW["jobs"]["compare"]["steps"] if "run" in step]
SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]  # what `shell: bash` means to the runner
GH = """#!/bin/sh
echo "$*" >> "$GH_CALLS"
case "$*" in *--paginate*) echo "$EARLIER_COMMENT" ;; esac
"""


@dataclass(frozen=True)
class Job:
    """What the steps that ran said, and what they wrote on the run's page; what `gh` was asked for."""

    done: dict[str, Done]
    summaries: dict[str, str]
    calls: list[str]

    def codes(self) -> list[int]:
        return [done.exit_code for done in self.done.values()]


@dataclass(frozen=True)
class Runner:
    checkout: Path
    experiment: Path

    def job(self, *names: str, **environment: str) -> Job:
        """The steps so named, else all: after one that fails only those that are to run always."""
        calls = self.checkout.parent / "calls"
        calls.write_text("")
        job = Job({}, {}, [])
        for step in STEPS:
            alive = not any(job.codes()) or "always()" in step.get("if", "")
            if alive and (not names or step["name"] in names):
                job.done[step["name"]], job.summaries[step["name"]] = self.step(step["run"], environment)
        return Job(job.done, job.summaries, calls.read_text().splitlines())

    def step(self, script: str, environment: dict[str, str]) -> tuple[Done, str]:
        """Its outcome, and its summary."""
        aside = self.checkout.parent
        files = {name: aside / name for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH")}
        for path in files.values():
            path.write_text("")
        (aside / "script.sh").write_text(script)
        command = [*SHELL, str(aside / "script.sh")]
        variables = self.variables() | {name: str(path) for name, path in files.items()} | environment
        done = subprocess.run(command, cwd=self.checkout, env=variables, check=False, capture_output=True, text=True)
        return Done(done.returncode, done.stdout, done.stderr), files["GITHUB_STEP_SUMMARY"].read_text()

    def variables(self) -> dict[str, str]:
        """This host's, without what would lead out of the copy or have it gather what a build needs."""
        kept = {key: value for key, value in os.environ.items() if key not in ("CROSSQUANT_VOLUMES", "PIP_FIND_LINKS")}
        path = f"{self.checkout.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
        gh = {"GH_CALLS": str(self.checkout.parent / "calls"), "GITHUB_REPOSITORY": "someone/fork", "NUMBER": "7"}
        return kept | gh | {"CI": "true", "PATH": path, "EXPERIMENT": str(self.experiment), "SAMPLE": "1"}

    def change(self, edit: Callable[[dict[str, Any]], object]) -> None:
        content = yaml.safe_load(self.experiment.read_text())
        edit(content)
        self.experiment.write_text(yaml.safe_dump(content))

    def page(self, name: str) -> Path:
        return self.checkout / "volumes" / "short" / "comparison" / name


def copy_checkout(to: Path) -> None:
    """All that git has or would take: the images were built from what is not committed yet, too."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    (to / ".venv").symlink_to(sys.prefix)


def shorten(content: dict[str, Any]) -> None:
    """One recipe, and timings that say nothing: this is about the workflow."""
    content["name"] = "short"
    content["recipes"] = {"onnx": {"u8s8": {"activation": "uint8", "weight": "int8", "per_channel": True}}}
    del content["targets"], content["recommended"]
    content["latency"] = {"passes": 1, "rounds": 1, "calls": 2}


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    folder = tmp_path_factory.mktemp("workflow")
    copy_checkout(folder / "checkout")
    (folder / "bin").mkdir()
    (folder / "bin" / "gh").write_text(GH)
    (folder / "bin" / "gh").chmod(0o755)
    shutil.copyfile(DEFAULT, folder / "short.yaml")
    workflow = Runner(folder / "checkout", folder / "short.yaml")
    workflow.change(shorten)
    return workflow


@pytest.fixture(scope="module")
def job(runner: Runner) -> Job:
    """The whole of it, on the embedded sample."""
    return runner.job()


def test_every_step_succeeds(job: Job) -> None:
    assert list(job.done) == [step["name"] for step in STEPS]
    assert job.codes() == [0] * len(STEPS), job.done


def test_the_summary_is_the_comparison(job: Job) -> None:
    text = job.summaries["show it on the run's page"]
    assert text.startswith("# short: 2,000 test images of cifar10")
    assert "| `onnx.u8s8` |" in text
    assert text.splitlines()[-1].startswith("torch: "), "to the last line, which has the versions"


def test_the_first_comment_is_a_new_one(job: Job) -> None:
    comments = "repos/someone/fork/issues/7/comments"
    first, second = job.calls
    assert first.startswith(f"api --paginate {comments} ")
    assert second == f"api --silent {comments} --field body=@comment.md"


def test_the_next_comment_takes_its_place(runner: Runner, job: Job) -> None:
    assert job.codes() == [0] * len(STEPS)
    again = runner.job("comment on the pull request", EARLIER_COMMENT="42")
    assert again.codes() == [0]
    change = "api --silent --method PATCH repos/someone/fork/issues/comments/42 --field body=@comment.md"
    assert again.calls[1:] == [change]
    body = (runner.checkout / "comment.md").read_text()
    assert body == f"<!-- crossquant -->\n{runner.page('comparison.md').read_text()}"


def test_a_gate_that_fails_fails_its_step_alone_and_the_page_is_there(runner: Runner, job: Job) -> None:
    assert job.codes() == [0] * len(STEPS)
    runner.change(lambda content: content["gates"]["float"]["accuracy"].update(min=0.999))
    runner.page("comparison.html").unlink()
    strict = runner.job()
    assert strict.codes() == [0, 0, 1, 0, 0]
    assert strict.done["compare"].made() == [], "nothing but the gate has changed"
    assert "gate fails: keras.fp32 has accuracy" in strict.done["compare"].stdout
    assert "**gate fails**: keras.fp32 has accuracy" in strict.summaries["show it on the run's page"]
    assert runner.page("comparison.html").stat().st_size > 0
    assert ElementTree.parse(runner.checkout / "gates.xml").getroot().get("failures") == "3"


def test_an_experiment_that_is_not_there_ends_the_job_before_it_begins(runner: Runner) -> None:
    ended = runner.job("fetch what is not there", "compare", EXPERIMENT="missing")
    assert ended.codes() == [2]
