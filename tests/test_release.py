"""A release has one version, and takes nothing from those who update."""

from pathlib import Path

import pytest

from .conftest import VERSION, git, release
from .releases import (
    broken_promises,
    disagreements,
    last_release,
    release_answers,
    rendered,
)
from .variants import TEMPLATE, all_example_files, apis, dependencies

MIGRATION = "template/project/src/migrations/versions/0001_shop.py"
SMALL = {
    "copier.yml": """\
_subdirectory: template/project
_answers_file: .copier-answers.yml
ci: {type: str, choices: [github, none], default: none}
dependencies: {type: str, multiselect: true, choices: [echo], default: []}
example: {type: bool, default: true}
""",
    "template/dependencies/echo/dependency.yml": "name: echo\n",
    "template/ci/github/ci.yml": "name: github\n",
    "template/project/{{ _copier_conf.answers_file }}.jinja": "{{ _copier_answers | to_json }}\n",
    "template/project/{% if 'echo' in dependencies %}echo.py{% endif %}": "",
    "template/project/{% if ci == 'github' %}ci.yml{% endif %}": "",
    "template/project/{% if not example %}bare.py{% endif %}": "",
    MIGRATION: "revision = 1\n",
    "pyproject.toml": '[project]\nname = "small"\nversion = "1.0.0"\n',
    "CHANGELOG.md": "# Changes\n\n## 1.0.0\n\n- All of it.\n\n## 0.9.0\n",
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A template of a few files, released as 1.0.0."""
    target = tmp_path / "small"
    for name, text in SMALL.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text)
    git(target.parent, "init", "--quiet", "--initial-branch", "main", str(target))
    release(target, "v1.0.0")
    return target


def test_version_is_the_same_everywhere() -> None:
    assert disagreements(TEMPLATE) == []


def test_update_from_the_last_release_loses_nothing(template: Path) -> None:
    tag = last_release(TEMPLATE)

    assert tag is None or broken_promises(TEMPLATE, tag, template) == []


def test_answers_of_a_release_render_every_path(template: Path, tmp_path: Path) -> None:
    paths: set[str] = set()
    for number, answers in enumerate(release_answers(template, VERSION)):
        paths |= rendered(template, VERSION, tmp_path / str(number) / "shop", answers).keys()

    for facts in [*dependencies().values(), *apis().values()]:
        listed = [*facts["files"], *all_example_files(facts), *facts.get("asgi_files", [])]
        listed += [facts["first_test"]] if "first_test" in facts else []
        assert {path.replace("src/package/", "src/shop/") for path in listed} <= paths
    assert any(path.startswith(".github/") for path in paths) and ".gitlab-ci.yml" in paths


def test_other_versions_are_told(small: Path) -> None:
    assert disagreements(small) == []

    (small / "CHANGELOG.md").write_text("# Changes\n\n## Unreleased\n\n## 1.0.0\n")
    git(small, "tag", "v1.0.1")

    assert disagreements(small) == [
        "pyproject.toml has 1.0.0, and CHANGELOG.md begins with Unreleased",
        "pyproject.toml has 1.0.0, and HEAD is tagged v1.0.1",
    ]


def test_last_release_is_the_highest_version_that_came_before(small: Path) -> None:
    assert last_release(small) is None

    git(small, "tag", "v1.0.0rc1")
    git(small, "tag", "vendored")
    release(small, "v1.10.0")
    release(small, "v1.9.1")
    assert last_release(small) == "v1.10.0"

    git(small, "checkout", "--quiet", "-b", "old", "v1.0.0")
    release(small, "v1.0.1")
    assert last_release(small) == "v1.0.0"


def test_release_that_only_adds_keeps_its_promises(small: Path) -> None:
    (small / "template/project/new.py").touch()
    with (small / "copier.yml").open("a") as file:
        file.write("more: {type: str, default: ''}\n")
    release(small, "v1.1.0")

    assert broken_promises(small, "v1.0.0", small) == []


@pytest.mark.parametrize("path", [MIGRATION, *(name for name in SMALL if "{% if" in name)])
def test_path_that_is_gone_is_told_whatever_the_answers(small: Path, path: str) -> None:
    (small / path).rename(small / "template/project/moved.py")
    release(small, "v1.1.0")

    (problem,) = broken_promises(small, "v1.0.0", small)

    assert problem.endswith(" of v1.0.0 is not rendered any more")
    assert Path(problem.partition(" ")[0]).name in path


def test_changed_migration_is_told(small: Path) -> None:
    (small / MIGRATION).write_text("revision = 2\n")
    release(small, "v1.1.0")

    assert broken_promises(small, "v1.0.0", small) == [
        "src/migrations/versions/0001_shop.py of v1.0.0 was changed: a migration may have run"
    ]


def test_question_that_is_gone_is_told(small: Path) -> None:
    questions = small / "copier.yml"
    questions.write_text(questions.read_text().replace("example:", "sample:"))
    (small / "template/project/{% if not example %}bare.py{% endif %}").rename(
        small / "template/project/{% if not sample %}bare.py{% endif %}"
    )
    release(small, "v1.1.0")

    assert "the question example of v1.0.0 is gone" in broken_promises(small, "v1.0.0", small)
