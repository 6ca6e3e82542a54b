"""What Copier prints after a copy names only what applies."""

from pathlib import Path
from typing import Any

import copier
import pytest

from .conftest import git


def message(
    template: Path, folder: Path, capsys: pytest.CaptureFixture[str], **answers: Any
) -> list[str]:
    """The lines that a copy prints."""
    copier.run_copy(str(template), folder, data={"apis": []} | answers, defaults=True)
    return capsys.readouterr().err.splitlines()


def test_commands_after_a_copy_leave_nothing_uncommitted(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = message(template, tmp_path / "shop", capsys, dependencies=["redis"])

    start = lines.index("Next:") + 2
    assert [line.split("    ")[0].strip() for line in lines[start : start + 4]] == [
        f"cd {tmp_path / 'shop'}",
        "git init",
        'uv run pytest -m ""',
        'git add --all && git commit --message "Begin"',
    ]
    text = "\n".join(lines)
    for part in ("Docker is optional", "tests/README.md", "--ask dependencies", "example=no"):
        assert part in text
    assert "move .github" not in text


def test_copy_into_a_repository_says_where_ci_belongs_and_begins_no_other(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet")

    lines = message(
        template, tmp_path / "services" / "shop", capsys, dependencies=[], example=False
    )

    text = "\n".join(lines)
    assert "git init" not in text
    assert "move .github/workflows/tests.yml there" in text
    assert "Docker" not in text
    assert "example=no" not in text


def test_copy_into_the_root_of_a_repository_leaves_ci_where_it_is(
    template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet")

    text = "\n".join(message(template, tmp_path, capsys, dependencies=[]))

    assert "git init" not in text
    assert "move .github" not in text
