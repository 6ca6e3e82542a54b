"""What Copier prints after a copy names only what applies."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import copier
import pytest

from .conftest import commit, git

pytestmark = pytest.mark.suite

ROLES = ("AUTHOR", "COMMITTER")


def message(
    template: Path, folder: Path, capsys: pytest.CaptureFixture[str], **answers: Any
) -> list[str]:
    """The lines that a copy prints."""
    copier.run_copy(str(template), folder, data={"apis": []} | answers, defaults=True)
    return capsys.readouterr().err.splitlines()


def commands(lines: list[str]) -> list[str]:
    """The commands to run next."""
    start = lines.index("Next:") + 2
    return [line.strip() for line in lines[start : lines.index("", start)]]


def test_commands_after_a_copy_leave_nothing_uncommitted(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = message(template, tmp_path / "my shop", capsys, dependencies=["redis"])

    assert commands(lines) == [
        f"cd '{tmp_path / 'my shop'}'",
        "git init",
        'uv run pytest -m ""',
        'git add --all && git commit --message "Begin"',
    ]
    # uv writes its file at the first run.
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text("#!/bin/sh\ntouch uv.lock\n")
    uv.chmod(0o755)
    identity = [f"GIT_{role}_{key}=t@example.com" for role in ROLES for key in ("NAME", "EMAIL")]
    path = f"PATH={uv.parent}:{os.environ['PATH']}"
    script = "\n".join(commands(lines))
    subprocess.run(["env", path, *identity, "sh", "-ec", script], check=True, capture_output=True)
    assert git(tmp_path / "my shop", "status", "--porcelain") == ""
    assert git(tmp_path / "my shop", "ls-files", "uv.lock") == "uv.lock\n"
    text = "\n".join(lines)
    for part in ("Docker is optional", "tests/README.md", "--ask dependencies", "example=no"):
        assert part in text
    assert "Move this one" not in text


def test_copy_into_a_repository_says_where_ci_belongs_and_begins_no_other(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet")

    lines = message(
        template, tmp_path / "services" / "shop", capsys, dependencies=[], example=False
    )

    text = "\n".join(lines)
    assert "git init" not in text
    assert "root folder of the repository: move .github/workflows/tests.yml there." in text
    assert "It runs its commands in services/shop." in lines
    assert "Docker" not in text
    assert "example=no" not in text


def test_copy_into_the_root_of_a_repository_leaves_ci_where_it_is(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet")

    text = "\n".join(message(template, tmp_path, capsys, dependencies=[]))

    assert "git init" not in text
    assert "Move this one" not in text


def test_example_goes_as_the_message_says(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "shop"
    answers = {"dependencies": ["postgres"], "apis": ["rest", "grpc"], "external_apis": []}
    lines = message(template, folder, capsys, **answers)
    (own_files,) = [line.strip() for line in lines if line.startswith("  own_files:")]
    (command,) = [line for line in lines if "-d example=no" in line]
    git(folder, "init", "--quiet")
    recorded = folder / ".copier-answers.yml"
    answered = recorded.read_text().replace("own_files: []", own_files)
    assert own_files in answered
    recorded.write_text(answered)
    commit(folder, "own")
    code = [name for name in git(folder, "ls-files").splitlines() if not name.startswith("tests/")]

    run = [sys.executable, "-m", *command.removeprefix("  uvx ").split()]
    subprocess.run(run, cwd=folder, check=True, capture_output=True)

    assert all((folder / name).exists() for name in code)
    assert not (folder / "tests/fixtures/shop.py").exists()


def test_update_says_what_came_and_went_and_which_edits_are_in_git(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "mono"
    folder = root / "shop"
    message(template, folder, capsys, dependencies=["redis"], external_apis=[])
    git(root, "init", "--quiet")
    commit(root, "rendered")
    edited = "tests/fixtures/redis.py"
    (folder / edited).write_text((folder / edited).read_text() + "\nMINE = 1\n")
    commit(root, "edited by me")

    data = {"dependencies": ["kafka"]}
    copier.run_update(folder, data=data, defaults=True, overwrite=True)

    lines = capsys.readouterr().err.splitlines()
    assert "  tests/fixtures/kafka.py" in lines
    assert f"  git restore {edited}" in lines
    assert "  git rm src/shop/adapters/redis.py" in lines
    assert "  git diff --name-only --diff-filter=U" in lines
    assert '  uv run pytest -m ""' in lines
    assert not any("release changed" in line for line in lines)
    (log,) = [line for line in lines if line.startswith("  git log")]
    found = subprocess.run(
        ["sh", "-c", log], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    )
    assert found.stdout.splitlines()[0].endswith("edited by me")
    assert found.stdout.splitlines()[1:] == [f"shop/{edited}"]
    commit(root, "updated")

    copier.run_update(folder, defaults=True, overwrite=True)

    text = capsys.readouterr().err
    for word in ("Added", "Deleted", "No longer used", "release changed"):
        assert word not in text


def test_update_of_an_existing_repository_names_its_own_way_to_run_tests(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'app'\nversion = '1'\n")
    text = "\n".join(message(template, tmp_path, capsys, dependencies=["redis"]))
    assert "\n  pytest tests/integration\n" in text
    assert "uv run" not in text
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "rendered")

    copier.run_update(tmp_path, data={"dependencies": []}, defaults=True, overwrite=True)

    assert "  pytest tests/integration" in capsys.readouterr().err.splitlines()
