"""Bad input gives one clear message that says what to do, and leaves nothing half-done."""

import socket
import sys
from pathlib import Path

import pytest

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
            "class is a keyword of Python: type another name, such as class_service",
        ),
        (["-d", "package_name=json"], "json is a module of the standard library"),
        (["-d", "package_name=redis"], "redis is taken by something that the project uses"),
        (["-d", "package_name=2fast"], "type a name of small letters, digits and _"),
        (["-d", 'project_name=a"b'], "type a name of letters, digits, spaces"),
        (
            ["-d", "dependencies=[postgres, oracle]"],
            "there is no dependency oracle: choose from kafka, postgres, redis",
        ),
        (
            ["-d", "dependencies=postgres"],
            "dependencies is a list: write -d 'dependencies=[kafka, postgres]'",
        ),
        (
            ["-d", "dependecies=[redis]"],
            "there is no question dependecies: the questions are project_name",
        ),
        (["-d", "example=perhaps"], "example is yes or no, not perhaps"),
        (["-d", "ci=jenkins"], "ci is one of github, gitlab, none, not jenkins"),
        (
            ["-d", "example=no", "-d", "sqlalchemy_metadata=app.models"],
            "type module:object such as",
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


def test_answers_of_another_template_are_not_overwritten(template: Path, tmp_path: Path) -> None:
    answers = tmp_path / "shop" / ".copier-answers.yml"
    answers.parent.mkdir()
    answers.write_text("_src_path: gh:somebody/else\nname: theirs\n")

    done = copy(template, answers.parent)

    assert done.code != 0
    assert "belongs to another template: add -a .copier-answers.testbed.yml" in done.output
    assert answers.read_text() == "_src_path: gh:somebody/else\nname: theirs\n"
    assert list(answers.parent.iterdir()) == [answers]


@pytest.mark.parametrize(
    ("folder", "package"),
    [
        ("order-service", "order_service"),
        ("Ünïcode & Co", "n_code_co"),
        ("2fast", "service_2fast"),
        ("json", "json_service"),
        ("redis", "redis_service"),
        ("tests", "tests_service"),
    ],
)
def test_default_package_name_is_always_valid(
    template: Path, tmp_path: Path, folder: str, package: str
) -> None:
    done = copy(template, tmp_path / folder, "-d", "dependencies=[]")

    assert done.code == 0, done.output
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


def test_address_where_nothing_answers_is_named(installed: Installed) -> None:
    env = {"TEST_DATABASE_URL": "postgresql://127.0.0.1:1/shop_test"}

    done = installed(("postgres",)).pytest("-m", "", "--services", "address", env=env)

    assert done.code != 0
    assert "postgres: TEST_DATABASE_URL does not answer:" in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_missing_engine_is_one_message(installed: Installed, workers: list[str]) -> None:
    service = installed(("redis",))

    done = service.pytest("-m", "redis", "--services", "containers", *workers, env=NO_ENGINE)

    assert done.code == 4
    assert "redis: --services=containers finds no Redis (" in done.output
    assert "start a container engine such as Docker or Podman" in done.output
    assert done.count("passed") == 0


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
    env = program(tmp_path / "bin", "redis-server", script)

    done = service.pytest(
        "-m", "redis", "--services", "embedded", "--services-timeout", "1", *workers, env=env
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
    check = (
        '["CMD", "redis-cli", "ping"]\n      interval: 500ms\n      timeout: 5s\n      retries: 60'
    )
    edit_compose(service, check, '["CMD", "false"]\n      interval: 200ms\n      retries: 2')

    done = service.pytest("-m", "redis", "--services", "containers")

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

        done = service.pytest("-m", "redis", "--services", "containers")

    assert done.code != 0
    assert "Another program uses that port: end it, or change the port in" in done.output
    assert service.leftovers() == []


@pytest.mark.engine
def test_missing_image_is_told(checkout: Checkout, engine: None) -> None:
    service = checkout("user", "redis")
    env = {"REDIS_IMAGE": "127.0.0.1:1/nobody/has-this:1"}

    done = service.pytest("-m", "redis", "--services", "containers", env=env)

    assert done.code != 0
    assert "redis: Redis did not come up:" in done.output
    assert "127.0.0.1:1" in done.output
    assert service.leftovers() == []
