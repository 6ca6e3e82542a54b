"""Updates: the answers change, the template changes, and what the user wrote stays."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from copier.errors import UserMessageError

from .conftest import Installed, commit, git, make_release, release
from .service import Service
from .variants import FOLDERS, dependencies, variants

pytestmark = pytest.mark.suite

ALL = variants()[-1]
EXAMPLE_FILE = "src/shop/services/users.py"

OWN_FILES = {
    "tests/fixtures/mine.py": """\
import pytest


@pytest.fixture
def mine() -> str:
    return "mine"
""",
    "tests/integration/database/test_mine.py": """\
def test_mine(mine: str) -> None:
    assert mine == "mine"
""",
}
OWN_SERVICE = """\
  {name}:
    image: registry.example.com/mine:1
"""

Committed = Callable[..., Service]


@pytest.fixture
def committed(template: Path, tmp_path: Path) -> Committed:
    """Function that renders a service and commits it to a git repository of its own."""

    def committed(*variant: str, source: Path = template, **answers: Any) -> Service:
        path = tmp_path / "shop"
        data = {"dependencies": list(variant), **answers}
        copier.run_copy(str(source), path, data=data, defaults=True, quiet=True)
        git(path, "init", "--quiet", "--initial-branch", "main")
        commit(path, "rendered")
        return Service(path)

    return committed


@pytest.fixture
def own_template(tmp_path: Path) -> Path:
    """The template as a repository that the test may release anew."""
    target = tmp_path / "template"
    make_release(target, "v1.0.0")
    return target


def update(service: Service, **answers: Any) -> None:
    copier.run_update(service.path, data=answers, defaults=True, overwrite=True, quiet=True)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new))


def without(name: str) -> tuple[str, ...]:
    return tuple(each for each in ALL if each != name)


def edit(service: Service, kept: str) -> None:
    """Do what users do to every file that they share with the template, and commit it.

    Args:
        kept: the dependency whose image and port the user changes.
    """
    root = service.path
    for name, text in OWN_FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)

    compose = root / "docker-compose.test.yml"
    fragment = (FOLDERS / kept / "compose.yml").read_text()
    image = re.findall(r"\$\{\w+_IMAGE:-", fragment)[0]
    port = re.findall(r"127.0.0.1\}:(\$\{\w+_PORT:-)", fragment)[0]
    text = re.sub(rf"{re.escape(image)}[^}}]+", f"{image}example.com/kept:1", compose.read_text())
    text = re.sub(rf"(127.0.0.1\}}:){re.escape(port)}\d+", rf"\1{port}7777", text)
    assert "7777" in text
    text = text.replace("services:\n", f"services:\n{OWN_SERVICE.format(name='first')}\n")
    compose.write_text(text + OWN_SERVICE.format(name="last"))

    project = root / "pyproject.toml"
    sentinels = re.findall(
        r"^    # Your own .* below this line\.$", project.read_text(), re.MULTILINE
    )
    assert len(sentinels) == 3
    for number, line in enumerate(sentinels):
        replace(project, line, f'    "before-{number}",\n{line}\n    "after-{number}",')
    replace(project, '    "--tb=short",\n', '    "--tb=short",\n    "--durations=3",\n')
    slow = re.findall(r'^    "slow: .*\n', project.read_text(), re.MULTILINE)[0]
    replace(project, slow, f'{slow}    "mine: tests of mine",\n')

    readme = root / "README.md"
    readme.write_text(f"My first line.\n\n{readme.read_text()}\nMy last line.\n")
    for name, line in ((".gitignore", "mine/\n"), (EXAMPLE_FILE, "\n\nMINE = 1\n")):
        (root / name).write_text((root / name).read_text() + line)
    commit(root, "edited")


def own_lines(service: Service) -> list[tuple[str, str]]:
    """The lines that the last commit added, each with its file."""
    found = []
    name = ""
    for line in git(service.path, "show", "--format=", "--unified=0").splitlines():
        if line.startswith("+++ b/"):
            name = line.removeprefix("+++ b/")
        elif line.startswith("+"):
            found.append((name, line[1:]))
    return found


def assert_merged(service: Service, own: list[tuple[str, str]]) -> None:
    """Nothing conflicts, in any of the ways in which Copier could show it, and nothing is lost."""
    assert git(service.path, "diff", "--name-only", "--diff-filter=U") == ""
    for name in git(service.path, "ls-files", "--cached", "--others").splitlines():
        path = service.path / name
        if path.exists():
            assert path.suffix not in (".rej", ".orig"), name
            assert not re.search(r"^(<{7} |>{7} |={7}$)", path.read_text(), re.MULTILINE), name
    for name, line in own:
        assert line in (service.path / name).read_text().splitlines(), (name, line)


def assert_rendered_for(
    service: Service, variant: tuple[str, ...], dropped: tuple[str, ...] = ()
) -> None:
    """The service has the files, compose services and answers of the variant, and no others.

    Args:
        dropped: whose code in src/ is still there.
    """
    for name, facts in dependencies().items():
        for path in facts["files"] + facts["example_files"]:
            expected = name in variant or (name in dropped and not path.startswith("tests/"))
            path = path.replace("src/package/", "src/shop/")
            assert (service.path / path).exists() == expected, path
    compose = yaml.safe_load((service.path / "docker-compose.test.yml").read_text())
    ours = {name for name in compose["services"] if name.startswith("test-")}
    assert ours == {f"test-{name}" for name in variant}
    answers = yaml.safe_load((service.path / ".copier-answers.yml").read_text())
    assert answers["dependencies"] == list(variant)
    assert answers["dropped"] == list(dropped)


def assert_own_entries(service: Service) -> None:
    """What the user added is where the tools look for it."""
    project = tomllib.loads((service.path / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    lists = (project["project"]["dependencies"], groups["test"], groups["embedded"])
    for number, requirements in enumerate(lists):
        assert {f"before-{number}", f"after-{number}"} <= set(requirements)
    assert "--durations=3" in project["tool"]["pytest"]["ini_options"]["addopts"]
    assert "mine: tests of mine" in project["tool"]["pytest"]["ini_options"]["markers"]
    compose = yaml.safe_load((service.path / "docker-compose.test.yml").read_text())
    for name in ("first", "last"):
        assert compose["services"][name] == {"image": "registry.example.com/mine:1"}


def assert_green(service: Service, environment: Service) -> None:
    """All tests pass, the user's own among them."""
    (service.path / ".venv").symlink_to(environment.path / ".venv")

    selection = ("-k", "Repository or Cache or Kafka or Workflow or mine")
    done = service.pytest("-m", "", "--servers", "embedded", "-v", *selection)

    assert done.all_passed, done.output
    assert re.search(r"test_mine\.py::test_mine.* PASSED", done.output)


@pytest.mark.parametrize("name", ALL)
def test_dependency_is_added(committed: Committed, installed: Installed, name: str) -> None:
    service = committed(*without(name))
    edit(service, kept=without(name)[0])
    own = own_lines(service)

    update(service, dependencies=list(ALL))

    assert_merged(service, own)
    assert_own_entries(service)
    assert_rendered_for(service, ALL)
    if name == ALL[0]:
        assert_green(service, installed(ALL))


@pytest.mark.parametrize("name", ALL)
def test_dependency_is_dropped(committed: Committed, installed: Installed, name: str) -> None:
    service = committed(*ALL)
    edit(service, kept=without(name)[0])
    own = own_lines(service)

    update(service, dependencies=list(without(name)))

    assert_merged(service, own)
    assert_own_entries(service)
    assert_rendered_for(service, without(name), dropped=(name,))
    if name == ALL[0]:
        assert_green(service, installed(without(name)))


def test_unchanged_answers_on_the_same_release_change_nothing(committed: Committed) -> None:
    service = committed(*ALL)
    edit(service, kept=ALL[0])

    update(service)

    assert git(service.path, "status", "--porcelain") == ""


def test_checkout_as_on_windows_has_the_line_endings_of_the_template(committed: Committed) -> None:
    service = committed(ALL[0])
    git(service.path, "config", "core.autocrlf", "true")
    for name in git(service.path, "ls-files").splitlines():
        (service.path / name).unlink()

    git(service.path, "checkout", "--", ".")

    for name in git(service.path, "ls-files").splitlines():
        assert b"\r" not in (service.path / name).read_bytes(), name


def test_reviews_can_skip_the_testbed(committed: Committed) -> None:
    service = committed(ALL[0])
    paths = ["tests/testbed/plugin.py", "tests/testbed/safety/guard.py", "tests/fixtures/shop.py"]

    for attribute in ("linguist-generated", "linguist-vendored"):
        shown = git(service.path, "check-attr", attribute, *paths)
        found = [line.rpartition(" ")[2] for line in shown.splitlines()]
        assert found == ["set", "set", "unspecified"]


def test_release_merges_with_own_edits_of_the_same_files(
    committed: Committed, own_template: Path
) -> None:
    service = committed(*ALL, source=own_template)
    edit(service, kept=ALL[0])
    own = own_lines(service)
    project = own_template / "template" / "project"
    example = own_template / "template" / "example"
    new = {
        "docker-compose.test.yml": (project, "services:\n", "# Said in v1.1.0.\nservices:\n"),
        "README.md": (project, "\n## Development", "\nSaid in v1.1.0.\n\n## Development"),
        "pyproject.toml": (project, "[tool.ruff]", "# Said in v1.1.0.\n[tool.ruff]"),
        ".gitignore": (project, "build/\n", "build/\n# Said in v1.1.0.\n"),
        EXAMPLE_FILE: (example, "@dataclass", "# Said in v1.1.0.\n@dataclass"),
    }
    for name, (folder, old, text) in new.items():
        path = folder / name.replace("src/shop", "src/package")
        replace(path if path.exists() else path.with_name(f"{path.name}.jinja"), old, text)
    release(own_template, "v1.1.0")

    update(service)

    assert_merged(service, own)
    assert_own_entries(service)
    for name in new:
        assert "Said in v1.1.0." in (service.path / name).read_text(), name
    answers = yaml.safe_load((service.path / ".copier-answers.yml").read_text())
    assert answers["_commit"] == "v1.1.0"


def test_deleted_file_of_the_example_stays_deleted(
    committed: Committed, own_template: Path
) -> None:
    service = committed(*ALL, source=own_template)
    deleted = service.path / EXAMPLE_FILE
    deleted.unlink()
    commit(service.path, "deleted")
    source = own_template / "template/example/src/package/services/users.py"
    source.write_text(source.read_text() + "# Said in v1.1.0.\n")
    release(own_template, "v1.1.0")

    update(service, dependencies=list(ALL[:1]))

    assert_merged(service, [])
    assert not deleted.exists()


def test_edited_file_of_a_dropped_dependency_is_in_git_as_the_message_says(
    committed: Committed, capsys: pytest.CaptureFixture[str]
) -> None:
    service = committed(*ALL)
    name = ALL[0]
    fixtures = f"tests/fixtures/{name}.py"
    edited = (service.path / fixtures).read_text() + "\nMINE = 1\n"
    (service.path / fixtures).write_text(edited)
    commit(service.path, "edited")
    data = {"dependencies": list(without(name))}

    copier.run_update(service.path, data=data, defaults=True, overwrite=True)

    message = capsys.readouterr().err
    assert not (service.path / fixtures).exists()
    assert f"  git restore {fixtures}\n" in message
    assert f"{without(name)[0]}.py" not in message
    assert "  git diff --name-only --diff-filter=U\n" in message
    assert fixtures in git(service.path, "diff", "--name-only", "--diff-filter=D").splitlines()
    git(service.path, "restore", fixtures)
    assert (service.path / fixtures).read_text() == edited


def test_own_service_between_ours_is_kept_beside_what_conflicts(committed: Committed) -> None:
    service = committed(*ALL)
    compose = service.path / "docker-compose.test.yml"
    replace(
        compose, f"  test-{ALL[1]}:\n", f"{OWN_SERVICE.format(name='mine')}\n  test-{ALL[1]}:\n"
    )
    commit(service.path, "edited")

    update(service, dependencies=list(without(ALL[1])))

    assert git(service.path, "diff", "--name-only", "--diff-filter=U") == f"{compose.name}\n"
    assert OWN_SERVICE.format(name="mine") in compose.read_text()


def test_conflict_is_listed_by_the_command_of_the_message(
    committed: Committed, own_template: Path
) -> None:
    service = committed(*ALL, source=own_template)
    line = "## Development"
    replace(service.path / "README.md", line, "## My way")
    commit(service.path, "edited")
    replace(own_template / "template/project/README.md.jinja", line, "## Our way")
    release(own_template, "v1.1.0")

    update(service)

    assert git(service.path, "diff", "--name-only", "--diff-filter=U") == "README.md\n"
    assert "## My way" in (service.path / "README.md").read_text()


def append(service: Service, name: str, text: str) -> None:
    path = service.path / name
    path.write_text(path.read_text() + text)
    commit(service.path, "edited")


def answer_by_hand(service: Service, **answers: Any) -> None:
    """Write answers into the answers file, as a refusal tells the user to, and commit."""
    path = service.path / ".copier-answers.yml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | answers))
    commit(service.path, "answered")


def refused(service: Service, **answers: Any) -> str:
    """The sentence with which an update is refused; it has changed nothing."""
    with pytest.raises(UserMessageError) as raised:
        update(service, **answers)
    assert git(service.path, "status", "--porcelain") == ""
    return str(raised.value)


def compose_services(service: Service) -> dict[str, Any]:
    compose = yaml.safe_load((service.path / "docker-compose.test.yml").read_text())
    services: dict[str, Any] = compose["services"]
    return services


def test_own_services_stay_when_the_last_server_goes_and_when_one_comes(
    committed: Committed,
) -> None:
    service = committed("redis", apis=[], external_apis=[])
    compose = service.path / "docker-compose.test.yml"
    replace(compose, "services:\n", f"services:\n{OWN_SERVICE.format(name='first')}\n")
    append(service, compose.name, OWN_SERVICE.format(name="last"))

    update(service, dependencies=[])

    assert set(compose_services(service)) == {"first", "last"}
    assert_merged(service, [])
    commit(service.path, "dropped")
    update(service, dependencies=["postgres"])
    assert set(compose_services(service)) == {"first", "last", "test-postgres"}
    assert_merged(service, [])


def test_no_server_is_a_compose_file_without_services(committed: Committed) -> None:
    service = committed(apis=[], external_apis=[])

    assert compose_services(service) == {}


@pytest.mark.parametrize("name", ALL)
def test_key_at_the_end_of_a_service_stays_in_it(committed: Committed, name: str) -> None:
    """Its neighbours come and go."""
    service = committed(name, apis=[], external_apis=[])
    compose = service.path / "docker-compose.test.yml"
    lines = compose.read_text().splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("      "))
    lines.insert(last + 1, "    labels: {owner: me}")
    compose.write_text("\n".join(lines) + "\n")
    commit(service.path, "edited")

    for chosen in (ALL, (name,)):
        update(service, dependencies=list(chosen))

        owners = {each: facts.get("labels") for each, facts in compose_services(service).items()}
        assert {each for each, labels in owners.items() if labels} == {f"test-{name}"}
        assert_merged(service, [])
        commit(service.path, "updated")


def test_code_of_what_is_dropped_stays_and_is_merged_when_it_comes_back(
    committed: Committed, capsys: pytest.CaptureFixture[str]
) -> None:
    service = committed("redis", external_apis=["geo coder"])
    files = ["src/shop/adapters/redis.py", "src/shop/adapters/geo_coder.py"]
    kept = [*files, "src/shop/entrypoints/rest.py", "src/shop/adapters/http.py"]
    for path in kept:
        append(service, path, "\n\nMINE = 1\n")
    data: dict[str, Any] = {"dependencies": [], "apis": [], "external_apis": []}
    chosen: dict[str, Any] = {
        "dependencies": ["redis"],
        "apis": ["rest"],
        "external_apis": ["geo coder"],
    }

    copier.run_update(service.path, data=data, defaults=True, overwrite=True)

    message = capsys.readouterr().err
    for path in kept:
        assert "MINE = 1" in (service.path / path).read_text(), path
        assert f"  git rm {path}\n" in message
    assert "redis" not in (service.path / "src/shop/bootstrap.py").read_text()
    commit(service.path, "dropped")
    update(service)
    assert git(service.path, "status", "--porcelain") == ""
    update(service, **chosen)
    for path in kept:
        assert "MINE = 1" in (service.path / path).read_text(), path
    assert_merged(service, [])
    answers = yaml.safe_load((service.path / ".copier-answers.yml").read_text())
    assert answers["dropped"] == []


def test_removed_code_comes_back_in_the_way_that_the_refusal_says(committed: Committed) -> None:
    service = committed("redis", external_apis=[])
    adapter = service.path / "src/shop/adapters/redis.py"
    update(service, dependencies=[])
    adapter.unlink()
    commit(service.path, "removed")

    assert "take redis out of dropped in .copier-answers.yml" in refused(
        service, dependencies=["redis"]
    )

    answer_by_hand(service, dropped=[])
    update(service, dependencies=["redis"])
    assert adapter.exists()


def test_other_package_name_is_refused_with_the_way_that_works(committed: Committed) -> None:
    service = committed("redis", external_apis=[], package_name="orders_app")
    append(service, "src/orders_app/domain.py", "\n\nMINE = 1\n")

    sentence = refused(service, package_name="store")

    for step in (
        "git mv src/orders_app src/store",
        "replace orders_app in imports and guides",
        "write package_name: store in .copier-answers.yml",
    ):
        assert step in sentence
    git(service.path, "mv", "src/orders_app", "src/store")
    for name in git(service.path, "grep", "-l", "orders_app").splitlines():
        path = service.path / name
        path.write_text(path.read_text().replace("orders_app", "store"))
    answer_by_hand(service, package_name="store")
    update(service, dependencies=["redis", "kafka"])
    assert_merged(service, [])
    assert "MINE = 1" in (service.path / "src/store/domain.py").read_text()
    assert (service.path / "src/store/adapters/kafka.py").exists()
    assert not (service.path / "src/orders_app").exists()


def test_example_goes_only_when_src_is_the_users(
    committed: Committed, capsys: pytest.CaptureFixture[str]
) -> None:
    service = committed("postgres")
    append(service, "src/shop/domain.py", "\n\nMINE = 1\n")
    code = git(service.path, "ls-files", "src", "alembic.ini", "Dockerfile")

    own: list[str] = []
    for path in ("Dockerfile", "src", "alembic.ini"):
        sentence = refused(service, example=False)
        assert f"add {path} to own_files in .copier-answers.yml" in sentence
        own.append(path)
        answer_by_hand(service, own_files=own)
    copier.run_update(service.path, data={"example": False}, defaults=True, overwrite=True)
    message = capsys.readouterr().err
    assert "  git restore tests/fixtures/shop.py\n" in message
    assert "src/" not in message
    commit(service.path, "without the example")
    assert git(service.path, "ls-files", "src", "alembic.ini", "Dockerfile") == code
    assert not (service.path / "tests/fixtures/shop.py").exists()
    assert "MINE = 1" in (service.path / "src/shop/domain.py").read_text()


@pytest.mark.parametrize(
    ("path", "answers"),
    [
        ("src/shop/domain.py", {"example": True}),
        ("tests/fixtures/redis.py", {"dependencies": ["redis"]}),
        (".gitlab-ci.yml", {"ci": "gitlab"}),
    ],
)
def test_own_file_where_an_update_adds_one_is_refused(
    committed: Committed, path: str, answers: dict[str, Any]
) -> None:
    service = committed(example=False)
    (service.path / path).parent.mkdir(parents=True, exist_ok=True)
    (service.path / path).write_text("MINE = 1\n")
    commit(service.path, "own")

    sentence = refused(service, **answers)

    assert f"move {path}, or add it to own_files in .copier-answers.yml" in sentence
    answer_by_hand(service, own_files=[path])
    update(service, **answers)
    assert (service.path / path).read_text() == "MINE = 1\n"


def test_server_written_into_the_answers_file_by_hand_is_refused(committed: Committed) -> None:
    service = committed("redis")

    answer_by_hand(service, dependencies=["redis", "kafka"])
    assert "take kafka out of dependencies in .copier-answers.yml" in refused(service)
    answer_by_hand(service, dependencies=[])
    assert "put redis back into dependencies in .copier-answers.yml" in refused(service)
    answer_by_hand(service, dependencies=["redis"])
    update(service)


def test_relative_path_of_the_template_is_recorded_absolute(
    committed: Committed, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(template.parent)
    service = committed("redis", source=Path(template.name))
    monkeypatch.chdir(tmp_path)

    update(service, dependencies=[])

    answers = yaml.safe_load((service.path / ".copier-answers.yml").read_text())
    assert answers["_src_path"] == str(template)
