"""The pytest hooks of the guard: they say what runs, and fail what was refused a connection."""

import atexit
import os
import sys
from collections.abc import Generator

import pytest

from . import guard

Step = Generator[None, object, object]

_lines: list[str] = []
"""What was refused outside of tests, by any process of the run."""


def pytest_configure() -> None:
    """Have clients ask this machine itself, where a proxy is set for everything else."""
    told = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    for variable in ("no_proxy", "NO_PROXY"):
        os.environ[variable] = ",".join(filter(None, (told, "127.0.0.1", "localhost")))
    atexit.register(_report_at_exit)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    with guard.Watch(collector.nodeid, "collection"):
        report = yield
    _fail(report)
    return report


# A wrapper for each step would take several times as long.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Step:
    free = item.get_closest_marker("network") is not None
    with guard.Watch(item.nodeid, "setup", free):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    guard.step("setup")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    guard.step("")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    guard.step("teardown")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Step:
    if fixturedef.scope == "function":
        return (yield)
    with guard.shared(f"fixture {fixturedef.argname}"):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail(report)
    return report


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Fail what was refused something, whatever became of the refusal in the code under test."""
    if lines := guard.refusals(report.nodeid):
        report.outcome = "failed"
        report.longrepr = "\n".join(lines)
        vars(report).pop("wasxfail", None)


# Inside of the hooks of pytest-xdist and of the terminal, which send and print what is found.
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Step:
    """Fail the run for what was refused outside of its tests."""
    guard.ending()
    result = yield
    _lines.extend(guard.refusals() + guard.early_connections())
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["testbed_refusals"] = _lines.copy()
        _lines.clear()
    _fail_run(session)
    return result


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: pytest.Item) -> None:
    """Take over what a worker of pytest-xdist was refused."""
    _lines.extend(getattr(node, "workeroutput", {}).get("testbed_refusals", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _lines:
        terminalreporter.section("connections that were refused outside of tests", red=True)
        for line in dict.fromkeys(_lines):
            terminalreporter.write_line(line)
        _lines.clear()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Fail the run for what plugins and the last fixtures were refused."""
    session = config.pluginmanager.get_plugin("session")
    _lines.extend(guard.refusals())
    if session:
        _fail_run(session)
    for line in _lines:
        print(line, file=sys.stderr)
    _lines.clear()


def _fail_run(session: pytest.Session) -> None:
    if _lines and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _report_at_exit() -> None:
    if lines := guard.refusals():
        print(*lines, sep="\n", file=sys.stderr, flush=True)
        # Python has chosen its exit code already.
        os._exit(int(pytest.ExitCode.TESTS_FAILED))
