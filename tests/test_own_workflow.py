"""The workflow of this repository: linters accept it, and it runs what the README says."""

import os
import re
from typing import Any

import pytest
import yaml

from .test_ci import PINNED, assert_actionlint_accepts, assert_linters_accept
from .variants import TEMPLATE

PATH = TEMPLATE / ".github" / "workflows" / "ci.yml"


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    document: dict[Any, Any] = yaml.safe_load(PATH.read_text())
    return document


def test_linters_accept_the_workflow() -> None:
    assert_linters_accept(PATH, "github")


def test_actionlint_accepts_the_workflow() -> None:
    assert_actionlint_accepts(PATH)


def test_main_and_pull_requests_run_it(workflow: dict[Any, Any]) -> None:
    # YAML 1.1 reads the key `on` as a boolean.
    assert workflow[True] == {"push": {"branches": ["main"]}, "pull_request": None}


def test_job_may_read_the_code_and_nothing_else(workflow: dict[Any, Any]) -> None:
    assert workflow["permissions"] == {}
    assert "secrets" not in PATH.read_text()
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        assert job["steps"][0]["with"]["persist-credentials"] is False
        assert "environment" not in job
        assert 0 < job["timeout-minutes"] <= 180


def test_actions_are_the_commits_that_the_rendered_workflow_uses() -> None:
    folder = TEMPLATE / "template" / "ci" / "github"
    rendered = "".join(path.read_text() for path in folder.rglob("*.yml"))

    used = re.findall(r"uses: (.*)", PATH.read_text())

    assert used and all(re.fullmatch(PINNED, each) for each in used)
    assert set(used) <= set(re.findall(r"uses: (.*)", rendered))


def test_it_runs_the_command_of_the_readme_and_has_all_tags(workflow: dict[Any, Any]) -> None:
    (command,) = (
        step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step
    )

    readme = (TEMPLATE / "README.md").read_text()
    (program,) = re.findall(r"^\$ (\S+) .*needs root", readme, re.MULTILINE)
    assert os.access(TEMPLATE / program, os.X_OK)
    # As root, with the programs of the runner.
    assert command == f'sudo env "PATH=$PATH" {program}'
    (job,) = workflow["jobs"].values()
    assert job["steps"][0]["with"]["fetch-depth"] == 0


def test_last_check_is_the_test_command_of_the_readme_with_all_tests() -> None:
    readme = (TEMPLATE / "README.md").read_text()
    (command,) = re.findall(r"^\$ (\S+) .*every variant", readme, re.MULTILINE)

    # The last line, so that its exit code is that of the run.
    assert (TEMPLATE / ".ci" / "run").read_text().splitlines()[-1] == command
    assert os.access(TEMPLATE / command, os.X_OK)
