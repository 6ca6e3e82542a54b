"""Pytest plugin, for the rendered service: counts the audit events of each test."""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest
from blocks import kind_of

_count = 0
_events: dict[str, list[int]] = defaultdict(list)


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    global _count
    _count += 1


sys.addaudithook(_audit)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    before = _count
    handled = yield
    _events[kind_of(item)].append(_count - before)
    return handled


def pytest_sessionfinish() -> None:
    Path(os.environ["BENCHMARK_RESULT"]).write_text(json.dumps(_events))
