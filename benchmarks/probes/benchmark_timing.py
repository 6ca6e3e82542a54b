"""Pytest plugin, for the rendered service: puts tests into blocks, and writes down how long each took."""

import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest

BLOCK = 10

_seconds: dict[str, list[float]] = defaultdict(list)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Alternate between blocks of equal tests: each test follows one of its own kind."""
    items.sort(key=lambda item: _number(item) // BLOCK)


def _number(item: pytest.Item) -> int:
    found = re.search(r"\[(\d+)\]$", item.name)
    return int(found[1]) if found else 0


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    begun = time.perf_counter()
    handled = yield
    _seconds[item.name.partition("[")[0]].append(time.perf_counter() - begun)
    return handled


def pytest_sessionfinish() -> None:
    Path(os.environ["BENCHMARK_RESULT"]).write_text(json.dumps(_seconds))
