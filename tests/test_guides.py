"""The recipes of the rendered guides do what they say: each is read from the guide and followed."""

import ast
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Installed, Render, commit, git
from .service import Outcome, Service
from .variants import EVERYTHING, variants

DEFAULT = variants()[-1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(
    r"# (\S+), (?:after (?P<after>\w+)|(?P<how>below|instead of) `(?P<line>.+)`|new)"
)
Committed = Callable[..., Service]


@pytest.fixture
def committed(render: Render, installed: Installed, tmp_path: Path) -> Committed:
    """Function that renders a service and commits it; it has the packages of all dependencies."""

    def committed(*variant: str) -> Service:
        service = render(tmp_path / "shop", dependencies=list(variant or DEFAULT))
        git(service.path, "init", "--quiet", "--initial-branch", "main")
        (service.path / ".git/info/exclude").write_text(".venv\n")
        (service.path / ".venv").symlink_to(installed(DEFAULT).path / ".venv")
        commit(service.path, "rendered")
        return service

    return committed


def guide(service: Service) -> str:
    return (service.path / "tests" / "README.md").read_text()


def sections(text: str) -> dict[str, str]:
    """The text below each heading, by heading."""
    parts = re.split(r"^#+ (.+)\n", re.sub(BLOCK, hide_comments, text), flags=re.MULTILINE)
    return {name: body.replace("\0", "#") for name, body in zip(parts[1::2], parts[2::2])}


def hide_comments(block: re.Match[str]) -> str:
    return block[0].replace("#", "\0")


def blocks(recipe: str) -> Iterator[tuple[str, str]]:
    """The code blocks of a recipe in their order: language and text."""
    return ((block[1], block[2]) for block in BLOCK.finditer(recipe))


def apply(service: Service, block: str) -> None:
    """Put a block of code where its first line says."""
    first, _, code = block.partition("\n")
    place = PLACE.fullmatch(first)
    assert place, f"this line does not say where the code belongs: {first}"
    path = service.path / place[1]
    if first.endswith(", new"):
        assert not path.exists()
        path.write_text(code)
        return
    lines = path.read_text().splitlines(keepends=True)
    if place["after"]:
        (end,) = [
            each.end_lineno or 0
            for each in ast.walk(ast.parse(path.read_text()))
            if isinstance(each, ast.FunctionDef) and each.name == place["after"]
        ]
        gap = "\n" if code.startswith(" ") else "\n\n"
        lines[end:end] = [gap, code]
    else:
        (number,) = [n for n, line in enumerate(lines) if line.strip() == place["line"]]
        if place["how"] == "below":
            number += 1
        lines[number : number + (place["how"] != "below")] = [code]
    path.write_text("".join(lines))


def follow(service: Service, heading: str) -> list[Outcome]:
    """Do what a recipe says: every block of code and every command, in the order of the text."""
    recipe = sections(guide(service))[heading]
    done = []
    for language, block in blocks(recipe):
        if language == "console":
            for command in re.findall(r"^\$ ((?:.*\\\n)*.*)$", block, re.MULTILINE):
                done.append(run(service, command))
                assert done[-1].code == 0, f"$ {command}\n{done[-1].output}"
        else:
            apply(service, block)
    assert done, f"the recipe has no commands: {heading}"
    return done


def run(service: Service, command: str) -> Outcome:
    """Run a command of the guide in the environment of the service, without a container engine."""
    own = service.path / ".venv"
    identity = {
        f"GIT_{who}_{what}": "tester@example.com"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    environment = {
        **identity,
        "PATH": f"{own / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DOCKER_HOST": "unix:///nowhere",
        # `uv add` writes pyproject.toml and installs nothing.
        "UV_FROZEN": "1",
        # Services of one worker share what mypy has read.
        "MYPY_CACHE_DIR": str(service.path.parents[1] / "mypy"),
    }
    script = re.sub(r"^uvx ", "", command)
    return service.run("bash", "-e", "-c", script, env=environment)


def assert_tidy(service: Service, *more: str) -> None:
    """The code is formatted, and the linter accepts it, as do other commands."""
    for command in ("ruff format --check .", "ruff check .", *more):
        done = run(service, command)
        assert done.code == 0, done.output


def passed(done: list[Outcome]) -> list[int]:
    """How many tests each run of pytest among the commands passed."""
    for each in done:
        assert each.count("failed") == each.count("error") == 0, each.output
        assert "INTERNALERROR" not in each.output
    return [each.count("passed") for each in done if each.count("passed")]


def test_recipe_for_a_migration(committed: Committed) -> None:
    service = committed("postgres")

    done = follow(service, "Add a migration")

    assert len(passed(done)) == 1
    (added,) = git(service.path, "ls-files", "--others", "--exclude-standard").splitlines()
    assert added.startswith("src/shop/adapters/postgres/migrations/versions/")
    text = (service.path / added).read_text()
    assert (
        'op.add_column("orders", sa.Column("note", sa.String(length=200), nullable=True))' in text
    )
    assert_tidy(service)
    assert service.leftovers() == []


def test_models_without_their_migration_fail_with_the_reason(committed: Committed) -> None:
    service = committed("postgres")
    models = service.path / "src/shop/adapters/postgres/models.py"
    table = 'class NoteRow(Base):\n    __tablename__ = "notes"\n\n    id: Mapped[int] = mapped_column(primary_key=True)\n'
    models.write_text(f"{models.read_text()}\n\n{table}")

    before = run(service, "pytest tests/integration/database/test_migrations.py")
    done = run(service, 'python -m tests.migration "Add notes"')
    after = run(service, "pytest tests/integration/database/test_migrations.py")

    assert "write the migration: python -m tests.migration" in before.output
    assert done.code == 0, done.output
    assert after.all_passed, after.output


def test_migration_of_unchanged_models_writes_nothing_and_says_so(committed: Committed) -> None:
    service = committed("postgres")

    done = run(service, 'python -m tests.migration "Add a note"')

    assert done.code == 0
    assert done.output.startswith("No migration was written")
    assert 'alembic revision -m "Add a note"' in done.output
    assert git(service.path, "status", "--porcelain") == ""
    assert service.leftovers() == []


def test_migration_without_a_server_fails_with_one_message(committed: Committed) -> None:
    service = committed("postgres")

    done = run(service, 'python -m tests.migration "Add a note" --servers containers')

    assert done.code == 1
    assert done.output.startswith("postgres: --servers=containers finds no PostgreSQL")
    assert "Traceback" not in done.output
    assert service.leftovers() == []


def test_migration_written_by_hand_is_formatted_too(committed: Committed) -> None:
    service = committed("postgres")

    # Without DATABASE_URL, and without the package on the path.
    done = run(service, 'alembic revision -m "Fill the notes"')

    assert done.code == 0, done.output
    assert_tidy(service)


def test_recipe_for_an_endpoint(committed: Committed) -> None:
    service = committed("postgres")

    done = follow(service, "Add an endpoint")

    assert len(passed(done)) == 1
    assert run(service, "pytest tests/integration/api/test_rest_names.py").count("passed") == 2
    assert_tidy(service, "mypy")


def test_recipe_for_a_grpc_method(everything: Service, render: Render, tmp_path: Path) -> None:
    service = render(tmp_path / "shop", **EVERYTHING)
    (service.path / ".venv").symlink_to(everything.path / ".venv")
    generated = service.path / "src/shop/generated/user_pb2.py"
    before = generated.read_text()
    generated.write_text("")

    follow(service, "Add a gRPC method")

    assert generated.read_text() == before


@pytest.mark.parametrize("variant", [("postgres",), ("kafka",)], ids=lambda value: value[0])
def test_recipe_for_an_event(committed: Committed, variant: tuple[str, ...]) -> None:
    service = committed(*variant)

    done = follow(service, "Add an event")

    assert len(passed(done)) == 2
    assert_tidy(service, "mypy")


def test_recipe_for_another_domain(committed: Committed) -> None:
    service = committed("postgres")

    done = follow(service, "Replace the example's domain with yours")

    assert len(passed(done)) == 2
    assert git(service.path, "grep", "-lw", "Product", "--", "src").splitlines()
    versions = service.path / "src/shop/adapters/postgres/migrations/versions"
    assert [path.name[-21:] for path in versions.glob("*.py")] == ["_create_the_tables.py"]
    assert_tidy(service)


@pytest.mark.parametrize("variant", [DEFAULT, ("redis",)], ids=["all", "redis"])
def test_recipe_to_remove_the_example(committed: Committed, variant: tuple[str, ...]) -> None:
    service = committed(*variant)
    code = git(service.path, "ls-files", "src")
    packages = (service.path / "pyproject.toml").read_text().split("[dependency-groups]")[0]

    done = follow(service, "Remove the example")

    assert passed(done)
    assert git(service.path, "ls-files", "src") == code
    assert not (service.path / "tests/fixtures/shop.py").exists()
    project = (service.path / "pyproject.toml").read_text().split("[dependency-groups]")[0]
    assert set(re.findall(r'^    "(.+)",$', packages, re.MULTILINE)) == set(
        re.findall(r'^    "(.+)",$', project, re.MULTILINE)
    )
    assert run(service, "ruff check .").code == 0
    assert service.leftovers() == []


@pytest.mark.parametrize(
    "answers",
    [EVERYTHING, {"dependencies": [], "apis": []}, {"dependencies": ["redis"], "apis": ["grpc"]}],
    ids=["everything", "nothing", "others"],
)
def test_agents_are_told_of_the_recipes_that_are_there(
    render: Render, tmp_path: Path, answers: dict[str, Any]
) -> None:
    service = render(tmp_path / "shop", **answers)

    (named,) = re.findall(
        r"^a feature, .*(?=\.$)", (service.path / "AGENTS.md").read_text(), re.MULTILINE
    )

    recipes = re.findall(r"^### Add (an? [a-z]+)$", guide(service), re.MULTILINE)
    assert sorted(named.split(", ")) == sorted(recipes)


def test_guides_say_what_the_fixtures_of_postgres_do_not_do(installed: Installed) -> None:
    service = installed(("postgres",))

    (line,) = re.findall(r"^\| `postgres_committed` \| .*", guide(service), re.MULTILINE)
    assert all(word in line for word in ("two open sessions", "SERIALIZABLE", "NOTIFY"))
    fixtures = ast.parse((service.path / "tests" / "fixtures" / "postgres.py").read_text())
    limits = (ast.get_docstring(fixtures) or "").partition("No fixture undoes")[2]
    assert all(word in limits for word in ("roles", "ALTER SYSTEM", "undo these itself"))


@pytest.mark.parametrize(
    "answers", [{}, EVERYTHING, {"example": False}], ids=["default", "everything", "bare"]
)
@pytest.mark.parametrize("name", ["README.md", "AGENTS.md", "tests/README.md"])
def test_guides_name_only_what_is_there(
    render: Render, tmp_path: Path, name: str, answers: dict[str, object]
) -> None:
    service = render(tmp_path / "shop", **answers)
    path = service.path / name
    text = path.read_text()

    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    prose = BLOCK.sub("code", text)
    mentioned = re.findall(r"(?<![\w/.])(?:src|tests)/[\w/.]*\w", prose)

    missing = [link for link in links if not (path.parent / link).exists()]
    missing += [each for each in mentioned if not (service.path / each).exists()]
    assert missing == []
    # No row of a table is empty, and Jinja left no gaps.
    assert re.findall(r"^\| *\||\n\n\n", prose, re.MULTILINE) == []


@pytest.mark.parametrize("name", ["README.md", "AGENTS.md", "tests/README.md"])
def test_guides_end_with_lines_that_no_answer_changes(
    render: Render, tmp_path: Path, name: str
) -> None:
    """So what users append there never meets what an update changes."""
    bare = {"example": False, "dependencies": [], "external_apis": []}
    choices: tuple[dict[str, Any], ...] = ({}, EVERYTHING, bare)

    ends = {
        tuple((render(tmp_path / str(number), **answers).path / name).read_text().splitlines()[-5:])
        for number, answers in enumerate(choices)
    }

    assert len(ends) == 1
