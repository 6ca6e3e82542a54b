"""Pytest plugin, for the rendered service: unhooks the guard for every second block of tests.

Writes down the CPU time of each test, with the guard's hooks and without. An audit hook cannot be
taken away again: what it adds to an event is measured before the guard comes and at the end.
"""

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest
from blocks import block_of, kind_of

pytest_plugins = ["blocks"]

EVENT = ("object.__getattr__", None, "__code__")
"""The event that a test has most often."""
CALLS = 20_000
ROUNDS = 15

_blocks: dict[str, dict[str, dict[int, list[float]]]] = {
    "with": defaultdict(lambda: defaultdict(list)),
    "without": defaultdict(lambda: defaultdict(list)),
}
"""Seconds of each test, by its name and the number of its pair of blocks."""


def seconds_of_an_event() -> float:
    """CPU time of one audit event, undisturbed."""
    rounds = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for _ in range(CALLS):
            sys.audit(*EVENT)
        rounds.append((time.process_time() - begun) / CALLS)
    return min(rounds)


_bare = seconds_of_an_event()
"""Measured when this is loaded, which is before the guard."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    manager, hooks = item.config.pluginmanager, sys.modules["tests.testbed.safety.hooks"]
    pair, second = divmod(block_of(item), 2)
    # Which one comes first takes turns too.
    wanted = second == pair % 2
    if wanted != manager.is_registered(hooks):
        (manager.register if wanted else manager.unregister)(hooks)
    begun = time.process_time()
    handled = yield
    _blocks["with" if wanted else "without"][kind_of(item)][pair].append(
        time.process_time() - begun
    )
    return handled


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    guarded = seconds_of_an_event()
    result = {"event": guarded - _bare, **_blocks}
    Path(os.environ["BENCHMARK_RESULT"]).write_text(json.dumps(result))
