"""A repository that has code and tests of its own is left as it is, and the testbed works there."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import copier
import pytest
import yaml

from .conftest import commit, exclusive, git
from .service import CONSTRAINTS, Service
from .variants import dependencies, variants

pytestmark = pytest.mark.suite

DEFAULTS = [name for name, facts in dependencies().items() if facts.get("default")]
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}

COMMON = {
    "README.md": "# Mine\n",
    ".gitignore": ".venv\n__pycache__/\n",
    "docker-compose.yml": "services:\n  app: {build: .}\n  web: {image: 'nginx:1'}\n",
    "pyproject.toml": """\
[project]
name = "app"
version = "1"

[tool.pytest.ini_options]
addopts = "--strict-markers"
pythonpath = ["src"]
""",
    "src/app/__init__.py": "def double(number: int) -> int:\n    return 2 * number\n",
    "tests/conftest.py": """\
import pytest


@pytest.fixture
def two():
    return 2
""",
}
TEST = """\
import os
from app import double


def test_{name}(two):
    assert double(two) == 4
    assert __name__ == "{module}"
    assert os.environ["DATABASE_URL"] == "of the developer"
"""


def written(path: str, module: str) -> dict[str, str]:
    return {path: TEST.format(name=path.split("/")[-1][5:-3], module=module)}


LAYOUTS = {
    "tests in no package": written("tests/test_app.py", "test_app"),
    "tests in a package": {
        "tests/__init__.py": "",
        **written("tests/test_app.py", "tests.test_app"),
    },
    "tests below no package": {
        "tests/unit/test_app.py": TEST.format(name="app", module="test_app"),
        "tests/integration/helpers.py": "FOUR = 4\n",
        "tests/integration/test_mine.py": "from helpers import FOUR\n"
        + TEST.format(name="mine", module="test_mine"),
        **written("tests/integration/database/test_rows.py", "test_rows"),
    },
    "tests below a package": {
        "tests/__init__.py": "",
        "tests/integration/helpers.py": "FOUR = 4\n",
        "tests/integration/test_mine.py": "from helpers import FOUR\n"
        + TEST.format(name="mine", module="test_mine"),
    },
    "packages all the way": {
        "tests/__init__.py": "",
        "tests/integration/__init__.py": "",
        "tests/integration/database/__init__.py": "",
        **written("tests/integration/test_mine.py", "tests.integration.test_mine"),
        **written(
            "tests/integration/database/test_rows.py", "tests.integration.database.test_rows"
        ),
    },
    "packages but one": {
        "tests/__init__.py": "",
        "tests/integration/__init__.py": "",
        **written("tests/integration/database/test_rows.py", "test_rows"),
    },
    "own conftest of integration tests": {
        "tests/__init__.py": "",
        "tests/integration/__init__.py": "",
        "tests/integration/conftest.py": "MINE = 1\n",
        **written("tests/integration/test_mine.py", "tests.integration.test_mine"),
    },
    "own conftest of integration tests in no package": {
        "tests/integration/conftest.py": "MINE = 1\n",
        **written("tests/integration/test_mine.py", "test_mine"),
    },
    "own files of all names": {
        "docker-compose.test.yml": "services:\n  mine: {image: 'nginx:1'}\n",
        "tests/README.md": "# My tests\n",
        "tests/__init__.py": "",
        "tests/fixtures/__init__.py": "MINE = 1\n",
        "tests/fixtures/mine.py": "MINE = 1\n",
        **written("tests/test_app.py", "tests.test_app"),
    },
}


@dataclass
class Copied:
    """A repository that the template was copied into."""

    service: Service
    own: dict[str, str]
    """The hash of each file that it had before."""
    message: str

    @property
    def packages(self) -> list[str]:
        """What the closing message says to install."""
        line = re.findall(r"^  pip install (.*)$", self.message, re.MULTILINE)
        return re.findall(r'"([^"]+)"', line[0])

    @property
    def answers(self) -> dict[str, object]:
        text = (self.service.path / ".copier-answers.yml").read_text()
        answers: dict[str, object] = yaml.safe_load(text)
        return answers

    def add_the_line(self) -> None:
        """Do what the message says about the conftest in the root folder."""
        line = re.findall(r"^  (pytest_plugins = .*)$", self.message, re.MULTILINE)
        assert "conftest.py in the root folder" in self.message
        (self.service.path / "conftest.py").write_text(f"{line[0]}\n")


def hashes(root: Path) -> dict[str, str]:
    listed = git(root, "ls-files").splitlines()
    return {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in listed}


def repository(path: Path, files: Mapping[str, str]) -> Service:
    for name, text in {**COMMON, **files}.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    git(path, "init", "--quiet", "--initial-branch", "main")
    commit(path, "mine")
    return Service(path, {"DATABASE_URL": "of the developer"})


@pytest.fixture
def copied(template: Path, tmp_path: Path) -> Callable[..., Copied]:
    """Function that copies the template into a repository with the given files."""

    def copied(files: Mapping[str, str], *options: str) -> Copied:
        service = repository(tmp_path / "app", files)
        own = hashes(service.path)
        command = [sys.executable, "-m", "copier", "copy", "--defaults", *options]
        done = subprocess.run(
            [*command, str(template), str(service.path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return Copied(service, own, done.stderr)

    return copied


Install = Callable[..., None]


@pytest.fixture(scope="session")
def install(shared_folder: Path) -> Install:
    """Function that gives a service an environment of pytest and the given packages, no others."""

    def install(service: Service, *packages: str) -> None:
        key = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
        folder = shared_folder / "environments" / key
        folder.mkdir(parents=True, exist_ok=True)
        with exclusive(folder / "lock"):
            if not (folder / "ready").exists():
                uv = [sys.executable, "-m", "uv", "--quiet"]
                venv = str(folder / ".venv")
                for command in (
                    [*uv, "venv", "--python", sys.executable, venv],
                    [*uv, "pip", "install", "--python", venv, "--constraint", str(CONSTRAINTS)]
                    + ["pytest", *packages],
                ):
                    subprocess.run(command, check=True)
                (folder / "ready").touch()
        link = service.path / ".venv"
        link.unlink(missing_ok=True)
        link.symlink_to(folder / ".venv")

    return install


def run(service: Service, *arguments: str, env: Mapping[str, str] = NO_ENGINE) -> str:
    """Run the script pytest: unlike `python -m pytest` it does not add the folder to the path."""
    script = str(service.path / ".venv" / "bin" / "pytest")
    done = service.run(script, "-v", *arguments, env=env)
    assert done.all_passed, done.output
    return done.output


def assert_untouched(done: Copied) -> None:
    now = hashes(done.service.path)
    assert {name: now[name] for name in done.own} == done.own


def assert_contracts_ran(output: str, names: list[str]) -> None:
    for name in dependencies():
        assert (f"/test_{name}_contract.py::" in output) == (name in names), name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_own_tests_and_the_testbeds_run_side_by_side(
    copied: Callable[..., Copied], install: Install, layout: str
) -> None:
    done = copied(LAYOUTS[layout])
    service = done.service
    own_tests = [name for name in LAYOUTS[layout] if "/test_" in name]
    if "tests/integration/conftest.py" in LAYOUTS[layout]:
        assert "tests/integration/conftest.py is yours" in done.message
        done.add_the_line()
    install(service, *done.packages)

    output = run(service)

    assert done.answers["dependencies"] == DEFAULTS
    assert done.answers["example"] is False
    assert_untouched(done)
    # It would change the line endings of their files.
    assert not (service.path / ".gitattributes").exists()
    assert (service.path / "tests" / "testbed" / ".gitattributes").exists()
    assert ("tests/README.md" in done.message) == ("tests/README.md" not in LAYOUTS[layout])
    assert_contracts_ran(output, DEFAULTS)
    for name in own_tests:
        assert f"{name}::" in output


@pytest.mark.parametrize("layout", list(LAYOUTS)[:2])
def test_any_part_of_the_tests_runs_alone_and_in_parallel(
    copied: Callable[..., Copied], install: Install, layout: str
) -> None:
    done = copied(LAYOUTS[layout])

    # Nobody has to install anything to run what they had.
    install(done.service)
    run(done.service, "tests/test_app.py")

    install(done.service, *done.packages)
    assert_contracts_ran(run(done.service, "tests/integration"), DEFAULTS)
    assert_contracts_ran(run(done.service, "-n", "2"), DEFAULTS)


@pytest.mark.parametrize("layout", list(LAYOUTS)[:2])
def test_fixtures_and_options_are_for_all_tests_with_the_line_of_the_message(
    copied: Callable[..., Copied], install: Install, layout: str
) -> None:
    fixtures = ", ".join(f"{name}_url" for name in DEFAULTS)
    done = copied({**LAYOUTS[layout], "tests/test_all.py": f"def test_all({fixtures}): pass\n"})
    install(done.service, *done.packages)

    done.add_the_line()

    output = run(done.service, "--servers", "embedded", "tests/test_all.py", "tests/test_app.py")
    assert f"\n{DEFAULTS[0]}: embedded (" in output


@pytest.mark.engine
def test_own_compose_file_for_tests_stays_beside_the_testbeds(
    copied: Callable[..., Copied], install: Install, engine: None
) -> None:
    layout = LAYOUTS["own files of all names"]
    done = copied(layout)
    install(done.service, *done.packages)
    done.add_the_line()

    output = run(done.service, "--servers", "containers", "tests/integration", env={})

    assert_untouched(done)
    for name in DEFAULTS:
        assert f"\n{name}: containers (test-{name} of docker-compose.testbed.yml, " in output


IMAGES = [
    "{}",
    "{}:7",
    "registry.example.com:5000/library/{}:7-alpine",
    "${{OWN_IMAGE:-{}:7-alpine}}",
]
IMAGES += ["${{REGISTRY:-docker.io/}}{}:${{TAG:-7}}", "${{REGISTRY}}/{}@sha256:0123"]


@pytest.fixture
def default_for(template: Path, tmp_path: Path) -> Callable[[str], list[str]]:
    """Function that returns which dependencies are the default for such a compose file."""

    def default_for(compose: str) -> list[str]:
        (tmp_path / "compose.yaml").write_text(compose)
        copier.run_copy(str(template), tmp_path, defaults=True, quiet=True)
        answers = yaml.safe_load((tmp_path / ".copier-answers.yml").read_text())
        found: list[str] = answers["dependencies"]
        return found

    return default_for


@pytest.mark.parametrize("image", IMAGES)
def test_image_in_a_compose_file_is_a_default(
    default_for: Callable[[str], list[str]], image: str
) -> None:
    services = ["  app: {build: .}", "  web: {image: nginx}", "  none:"]
    shown = list(dependencies())[-1]
    for number, name in enumerate(dependencies()[shown]["images"]):
        services.append(f"  s{number}: {{image: '{image.format(name)}'}}")

    assert default_for("\n".join(["services:", *services])) == [shown]


@pytest.mark.parametrize("name", dependencies())
def test_each_image_of_a_dependency_gives_it_away(
    default_for: Callable[[str], list[str]],
    name: str,
) -> None:
    images = dependencies()[name]["images"]

    assert default_for(f"services: {{it: {{image: '{images[-1]}'}}}}") == [name]


@pytest.mark.parametrize("compose", ["", "services:\n  app: {build: .}\n  web: {image: 'nginx'}"])
def test_compose_file_that_shows_nothing_leaves_the_usual_default(
    default_for: Callable[[str], list[str]], compose: str
) -> None:
    assert default_for(compose) == DEFAULTS


def test_folder_that_copier_may_not_read_is_rendered_with_the_usual_default(
    template: Path, tmp_path: Path
) -> None:
    repository(tmp_path / "app", LAYOUTS["tests in a package"])
    command = [sys.executable, "-m", "copier", "copy", "--defaults", str(template), "../app"]
    (tmp_path / "elsewhere").mkdir()

    done = subprocess.run(
        command, cwd=tmp_path / "elsewhere", capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "docker-compose.yml was not read" in done.stderr


MODELS = """\
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


class Bill(Base):
    __tablename__ = "bill"
    __table_args__ = {"schema": "billing"}
    id: Mapped[int] = mapped_column(primary_key=True)
"""
ALEMBIC = {
    "alembic.ini": "[alembic]\nscript_location = migrations\n",
    "migrations/env.py": """\
import os

from alembic import context
from sqlalchemy import create_engine

from app.models import Base

with create_engine({url}).connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
""",
    "migrations/versions/1.py": """\
import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade():
    op.create_table("note", sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.Text))
""",
}
URLS = {
    "of the configuration": 'context.config.get_main_option("sqlalchemy.url")',
    "of the environment": 'os.environ["{variable}"]',
}
SQL = [name for name, facts in dependencies().items() if "sql" in facts]
USE = """\
from app.models import Note


def test_note({session}):
    {session}.add(Note(text="kept"))
    {session}.commit()
    assert {session}.query(Note).count() == 1
"""


@pytest.mark.parametrize("name", SQL)
@pytest.mark.parametrize("layout", ["src layout", "flat layout"])
def test_tables_of_own_models_are_created(
    copied: Callable[..., Copied], install: Install, name: str, layout: str
) -> None:
    folder = "src/app" if layout == "src layout" else "shop"
    package = folder.rpartition("/")[2]
    use = USE.format(session=f"{name}_session").replace("app.models", f"{package}.models")
    # Of another schema than the one that each database has.
    use = use.replace("import Note", "import Bill, Note")
    use += f"    assert {name}_session.query(Bill).count() == 0\n"
    files = {
        f"{folder}/__init__.py": "",
        f"{folder}/models.py": MODELS,
        "tests/__init__.py": "",
        "tests/integration/database/test_note.py": use,
    }
    if layout == "flat layout":
        files["pyproject.toml"] = COMMON["pyproject.toml"].replace('["src"]', "[]")
    answers = (f"dependencies=[{name}]", f"sqlalchemy_metadata={package}.models:Base.metadata")

    done = copied(files, "-d", answers[0], "-d", answers[1])

    install(done.service, *done.packages)
    run(done.service)
    assert_untouched(done)


@pytest.mark.parametrize("name", SQL)
@pytest.mark.parametrize("url", URLS)
def test_own_migrations_run_on_the_test_database(
    copied: Callable[..., Copied], install: Install, name: str, url: str
) -> None:
    environment = ALEMBIC["migrations/env.py"].format(url=URLS[url])
    environment = environment.replace("{variable}", dependencies()[name]["variable"])
    files = {
        **ALEMBIC,
        "migrations/env.py": environment,
        "src/app/models.py": MODELS,
        "tests/__init__.py": "",
        "tests/integration/test_note.py": USE.format(session=f"{name}_session"),
    }
    options = ("-d", f"dependencies=[{name}]", "-d", "alembic_config=alembic.ini")

    done = copied(files, *options)

    install(done.service, *done.packages, "alembic")
    run(done.service)
    # The path of the configuration does not depend on where pytest starts.
    done.service.path /= "tests"
    (done.service.path / ".venv").symlink_to("../.venv")
    run(done.service)


def test_dependency_is_added_later_and_own_files_are_left_alone(
    copied: Callable[..., Copied], install: Install
) -> None:
    everything = list(variants()[-1])
    done = copied(LAYOUTS["own files of all names"], "-d", f"dependencies=[{everything[0]}]")
    service = done.service
    commit(service.path, "copied")

    data = {"dependencies": everything}
    copier.run_update(service.path, data=data, defaults=True, overwrite=True, quiet=True)

    assert_untouched(done)
    assert git(service.path, "diff", "--name-only", "--diff-filter=UD") == ""
    own = list(COMMON) + list(LAYOUTS["own files of all names"])
    assert not set(own) & set(git(service.path, "diff", "--name-only").splitlines())
    compose = yaml.safe_load((service.path / "docker-compose.testbed.yml").read_text())
    assert set(compose["services"]) == {f"test-{name}" for name in everything}
    packages = [
        requirement
        for facts in dependencies().values()
        for requirement in facts["packages"]["test"] + facts["packages"]["embedded"]
    ]
    install(service, *done.packages, *packages)
    assert_contracts_ran(run(service), everything)


def test_empty_folder_without_the_example_is_a_working_project(
    template: Path, tmp_path: Path
) -> None:
    service = Service(tmp_path / "shop")
    copier.run_copy(str(template), service.path, data={"example": False}, defaults=True, quiet=True)
    service.install("dev")

    unit = service.pytest()
    all_ = service.pytest("-m", "", "--servers", "embedded", "-v")

    assert unit.all_passed, unit.output
    assert all_.all_passed, all_.output
    assert_contracts_ran(all_.output, DEFAULTS)
    for tool in (["ruff", "format", "--diff"], ["ruff", "check"], ["mypy", "--python-executable"]):
        options = [str(service.python)] if tool[0] == "mypy" else ["--no-cache", "."]
        done = service.run(sys.executable, "-m", *tool, *options)
        assert done.code == 0, done.output
