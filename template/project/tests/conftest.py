"""Ties the tests to the testbed, which finds the fixtures in tests/fixtures/ by itself."""

import os
from pathlib import Path

import pytest

from tests.testbed.dependency import known

pytest_plugins = ["tests.testbed.plugin"]

TESTS = Path(__file__).parent

# A real address in a developer's shell is none of the tests' business: fixtures set their own.
for dependency in known().values():
    os.environ.pop(dependency.service_variable, None)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the other layers unread when unit tests run: their imports take longer than the tests."""
    layers = (TESTS / "integration", TESTS / "e2e")
    return True if config.option.markexpr == "unit" and collection_path in layers else None


@pytest.fixture(autouse=True)
def no_network(loopback_only: None) -> None:
    """No test reaches beyond this machine unless it is marked `network`."""
