"""A new dependency is a folder: dropped into the template, it is offered, rendered and run."""

import re
from pathlib import Path

import copier
import pytest
import yaml

from .conftest import Installed, commit, git, make_release, release
from .contributing import files_to_add
from .service import Service
from .variants import TEMPLATE, default_images, dependencies, variants

ALL = variants()[-1]
# Any image that the engine has anyway: the test is about the template.
IMAGE = next(iter(default_images()))

ECHO = {
    "dependency.yml": """\
name: echo
label: Echo
order: 1000
kind: echo
images: [echo-server]
variable: ECHO_ADDRESS
address: TEST_ECHO_ADDRESS
packages: {service: [], test: [], embedded: []}
first_test: tests/integration/echo/test_echo_contract.py
files:
  - tests/testbed/dependencies/echo.py
  - tests/fixtures/echo.py
example_files:
  - tests/integration/echo/test_echo_contract.py
""",
    "compose.yml": f"""\
  test-echo:
    image: ${{ECHO_IMAGE:-{IMAGE}}}
    ports:
      - "127.0.0.1:${{ECHO_PORT:-7007}}:7"
    healthcheck:
      test: ["CMD", "true"]
      interval: 500ms
""",
    "tests/testbed/dependencies/echo.py": '''\
"""Echo: its address and its embedded server."""

import socket
import sys
from contextlib import closing

from ..address import Address, Url
from ..dependency import Dependency
from ..processes import Launcher, NotReady

SERVER = """
import socketserver, sys

class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)

socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"""


def connect(url: str) -> socket.socket:
    host, _, port = url.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=5)


class Echo(Dependency):
    name = "echo"
    label = "Echo"
    address_variable = "TEST_ECHO_ADDRESS"
    service_variable = "ECHO_ADDRESS"
    port_variable = "ECHO_PORT"
    container_port = 7

    def url(self, port: int, password: str) -> str:
        return f"127.0.0.1:{port}"

    def check(self, url: str) -> None:
        try:
            with closing(connect(url)):
                return
        except OSError as error:
            raise NotReady(str(error)) from error

    def address(self, url: str) -> Address:
        host, _, port = url.rpartition(":")
        return Address(Url(url), ((host, int(port)),), names=(host,))

    def embedded_program(self) -> str | None:
        return sys.executable

    def launch(self, launcher: Launcher) -> None:
        launcher.spawn([sys.executable, "-c", SERVER, str(launcher.port)])
''',
    "tests/fixtures/echo.py": '''\
"""Echo for tests."""

import socket
from collections.abc import Iterator

import pytest

from tests.testbed.dependencies.echo import connect
from tests.testbed.run import Server
from tests.testbed.testbed import Testbed


@pytest.fixture(scope="session")
def echo_server(testbed: Testbed) -> Server:
    """An echo server, shared by all pytest processes of the run."""
    return testbed.server("echo")


@pytest.fixture(scope="session")
def echo_url(echo_server: Server, testbed: Testbed) -> Iterator[str]:
    """Address of the server; ECHO_ADDRESS for the code under test."""
    with testbed.variables("echo", testbed.url("echo")):
        yield testbed.url("echo")


@pytest.fixture
def echo_client(echo_url: str) -> Iterator[socket.socket]:
    """Connection to the server."""
    with connect(echo_url) as client:
        yield client
''',
    "tests/integration/echo/test_echo_contract.py": '''\
"""How to test with Echo: copy the test that is closest to yours."""

import os
import socket

import pytest

from tests.testbed.dependencies.echo import connect


class TestIntegrationEchoContract:
    def test_line_comes_back(self, echo_client: socket.socket) -> None:
        echo_client.sendall(b"hello\\n")

        assert echo_client.recv(6) == b"hello\\n"

    @pytest.mark.fault("echo", refuse=True)
    def test_fault_needs_nothing_of_the_dependency(self) -> None:
        with pytest.raises(ConnectionRefusedError):
            connect(os.environ["ECHO_ADDRESS"])
''',
}


FOLDER = "template/dependencies/echo/"


def add_echo(template: Path) -> None:
    """Add the files that CONTRIBUTING.md lists, one after the other, and no others."""
    listed = files_to_add("a server", name="echo", kind="echo")
    assert sorted(listed) == sorted(FOLDER + name for name in ECHO)
    for path in listed:
        (template / path).parent.mkdir(parents=True, exist_ok=True)
        (template / path).write_text(ECHO[path.removeprefix(FOLDER)])


@pytest.fixture
def own_template(tmp_path: Path) -> Path:
    """The template as a repository that the test may change."""
    target = tmp_path / "template"
    make_release(target, "v1.0.0")
    return target


def assert_echo_works(service: Service, environment: Service) -> None:
    (service.path / ".venv").symlink_to(environment.path / ".venv")

    done = service.pytest("-m", "echo", "--servers", "embedded", "-v")

    assert done.all_passed, done.output
    assert "\necho: embedded (" in done.output
    assert "test_echo_contract.py::TestIntegrationEchoContract::test_line_comes_back" in done.output


@pytest.mark.engine
def test_folder_alone_makes_a_dependency(
    own_template: Path, installed: Installed, tmp_path: Path, engine: None
) -> None:
    add_echo(own_template)
    folders = {line[3:] for line in git(own_template, "status", "--porcelain").splitlines()}
    release(own_template, "v1.1.0")
    service = Service(tmp_path / "shop")
    answers = {"dependencies": [*ALL, "echo"]}

    copier.run_copy(str(own_template), service.path, data=answers, defaults=True, quiet=True)

    assert folders == {FOLDER}
    config = service.run(
        "docker", "compose", "-f", "docker-compose.test.yml", "config", "--services"
    )
    assert set(config.output.split()) == {f"test-{name}" for name in (*ALL, "echo")}
    for name in ECHO:
        assert not name.startswith("tests/") or (service.path / name).exists()
    assert "| `pytest -m echo` | what uses Echo |" in (service.path / "tests/README.md").read_text()
    assert_echo_works(service, installed(ALL))
    selection = ("-k", "Echo or Consistency")
    everything = service.pytest("-m", "", "--servers", "embedded", "-n", "2", *selection)
    assert everything.all_passed, everything.output


def test_dependency_of_a_later_release_can_be_added(
    own_template: Path, installed: Installed, tmp_path: Path
) -> None:
    service = Service(tmp_path / "shop")
    answers = {"dependencies": list(ALL[:1])}
    copier.run_copy(str(own_template), service.path, data=answers, defaults=True, quiet=True)
    git(service.path, "init", "--quiet", "--initial-branch", "main")
    commit(service.path, "rendered")
    add_echo(own_template)
    release(own_template, "v1.1.0")

    copier.run_update(
        service.path,
        data={"dependencies": [*ALL[:1], "echo"]},
        skip_answered=True,
        defaults=True,
        overwrite=True,
        quiet=True,
    )

    recorded = yaml.safe_load((service.path / ".copier-answers.yml").read_text())
    assert recorded["dependencies"] == [*ALL[:1], "echo"]
    assert git(service.path, "diff", "--name-only", "--diff-filter=UD") == ""
    assert_echo_works(service, installed(ALL))


def test_new_dependency_is_offered(own_template: Path, tmp_path: Path) -> None:
    add_echo(own_template)
    release(own_template, "v1.1.0")
    wrong = {"dependencies": ["ecko"]}

    with pytest.raises(Exception, match=f"choose from .*echo.*{ALL[0]}"):
        copier.run_copy(str(own_template), tmp_path / "shop", data=wrong, quiet=True)


GENERAL = [
    "template/project/tests/environment.toml.jinja",
    "template/project/tests/testbed/environment.py",
    "template/project/tests/testbed/safety/clients.py",
]
"""Files that are about servers and clients which the template may not offer; some it does."""


def shared_files() -> list[str]:
    listed = git(TEMPLATE, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    shared = ("copier.yml", "hooks/", "template/project/", "template/example/")
    found = [name for name in listed if name.startswith(shared) and name not in GENERAL]
    return [name for name in found if (TEMPLATE / name).is_file()]


@pytest.mark.parametrize("name", dependencies())
def test_no_shared_file_names_a_dependency(name: str) -> None:
    facts = dependencies()[name]
    words = {name, facts["label"], facts.get("adapter", name), *facts["images"]}
    pattern = re.compile(rf"(?<![a-z])({'|'.join(map(re.escape, words))})(?![a-z])", re.IGNORECASE)

    found = [
        f"{path}:{number}: {line}"
        for path in shared_files()
        for number, line in enumerate((TEMPLATE / path).read_text().splitlines(), 1)
        if pattern.search(line)
    ]

    assert found == []
