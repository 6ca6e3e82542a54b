"""What one run of pytest was like: a plugin that writes it down for the quality gates.

`-p tests.testbed.recorder` loads it; the environment names the file that it writes.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .dependency import known
from .processes import NotReady
from .run import Server
from .testbed import Testbed

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
FIXTURES = f"{TESTS.name}.fixtures"
VARIABLE = "TESTBED_RECORD"
"""Environment variable with the path of the record. Every process of the run inherits it."""
PATIENCE = 5.0


@dataclass
class Record:
    """One run of pytest."""

    seed: int | None = None
    """Seed of its order; None where nothing shuffles the tests."""
    folder: str = ""
    """Folder of its servers, if it had any."""
    tests: dict[str, float] = field(default_factory=dict)
    """Seconds of each test, with its set-up and tear-down."""
    failed: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Reason of each test that was skipped."""
    xfailed: dict[str, str] = field(default_factory=dict)
    """Reason of each test that failed as its `xfail` marker expects."""
    left: list[str] = field(default_factory=list)
    """What the tests left on their servers and in the environment variables."""
    names: list[list[str]] = field(default_factory=list)
    """File, class and function of each integration test, selected or not."""
    servers: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Seconds until each server that this run started ran, and until it answered."""
    resets: dict[str, float] = field(default_factory=dict)
    """Seconds that the function-scoped fixtures of each dependency take in a test, on average."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--reversed", action="store_true", help="run the tests from the last to the first"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses", None):
        raise pytest.UsageError(
            "the gates run the tests in one process, because several workers have no single "
            "order to reverse: leave -n out, or add -n 0"
        )
    config.pluginmanager.register(Recorder(config))


class Recorder:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._record = Record()
        self._ending: dict[pytest.FixtureDef[Any], float] = {}
        self._spent: dict[str, float] = defaultdict(float)
        self._users: dict[str, set[str]] = defaultdict(set)
        self._environment: dict[str, str] = {}
        self._contents: dict[str, tuple[str, dict[str, str]]] = {}
        """By server, its URL and what it held before the first test used it."""

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        if isinstance(item, pytest.Function) and item.path.is_relative_to(
            ROOT / "tests" / "integration"
        ):
            group = item.getparent(pytest.Class)
            self._record.names.append(
                [
                    str(item.path.relative_to(ROOT)),
                    group.name if group else "",
                    item.originalname,
                ]
            )

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._environment = dict(os.environ)
        # After every other plugin has had its say: only the final order can be reversed.
        if self._config.getoption("--reversed"):
            session.items.reverse()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        begun = time.perf_counter()
        try:
            value = yield
            self._look_before(fixturedef, value)
            return value
        finally:
            self._spend(fixturedef, request, begun)
            # The last finalizer is the first to run.
            fixturedef.addfinalizer(lambda: self._end(fixturedef))

    def _end(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        self._ending[fixturedef] = time.perf_counter()

    def pytest_fixture_post_finalizer(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> None:
        if (begun := self._ending.pop(fixturedef, None)) is not None:
            self._spend(fixturedef, request, begun)

    def _spend(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest, begun: float
    ) -> None:
        package, _, name = getattr(fixturedef.func, "__module__", "").rpartition(".")
        if fixturedef.scope == "function" and package == FIXTURES and name in known():
            self._spent[name] += time.perf_counter() - begun
            self._users[name].add(request.node.nodeid)

    def _look_before(self, fixturedef: pytest.FixtureDef[Any], value: object) -> None:
        name, _, part = fixturedef.argname.rpartition("_")
        if part == "url" and name in known() and isinstance(value, str):
            self._contents[name] = value, known()[name].contents(value)

    def _left(self) -> Iterator[str]:
        """What is there after the tests and was not, or was another, before them."""
        for name, (url, before) in self._contents.items():
            try:
                known()[name].check(url)
            except NotReady as error:
                yield f"{name}: not compared: {error}"
                continue
            for thing, state in sorted(known()[name].contents(url).items()):
                if before.get(thing) != state:
                    yield f"{name}: {thing}{state and f' ({state})'}"
        after = dict(os.environ)
        after.pop("PYTEST_CURRENT_TEST", None)
        for variable in sorted(after.keys() | self._environment.keys()):
            if after.get(variable) != self._environment.get(variable):
                yield f"environment variable {variable}"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        record, name = self._record, report.nodeid
        record.tests[name] = record.tests.get(name, 0.0) + report.duration
        if report.failed and name not in record.failed:
            record.failed.append(name)
        elif report.skipped and hasattr(report, "wasxfail"):
            record.xfailed[name] = report.wasxfail
        elif report.skipped and isinstance(report.longrepr, tuple):
            record.skipped[name] = report.longrepr[2].removeprefix("Skipped: ")

    def pytest_sessionfinish(self) -> None:
        # The plugin for itself is loaded by a conftest, after this one.
        from .plugin import testbed_if_any

        record = self._record
        record.left = list(self._left())
        record.seed = self._config.getoption("randomly_seed", None)
        record.resets = {
            name: spent / len(self._users[name]) for name, spent in self._spent.items()
        }
        if testbed := testbed_if_any(self._config):
            record.folder = str(testbed.run.folder)
            servers = {name: _server(testbed, name) for name in known()}
            record.servers = {
                name: (server.started, server.seconds)
                for name, server in servers.items()
                if server and server.seconds
            }
        if path := os.environ.get(VARIABLE):
            Path(path).write_text(json.dumps(asdict(record)))


def _server(testbed: Testbed, name: str) -> Server | None:
    """A server of the run, with the time of its start, which the engine tells a little later."""
    deadline = time.monotonic() + PATIENCE
    while (
        (server := testbed.run.find(name)) and server.source == "containers" and not server.started
    ):
        if time.monotonic() > deadline:
            break
        time.sleep(0.005)
    return server
