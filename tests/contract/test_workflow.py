"""The workflows: every file that they run or show exists, and they work in a fork."""

import re
import shlex
import subprocess
from typing import Any

import comparisons
import pytest
import yaml

from driver.cli.main import make_parser
from driver.comparison import publication
from shared.artifacts.store import ROOT

TEXTS = {path.stem: path.read_text() for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
EVERY_STEP = [
    pytest.param(step, id=f"{name}: {step.get('name', step.get('uses'))}")
    for name, text in TEXTS.items()
    for job in yaml.safe_load(text)["jobs"].values()
    for step in job["steps"]
]
EVERY_RUN = [pytest.param(each.values[0]["run"], id=each.id) for each in EVERY_STEP if "run" in each.values[0]]
TEXT = TEXTS["compare"]
WORKFLOW = yaml.safe_load(TEXT)
TRIGGERS = WORKFLOW[True]  # YAML 1.1 reads `on` as true
JOB = WORKFLOW["jobs"]["compare"]
STEPS = {step.get("name", step.get("uses")): step for step in JOB["steps"]}
RUNS = {name: step["run"] for name, step in STEPS.items() if "run" in step}
AFTER = JOB["steps"][list(STEPS).index("compare") + 1 :]
COMMANDS = re.findall(r"^\./crossquant (.+)$", "\n".join(RUNS.values()), re.MULTILINE)


def arguments(command: str) -> Any:
    """As the driver's own parser reads them, with each `${NAME:+--option}` given."""
    return make_parser().parse_args(shlex.split(re.sub(r"\$\{\w+:\+([^}]+)\}", r"\1", command)))


def uploaded() -> list[str]:
    return [line for step in AFTER if "upload" in step.get("uses", "") for line in step["with"]["path"].split()]


@pytest.mark.parametrize("script", EVERY_RUN)
def test_bash_can_read_the_step(script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, text=True, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_run_of_the_driver_is_one_that_its_parser_knows() -> None:
    assert [command.split()[0] for command in COMMANDS] == ["doctor", "fetch", "run"]
    fetch, run = arguments(COMMANDS[1]), arguments(COMMANDS[2])
    assert (fetch.experiment, fetch.sample) == (run.experiment, run.sample) == ("$EXPERIMENT", True)
    assert run.engine == "docker"


def test_the_checks_and_the_unit_tests_are_run() -> None:
    runs = [step["run"] for step in yaml.safe_load(TEXTS["check"])["jobs"]["check"]["steps"] if "run" in step]
    assert runs == ["make check", "make unit"]


@pytest.mark.parametrize("name", TEXTS)
def test_each_make_target_is_there(name: str) -> None:
    scripts = [step.get("run", "") for job in yaml.safe_load(TEXTS[name])["jobs"].values() for step in job["steps"]]
    targets = re.findall(r"^make (.+)$", "\n".join(scripts), re.MULTILINE)
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_experiment_it_offers_is_there() -> None:
    offered = TRIGGERS["workflow_dispatch"]["inputs"]["experiment"]["default"]
    assert (ROOT / "driver" / "experiment" / "builtin" / f"{offered}.yaml").exists()
    assert f"'{offered}'" in WORKFLOW["env"]["EXPERIMENT"]


def test_what_it_shows_and_uploads_is_what_the_driver_writes(volumes, tmp_path) -> None:
    folder = volumes.rename(tmp_path / "volumes") / "mine" / "comparison"
    publication.publish(folder, comparisons.files(comparisons.comparison()))
    shown = re.findall(r"(?:cat |hashFiles\(')(volumes/\S+?\.md)", yaml.safe_dump(AFTER, width=1000))
    assert len(shown) == 4, "two steps, each with its condition"
    junit = arguments(COMMANDS[2]).junit
    for pattern in [*shown, *(path for path in uploaded() if path != junit)]:
        assert len(list(tmp_path.glob(pattern))) == 1, pattern
    assert junit in uploaded()


def test_a_gate_that_fails_ends_the_job_and_still_shows_all() -> None:
    assert "||" not in RUNS["compare"]
    assert "continue-on-error" not in STEPS["compare"]
    assert len(AFTER) == 3
    assert all(step["if"].startswith("always()") for step in AFTER)


@pytest.mark.parametrize("name", TEXTS)
def test_a_step_that_fails_midway_is_seen(name: str) -> None:
    assert yaml.safe_load(TEXTS[name])["defaults"]["run"]["shell"] == "bash", "the runner's own default has no pipefail"


def test_the_comment_is_left_out_where_the_token_may_only_read() -> None:
    step = STEPS["comment on the pull request"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in step["if"]
    assert step["continue-on-error"] is True
    assert [name for name, run in RUNS.items() if re.search(r"\bgh ", run)] == ["comment on the pull request"]
    assert WORKFLOW["permissions"] == {"contents": "read", "pull-requests": "write"}


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_is_meant_for_one_repository_alone(name: str) -> None:
    text, workflow = TEXTS[name], yaml.safe_load(TEXTS[name])
    (job,) = workflow["jobs"].values()
    assert "secrets." not in text
    assert job["runs-on"] == "ubuntu-latest"
    assert {step["uses"].split("/")[0] for step in job["steps"] if "uses" in step} <= {"actions", "docker"}
    assert not re.search(r"github\.repository(_owner)? *[!=]= *'", text)
    assert "pull_request_target" not in workflow[True], "it would run a fork's code with a token that may write"


def test_only_the_comment_needs_to_write() -> None:
    assert {name: yaml.safe_load(text)["permissions"] for name, text in TEXTS.items()} == {
        "check": {"contents": "read"},
        "compare": {"contents": "read", "pull-requests": "write"},
    }


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_action_is_pinned_to_a_commit_with_its_release_beside_it(text: str) -> None:
    assert len(re.findall(r"uses: \S+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$", text, re.MULTILINE)) == text.count("uses: ")


def test_the_workflows_use_the_same_release_of_an_action() -> None:
    pins: dict[str, set[str]] = {}
    for action, commit in re.findall(r"uses: (\S+)@(\S+)", "\n".join(TEXTS.values())):
        pins.setdefault(action, set()).add(commit)
    assert [action for action, commits in pins.items() if len(commits) > 1] == []


@pytest.mark.parametrize("script", EVERY_RUN)
def test_no_expression_stands_in_a_script(script: str) -> None:
    """A pull request's title or branch could end the command and begin another."""
    assert "${{" not in script


def test_each_image_that_compose_builds_has_a_cache_of_its_own() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    build = STEPS["build the images, with the cache of the last run"]["with"]
    assert sorted(build["set"].split()) == sorted(
        line
        for name, service in services.items()
        if "build" in service
        for line in (
            f"{name}.cache-from=type=gha,scope={name}",
            f"{name}.cache-to=type=gha,scope={name},mode=max,ignore-error=true",
        )
    )
    assert build["source"] == ".", "the action's own clone has no .env"
