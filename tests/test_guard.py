"""The connection guard: nothing that a test starts reaches a server that the testbed did not hand out."""

import ast
import json
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from .conftest import Render, exclusive
from .service import CONSTRAINTS, Outcome, Service

pytestmark = pytest.mark.suite

PROBES = Path(__file__).with_name("probes")
CLIENTS = [
    "aiokafka",
    "asyncpg",
    "httpx2",
    "mysql-connector-python",
    "psycopg-pool",
    "psycopg2-binary",
    "pycurl",
    "pymysql",
    "uvloop",
]
"""Clients that no variant has, besides those that one has."""


class RealServers:
    """One listener for each name and one on a Unix socket, as of a server that is not for tests."""

    def __init__(self, folder: Path, stack: ExitStack, names: list[str]) -> None:
        self._listeners: dict[str, list[socket.socket]] = {}
        self.ports: dict[str, int] = {}
        for name in names:
            listener = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
            self.ports[name] = listener.getsockname()[1]
            datagrams = stack.enter_context(closing(socket.socket(type=socket.SOCK_DGRAM)))
            datagrams.bind(("127.0.0.1", self.ports[name]))
            self._listeners[name] = [listener, datagrams]
        # The name that libpq gives to a socket in its folder.
        self.path = str(folder / ".s.PGSQL.5432")
        unix = stack.enter_context(closing(socket.socket(socket.AF_UNIX)))
        unix.bind(self.path)
        unix.listen()
        self._listeners["path"] = [unix]

    @property
    def environment(self) -> dict[str, str]:
        return {"PLACES": json.dumps({**self.ports, "path": self.path})}

    def reached(self) -> set[str]:
        """Which of them somebody connected to, or sent something."""
        return {
            name
            for name, listeners in self._listeners.items()
            if any(_was_reached(listener) for listener in listeners)
        }


def _was_reached(listener: socket.socket) -> bool:
    listener.setblocking(False)
    try:
        if listener.type == socket.SOCK_DGRAM:
            listener.recv(100)
        else:
            # Whoever was not accepted yet waits here, even after it has gone.
            listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@contextmanager
def real_servers(folder: Path, *names: str) -> Iterator[RealServers]:
    with ExitStack() as stack:
        yield RealServers(folder, stack, list(names))


@pytest.fixture(scope="session")
def clients(render: Render, shared_folder: Path) -> Service:
    """A service with all the clients, rendered and installed once for the run."""
    path = shared_folder / "clients" / "shop"
    path.parent.mkdir(parents=True, exist_ok=True)
    service = Service(path)
    with exclusive(path.parent / "lock"):
        if not (path.parent / "ready").exists():
            render(path, apis=["grpc"], external_apis=[], example=False).install("test")
            uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet"]
            options = ["--python", str(service.python), "--constraint", str(CONSTRAINTS)]
            done = service.run(*uv, *options, *CLIENTS)
            assert done.code == 0, done.output
            for probe in PROBES.glob("*.py"):
                test = probe.stem in ("refused", "allowed", "outside")
                target = f"tests/unit/test_{probe.name}" if test else probe.name
                (path / target).parent.mkdir(exist_ok=True)
                shutil.copy(probe, path / target)
            (path.parent / "ready").touch()
    return service


def run(
    service: Service, servers: RealServers, module: str, *options: str, case: str = ""
) -> Outcome:
    env = {**servers.environment, "CASE": case, "PYTHONPATH": "."}
    return service.pytest(f"tests/unit/test_{module}.py", "-W", "ignore", *options, env=env)


def cases_in(module: str) -> list[str]:
    tree = ast.parse((PROBES / f"{module}.py").read_text())
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [each.name for each in functions if each.name.startswith("test_")]


def outcomes(report: Path) -> dict[str, list[tuple[str, str]]]:
    """By test, its failures and errors with their message; none if it passed."""
    cases = ElementTree.parse(report).getroot().iter("testcase")
    found: dict[str, list[tuple[str, str]]] = {}
    for case in cases:
        bad = [(each.tag, each.text or "") for each in case if each.tag in ("failure", "error")]
        found.setdefault(case.attrib["name"], []).extend(bad)
    return found


BEYOND = [f"test_beyond_{what}" for what in ("address", "datagram", "name", "http_client")]
INNOCENT = {"test_late_thread", "test_innocent"}
NOT_IN_THE_CALL = {"test_swallowed_by_a_fixture", "test_swallowed_at_the_end"}


@pytest.mark.parametrize("imported", ["late", "early"])
def test_no_client_reaches_a_server_that_was_not_handed_out(
    clients: Service, tmp_path: Path, imported: str
) -> None:
    report = tmp_path / "report.xml"
    names = cases_in("refused")
    options = ["-p", "no:randomly", f"--junitxml={report}"]
    options += ["-p", "early"] if imported == "early" else []

    with real_servers(tmp_path, *names) as servers:
        done = run(clients, servers, "refused", *options)
        reached = servers.reached()

    assert reached == set(), done.output
    places = {name: rf"127\.0\.0\.1:{port}|{servers.path}" for name, port in servers.ports.items()}
    places |= dict.fromkeys(BEYOND, r"192\.0\.2\.1:9|api\.example\.com")
    found = outcomes(report)
    assert found.keys() == set(names) - ({"test_pycurl"} if imported == "early" else set())
    for name, problems in found.items():
        if name in INNOCENT:
            assert problems == [], name
            continue
        tag = "error" if name in NOT_IN_THE_CALL else "failure"
        [(kind, text)] = problems
        assert kind == tag, (name, text)
        assert re.search(rf" tried to (connect to|look up) ({places[name]}) from ", text), (
            name,
            text,
        )
        assert f"during tests/unit/test_refused.py::{name}" in text, (name, text)
        assert "environment.toml" in text and "@pytest.mark.network" in text
        assert len(text.splitlines()) == 1, (name, text)
    assert "was not interrupted" not in done.output
    assert "secret" not in done.output
    late = f"127.0.0.1:{servers.ports['test_late_thread']} from tests/unit/test_refused.py:"
    assert done.output.count(late) == 1
    assert done.output.index("refused outside of tests") < done.output.index(late)


def test_what_is_allowed_works(clients: Service, tmp_path: Path) -> None:
    tools = [f"test_tool_{tool}" for tool in ("pydevd", "debugpy", "execnet")]

    with real_servers(tmp_path, *cases_in("allowed"), *tools) as servers:
        done = run(clients, servers, "allowed")
        reached = servers.reached()

    assert done.all_passed, done.output
    assert reached == {
        "path",
        "test_marked",
        "test_listed_port",
        "test_listed_host",
        "test_listed_name",
        *tools,
    }


@pytest.mark.parametrize(
    ("case", "code", "where"),
    [
        ("before", 1, "was open before the testbed was loaded"),
        ("collection", 2, "during tests/unit/test_outside.py (collection)"),
        ("swallowed in collection", 2, "during tests/unit/test_outside.py (collection)"),
        ("pool", 2, "during tests/unit/test_outside.py (collection)"),
        ("fixture", 1, "during tests/unit/test_outside.py::test_passes (fixture engine)"),
        (
            "swallowed in a fixture",
            1,
            "during tests/unit/test_outside.py::test_passes (fixture engine)",
        ),
        ("end of a fixture", 1, "during tests/unit/test_outside.py::test_passes (teardown)"),
        (
            "swallowed at the end of a fixture",
            1,
            "during tests/unit/test_outside.py::test_passes (teardown)",
        ),
        ("slow report", 1, "during tests/unit/test_outside.py::test_passes: the testbed"),
        ("finish", 1, "during the end of pytest"),
        ("unconfigure", 1, "during the end of pytest"),
        ("exit", 1, "during the end of pytest"),
    ],
)
def test_refusal_outside_of_a_test_fails_the_run(
    clients: Service, tmp_path: Path, case: str, code: int, where: str
) -> None:
    with real_servers(tmp_path, case) as servers:
        done = run(clients, servers, "outside", "-p", "connects", case=case)
        reached = servers.reached()

    # What was connected before is only told.
    assert reached == ({"before"} if case == "before" else set())
    assert done.code == code, done.output
    lines = [line for line in done.output.splitlines() if where in line]
    assert f"to 127.0.0.1:{servers.ports[case]}" in lines[0], done.output
    assert "INTERNALERROR" not in done.output
    assert "secret" not in done.output


def test_refusal_of_a_worker_fails_the_run(clients: Service, tmp_path: Path) -> None:
    with real_servers(tmp_path, "finish") as servers:
        done = run(clients, servers, "outside", "-p", "connects", "-n", "1", case="finish")
        reached = servers.reached()

    assert reached == set()
    assert (done.code, done.count("passed")) == (1, 1), done.output
    assert f"to 127.0.0.1:{servers.ports['finish']} from" in done.output


def test_workers_share_the_servers_of_their_controller(clients: Service, tmp_path: Path) -> None:
    with real_servers(tmp_path, *cases_in("refused")) as servers:
        done = run(clients, servers, "refused", "-n", "2", "-k", "socket or thread or fork")
        reached = servers.reached()

    assert reached == set(), done.output
    assert done.count("failed") > 10
