"""first-hour: how long people wait for pytest itself, for unit tests, for one test and for all of them."""

import json
import re
import shutil
import time
from collections.abc import Callable
from statistics import median

from .report import Report, Row
from .workspace import COMPOSE, PROBES, Workspace, must, require_engine
from tests.service import Outcome, Service

ROUNDS = 7
CONTAINER_ROUNDS = 5
OPTIONS = ("-p", "no:valkey", "-p", "no:schemathesis", "-p", "no:hypothesispytest")
"""What the rendered suite runs without, a bare one does without too."""
METHOD = f"""\
Pairs of commands in turns, the median of {ROUNDS} ratios ({CONTAINER_ROUNDS} with containers). "Fastest runs": the
ratio of the fastest. Collecting: `pytest --collect-only` of one module with the rendered conftest,
and with one written by hand that imports the same drivers (probes/handwritten). Unit tests:
`pytest`, and as many empty tests without a conftest. One test: PostgreSQL and Redis in containers,
started for the run by the rendered fixtures, and by fixtures that use testcontainers, without its
container that cleans up after a killed run. Waiting: the share of a whole run, embedded and serial,
in which pytest's process does not work."""


def measure(workspace: Workspace) -> Report:
    require_engine()
    service = workspace.service
    hand = by_hand(workspace)
    bare = Service(workspace.folder / "bare")
    bare.path.mkdir()
    count = re.search(r"(\d+) passed", must(service.pytest()).output)
    assert count
    (bare.path / "test_empty.py").write_text(
        "import pytest\n\n\n"
        f'@pytest.mark.parametrize("number", range({count[1]}))\n'
        "def test_empty(number):\n    pass\n"
    )
    with workspace.probe_module("test_one.py") as module:
        rows = [
            ratio(
                "collecting one module / by hand",
                lambda: service.pytest("-m", "", "--collect-only", str(module)),
                lambda: pytest(service, hand, "--collect-only"),
                1.25,
            ),
            ratio(
                f"{count[1]} unit tests / as many empty ones",
                service.pytest,
                lambda: pytest(service, bare),
                2,
            ),
            ratio(
                "one test in containers / by hand",
                lambda: service.pytest("-m", "", "--servers", "containers", str(module)),
                lambda: pytest(service, hand),
                1,
                CONTAINER_ROUNDS,
            ),
        ]
    return Report("first-hour", METHOD, [*rows, waiting(workspace)])


def by_hand(workspace: Workspace) -> Service:
    """A folder with the same test and a conftest that is written by hand."""
    folder = workspace.folder / "handwritten"
    shutil.copytree(PROBES / "handwritten", folder)
    shutil.copy(PROBES / "test_one.py", folder)
    environment = {"TESTCONTAINERS_RYUK_DISABLED": "true"}
    for name in ("postgres", "redis"):
        command = (*COMPOSE, "config", "--images", f"test-{name}")
        environment[f"{name.upper()}_IMAGE"] = must(workspace.service.run(*command)).output.strip()
    return Service(folder, environment)


def pytest(service: Service, tests: Service, *options: str) -> Outcome:
    """Run tests that are not the service's, with its packages."""
    return tests.run(str(service.python), "-m", "pytest", *OPTIONS, *options)


def ratio(
    what: str,
    ours: Callable[[], Outcome],
    theirs: Callable[[], Outcome],
    target: float,
    rounds: int = ROUNDS,
) -> Row:
    def seconds(run: Callable[[], Outcome]) -> float:
        begun = time.perf_counter()
        must(run())
        return time.perf_counter() - begun

    seconds(ours), seconds(theirs)  # fill the caches
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    fastest = [min(each) for each in zip(*pairs, strict=True)]
    middle = median(one / other for one, other in pairs)
    return Row(f"{what} ({fastest[1]:.1f} s)", middle, "×", target, fastest[0] / fastest[1])


def waiting(workspace: Workspace) -> Row:
    result = workspace.folder / "waiting.json"
    env = {"BENCHMARK_RESULT": str(result), "PYTHONPATH": str(PROBES)}
    options = ("-m", "", "--servers", "embedded", "-p", "no:randomly", "-p", "waiting")
    must(workspace.service.pytest(*options, env=env))
    found = json.loads(result.read_text())
    what = f"waiting, of a whole run of {found['seconds']:.0f} s"
    return Row(what, 100 * (1 - found["cpu"] / found["seconds"]), "%", 33)
