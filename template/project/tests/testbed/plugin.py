"""The pytest hooks of the testbed: options, header, markers, start, logs and end."""

import os
import re
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from . import fixture_modules, report
from .cleanup import sweep
from .dependency import known
from .environment import FILE, Environment, WiringError
from .processes import NotReady, ServerFailed, hold_port
from .run import Run, write
from .safety import guard
from .sources import MODES, Source, Unavailable
from .testbed import Testbed
from .watch import Watch

# Before anything of the service is imported, so that its imports are guarded too.
guard.install()

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
LAYERS = ("unit", "integration", "e2e")
OWN_TEST = re.compile(r"test_\w+_contract\.py")
"""Files of rendered tests that rely on the rendered fixtures."""

_environment = pytest.StashKey[Environment]()
_environment_set = pytest.StashKey[bool]()
_testbed = pytest.StashKey[Testbed]()
_watch = pytest.StashKey[Watch]()
_swept = pytest.StashKey[list[str]]()
_progress = pytest.StashKey[report.Progress]()
_broken = pytest.StashKey[list[str]]()
_logs = pytest.StashKey[report.LogPositions]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("testbed", "servers for integration tests")
    group.addoption(
        "--servers",
        choices=MODES,
        default="auto",
        help="how servers are provided: the first way that works (auto), or only the one named",
    )
    group.addoption(
        "--servers-timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long a server may take until it answers (default: 60)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if _names_only_layers(config):
        set_environment(config)
    for layer in LAYERS:
        config.addinivalue_line("markers", f"{layer}: tests in tests/{layer}")
    config.addinivalue_line("markers", "slow: tests that take long")
    config.addinivalue_line("markers", 'fault("<name>", delay=0.2, ...): tests of failures')
    config.addinivalue_line("markers", "network: tests that may reach beyond this machine")
    for name, dependency in known().items():
        config.addinivalue_line(
            "markers", f"{name}: tests that use {dependency.label}; set by their fixtures"
        )
    config.pluginmanager.import_plugin(f"{__package__}.faults")
    config.pluginmanager.import_plugin(f"{__package__}.safety.hooks")
    config.stash[_broken] = fixture_modules.load(config, TESTS / "fixtures")


def _names_only_layers(config: pytest.Config) -> bool:
    """Whether all that the command line names is in tests/integration or tests/e2e.

    The tests of a repository that had some before keep their environment otherwise.
    """
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    layers = [TESTS / layer for layer in LAYERS[1:]]
    return all(any(path.is_relative_to(layer) for layer in layers) for path in named)


def set_environment(config: pytest.Config) -> None:
    """Set the environment of the code under test until the end of the process, once.

    It is called before anything of the user's is imported: settings are often read at import.
    """
    if _environment_set in config.stash:
        return
    environment = environment_of(config)
    config.stash[_environment_set] = True
    stack = ExitStack()
    config.add_cleanup(stack.close)
    if config.getoption("markexpr", "") == "unit" or config.option.collectonly:
        # The ports stay closed: nothing starts a server, and nothing finds a real one.
        for name, dependency in known().items():
            held = stack.enter_context(hold_port())
            environment.urls[name] = dependency.url(held.getsockname()[1], "none")
    elif hasattr(config, "workerinput") or not _workers(config):
        try:
            testbed_of(config).find_urls()
        except WiringError as error:
            raise pytest.UsageError(str(error)) from error
    stack.enter_context(environment.applied())


def environment_of(config: pytest.Config) -> Environment:
    """What environment.toml says, read once."""
    if _environment not in config.stash:
        try:
            environment = Environment.load(ROOT)
        except WiringError as error:
            raise pytest.UsageError(str(error)) from error
        workers = getattr(config, "workerinput", {}).get("workercount", _workers(config))
        for name, account in environment.accounts.items():
            if workers > 1 and "database" in account:
                raise pytest.UsageError(
                    f"{FILE}: [{name}] names the database {account['database']}, which {workers} processes cannot "
                    "share: run the tests without -n"
                )
        config.stash[_environment] = environment
    return config.stash[_environment]


def _workers(config: pytest.Config) -> int:
    """How many xdist workers this process has, 0 where it runs the tests itself."""
    return 0 if config.getoption("dist", "no") == "no" else len(config.getoption("tx", []))


def testbed_of(config: pytest.Config) -> Testbed:
    """The testbed of this process; made, and the run with it, when first asked for."""
    if _testbed not in config.stash:
        try:
            run = _run_of(config)
        except OSError as error:
            raise pytest.UsageError(f"testbed: {error}") from error
        mode = config.getoption("--servers", "auto")
        timeout = config.getoption("--servers-timeout", 60.0)
        worker = getattr(config, "workerinput", {"workerid": "main"})["workerid"]
        environment = environment_of(config)
        config.stash[_testbed] = Testbed(run, ROOT, mode, timeout, environment, worker)
        if not hasattr(config, "workerinput"):
            config.stash[_watch] = Watch(run, timeout, lambda reason: _give_up(config, reason))
            config.stash[_watch].start()
            config.stash[_progress] = report.Progress(config, config.stash[_testbed])
            config.pluginmanager.register(config.stash[_progress])
            config.stash[_progress].start()
    return config.stash[_testbed]


def _give_up(config: pytest.Config, reason: str) -> None:
    """End this process at once: a client that waits in its library hears no exception."""
    if capture := config.pluginmanager.getplugin("capturemanager"):
        capture.suspend_global_capture(in_=True)
    terminal = config.get_terminal_writer()
    terminal.line(f"\ntestbed: {reason}; the run ends here")
    terminal.flush()
    # The supervisor ends the servers, as it does after a kill.
    os._exit(pytest.ExitCode.INTERNAL_ERROR)


def testbed_if_any(config: pytest.Config) -> Testbed | None:
    """The testbed of this process, None as long as nobody has asked for it."""
    return config.stash.get(_testbed, None)


def _run_of(config: pytest.Config) -> Run:
    workerinput: dict[str, str] | None = getattr(config, "workerinput", None)
    if workerinput is None:
        config.stash[_swept] = sweep(ROOT)
        return Run.create(ROOT)
    if folder := workerinput.get("testbed_run"):
        run = Run(Path(folder))
        run.join()
        return run
    return Run.shared(ROOT, os.environ["PYTEST_XDIST_TESTRUNUID"])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: pytest.Item) -> None:
    """Tell an xdist worker which run it belongs to."""
    node.workerinput["testbed_run"] = str(testbed_of(node.config).run.folder)  # type: ignore[attr-defined]


def pytest_report_header(config: pytest.Config) -> list[str]:
    lines = [f"testbed: {line}" for line in config.stash[_broken]]
    if config.option.markexpr == "unit" or not known():
        return lines
    testbed = testbed_of(config)
    lines += [f"testbed: {line}" for line in config.stash.get(_swept, [])]
    reasons = (
        each for source in testbed.sources.values() for each in getattr(source, "passed_over", [])
    )
    lines += [f"testbed: passed over {reason}" for reason in dict.fromkeys(reasons)]
    for name, source in testbed.sources.items():
        what = f"{source.name} ({source.detail})" if isinstance(source, Source) else "not available"
        lines.append(f"{name}: {what}")
    return lines


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    for item in items:
        if (
            item.path.is_relative_to(TESTS)
            and (layer := item.path.relative_to(TESTS).parts[0]) in LAYERS
        ):
            item.add_marker(layer)
        for name in _needs(item):
            item.add_marker(name)
        if "fault" in _fixtures(item) and not item.get_closest_marker("fault"):
            item.add_marker("fault")
    yield
    # Tests without a server run while the servers start.
    items.sort(key=lambda item: bool(_needs(item)))


def _needs(item: pytest.Item) -> list[str]:
    fixtures = _fixtures(item)
    faulted = [name for marker in item.iter_markers("fault") for name in marker.args]
    return [name for name in known() if f"{name}_server" in fixtures or name in faulted]


def _fixtures(item: pytest.Item) -> list[str]:
    names: list[str] = getattr(item, "fixturenames", [])
    return names


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start what the selected tests need, and nothing else."""
    needed = {name for item in session.items for name in _needs(item)}
    if not needed or session.config.option.collectonly:
        return
    testbed = testbed_of(session.config)
    if "testbed_run" not in getattr(session.config, "workerinput", {"testbed_run": ""}):
        # No controller cleans up after this worker, so the supervisor does in any case.
        testbed.start_supervisor()
    try:
        testbed.start(sorted(needed))
    except Unavailable as reason:
        if hasattr(session.config, "workerinput"):
            # The controller reads it and stops the run: an exit from here would look like a crash.
            write(testbed.run.folder / "unavailable", str(reason))
        else:
            pytest.exit(str(reason), returncode=pytest.ExitCode.USAGE_ERROR)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: pytest.Item) -> None:
    reason = testbed_of(node.config).run.folder / "unavailable"
    if reason.exists():
        pytest.exit(reason.read_text(), returncode=pytest.ExitCode.USAGE_ERROR)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    """Say why no test ran, and which servers came from another source than the header promised."""
    report.widen_summary(terminalreporter)
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and (reason := report.nothing_ran(config)):
        terminalreporter.write_line(reason, yellow=True)
    if (testbed := testbed_if_any(config)) is None:
        return
    for name, source in testbed.sources.items():
        server = testbed.run.find(name)
        if server and isinstance(source, Source) and server.source not in ("", source.name):
            for reason in server.passed_over[len(source.passed_over) :]:
                terminalreporter.write_line(
                    f"{name}: {server.source}, passed over {reason}", yellow=True
                )


def pytest_unconfigure(config: pytest.Config) -> None:
    if _testbed not in config.stash:
        return
    if hasattr(config, "workerinput"):
        config.stash[_testbed].leave()
    else:
        config.stash[_watch].stop()
        config.stash[_progress].stop()
        for problem in config.stash[_testbed].close():
            print(f"testbed: could not remove all of this run: {problem}", file=sys.stderr)


@pytest.fixture(scope="session")
def testbed(pytestconfig: pytest.Config) -> Iterator[Testbed]:
    """The servers of this run: `testbed.server("<name>")` waits until one is ready.

    From here on the environment names them, where it did not from the beginning.
    """
    testbed = testbed_of(pytestconfig)
    testbed.find_urls()
    with testbed.environment.applied():
        yield testbed


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if OWN_TEST.fullmatch(item.path.name) and (reason := _replaced_fixture(item)):
        pytest.fail(reason, pytrace=False)
    if names := _needs(item):
        item.stash[_logs] = report.LogPositions(testbed_of(item.config).run, names)


def _replaced_fixture(item: pytest.Item) -> str | None:
    """Why a rendered test cannot run: a fixture of ours is replaced, perhaps on a real server."""
    fixtures = getattr(item, "_fixtureinfo", None)
    ours = f"{TESTS.name}.fixtures."
    for name, definitions in getattr(fixtures, "name2fixturedefs", {}).items():
        modules = [definition.func.__module__ for definition in definitions]
        if modules[0].startswith(ours) and not modules[-1].startswith(ours):
            place = Path(definitions[-1].func.__code__.co_filename)
            shown = place.relative_to(ROOT) if place.is_relative_to(ROOT) else place
            return f"{shown} defines {name}, which the rendered tests need: rename one"
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show, below a failed test, its random seed and the problems that its servers logged."""
    result = yield
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, (Unavailable, NotReady, ServerFailed)):
        # The message says it all, and ends with the log of a server that did not come up.
        result.longrepr = str(error)
    if isinstance(error, Unavailable):
        # Every other test that needs this server would say it again.
        item.session.shouldstop = str(error).splitlines()[0]
    seed = item.config.getoption("randomly_seed", None)
    if result.failed and seed is not None:
        result.sections.append(("random seed", f"the same again: --randomly-seed={seed}"))
    if result.failed and _logs in item.stash and not isinstance(error, Unavailable):
        for name in _needs(item):
            if text := item.stash[_logs].problems(name):
                result.sections.append((f"{name} server log", text))
    return result
