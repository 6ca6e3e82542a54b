"""Pytest plugin, for the rendered service: writes down how long each test took."""

import json
import os
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path

import pytest
from blocks import kind_of

pytest_plugins = ["blocks"]

_seconds: dict[str, list[float]] = defaultdict(list)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    begun = time.perf_counter()
    handled = yield
    _seconds[kind_of(item)].append(time.perf_counter() - begun)
    return handled


def pytest_sessionfinish() -> None:
    Path(os.environ["BENCHMARK_RESULT"]).write_text(json.dumps(_seconds))
