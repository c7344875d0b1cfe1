"""The example workflow: what it runs is there, what it shows is written, and it works in a fork."""

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

TEXT = (ROOT / ".github" / "workflows" / "compare.yml").read_text()
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


@pytest.mark.parametrize("name", RUNS)
def test_bash_can_read_the_step(name: str) -> None:
    done = subprocess.run(["bash", "-n"], input=RUNS[name], text=True, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_run_of_the_driver_is_one_that_its_parser_knows() -> None:
    assert [command.split()[0] for command in COMMANDS] == ["doctor", "fetch", "run"]
    fetch, run = arguments(COMMANDS[1]), arguments(COMMANDS[2])
    assert (fetch.experiment, fetch.sample) == (run.experiment, run.sample) == ("$EXPERIMENT", True)
    assert run.engine == "docker"


def test_each_make_target_is_there() -> None:
    targets = re.findall(r"^make (.+)$", "\n".join(RUNS.values()), re.MULTILINE)
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


def test_a_step_that_fails_midway_is_seen() -> None:
    assert WORKFLOW["defaults"]["run"]["shell"] == "bash", "the runner's own default has no pipefail"


def test_the_comment_is_left_out_where_the_token_may_only_read() -> None:
    step = STEPS["comment on the pull request"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in step["if"]
    assert step["continue-on-error"] is True
    assert [name for name, run in RUNS.items() if re.search(r"\bgh ", run)] == ["comment on the pull request"]
    assert WORKFLOW["permissions"] == {"contents": "read", "pull-requests": "write"}


def test_nothing_is_meant_for_one_repository_alone() -> None:
    assert "secrets." not in TEXT
    assert JOB["runs-on"] == "ubuntu-latest"
    assert {step["uses"].split("/")[0] for step in JOB["steps"] if "uses" in step} == {"actions", "docker"}
    assert not re.search(r"github\.repository(_owner)? *[!=]= *'", TEXT)
    assert "pull_request_target" not in TRIGGERS, "it would run a fork's code with a token that may write"


def test_every_action_is_pinned_to_a_commit_with_its_release_beside_it() -> None:
    assert len(re.findall(r"uses: \S+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$", TEXT, re.MULTILINE)) == TEXT.count("uses: ")


def test_no_expression_stands_in_a_script() -> None:
    """A pull request's title or branch could end the command and begin another."""
    assert not [name for name, run in RUNS.items() if "${{" in run]


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
