"""guard: what it costs that no connection reaches a server which the testbed did not hand out."""

import json
import time
from pathlib import Path
from statistics import median
from typing import Any

from .report import Report, Row
from .workspace import PROBES, Workspace, must

TESTS = 600
RUNS = 5
ROUNDS = 3
TARGET = 0.1
METHOD = f"""\
A test: {TESTS} equal ones in a run of pytest; for every second block of ten the guard's pytest hooks are
taken away. The difference of the CPU time of the two medians of a pair of blocks, of all pairs the
median, and of {RUNS} runs the median. On top comes what the guard's audit hook adds to one event of
Python, times the events of such a test. "Fastest runs": the same from the fastest test of each
block. The bodies are in probes/test_guard.py.
A suite: all tests that are rendered, embedded and serial, with the guard and without, in turns; the
median of {ROUNDS} ratios. "Fastest runs": the ratio of the fastest runs."""
TITLES = {"test_empty": "an empty test", "test_servers": "a test of PostgreSQL and Redis"}
OPTIONS = ("-m", "", "-p", "no:randomly", "--servers", "embedded")


def measure(workspace: Workspace) -> Report:
    runs = [run(workspace, "guard_in_turns") for _ in range(RUNS)]
    events = run(workspace, "count_events")
    rows = []
    for test, title in TITLES.items():
        count = median(events[test])
        audit = median(each["event"] for each in runs) * count * 1000
        added, undisturbed, bare = (
            median(values) * 1000 for values in zip(*(of_a_run(each, test) for each in runs))
        )
        what = f"{title}, of {bare:.1f} ms"
        rows.append(Row(what, added + audit, "ms", TARGET, undisturbed + audit))
        rows.append(Row(f"– of it for {count:g} audit events", audit, "ms"))
    return Report("guard", METHOD, [*rows, suite(workspace)])


def of_a_run(costs: dict[str, Any], test: str) -> tuple[float, float, float]:
    """What the hooks add to a test, what they add to the fastest ones, and a test without them."""
    guarded, bare = costs["with"][test], costs["without"][test]
    pairs = [(guarded[pair], bare[pair]) for pair in bare]
    return (
        median(median(one) - median(other) for one, other in pairs),
        median(min(one) - min(other) for one, other in pairs),
        median(median(other) for _, other in pairs),
    )


def run(workspace: Workspace, plugin: str) -> dict[str, Any]:
    """What a plugin writes down of the tests in probes/test_guard.py."""
    result = workspace.folder / f"{plugin}.json"
    environment = {
        "BENCHMARK_TESTS": str(TESTS),
        "BENCHMARK_RESULT": str(result),
        "PYTHONPATH": str(PROBES),
    }
    with workspace.probe_module("test_guard.py") as module:
        must(workspace.service.pytest(*OPTIONS, "-p", plugin, str(module), env=environment))
    found: dict[str, Any] = json.loads(Path(result).read_text())
    return found


def suite(workspace: Workspace) -> Row:
    path = {"PYTHONPATH": f"{PROBES}:{workspace.service.path}"}

    def seconds(*options: str) -> float:
        begun = time.perf_counter()
        must(workspace.service.pytest(*OPTIONS, *options, env=path))
        return time.perf_counter() - begun

    seconds()
    rounds = [(seconds(), seconds("-p", "unguarded")) for _ in range(ROUNDS)]
    guarded, bare = (min(each) for each in zip(*rounds, strict=True))
    ratio = median(one / other for one, other in rounds)
    what = f"the rendered suite, guarded / unguarded ({bare:.0f} s)"
    return Row(what, ratio, "×", 1.05, guarded / bare)
