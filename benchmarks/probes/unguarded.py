"""Pytest plugin, for the rendered service: takes the guard away, to measure what it costs."""

import sys
from types import ModuleType

from tests.testbed.safety import guard


def install() -> None:
    """Make the state that the testbed writes to, and have nothing read it."""
    state = guard._Guard
    state.allowed, state.own, state.refused, state.early = set(), set(), [], set()


guard.install = install
sys.modules["tests.testbed.safety.hooks"] = ModuleType("hooks")
