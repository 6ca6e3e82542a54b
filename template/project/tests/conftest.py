"""Ties the tests to the testbed, which finds the fixtures in tests/fixtures/ by itself."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

from tests.testbed.dependency import known

pytest_plugins = ["tests.testbed.plugin"]

TESTS = Path(__file__).parent

# A real address in a developer's shell is none of the tests' business: fixtures set their own.
for dependency in known().values():
    os.environ.pop(dependency.service_variable, None)


LAYERS = (TESTS / "integration", TESTS / "e2e")


def pytest_configure(config: pytest.Config) -> None:
    """Run what is named on the command line, although `pytest` alone runs unit tests."""
    named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    if config.option.markexpr == "unit" and all(
        any(path.is_relative_to(layer) for layer in LAYERS) for path in named
    ):
        config.option.markexpr = ""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the other layers unread when unit tests run: their imports take longer than the tests."""
    return True if config.option.markexpr == "unit" and collection_path in LAYERS else None


class OutsideLayers(pytest.Module):
    """A test file that no command would run, as commands select tests by their layer."""

    def collect(self) -> NoReturn:
        raise self.CollectError(
            f"{self.path.relative_to(TESTS.parent)} is outside the test layers, so no command runs it: "
            "move it to tests/unit, tests/integration or tests/e2e"
        )


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> OutsideLayers | None:
    """Report test files outside the layers as errors."""
    inside = any(module_path.is_relative_to(layer) for layer in (TESTS / "unit", *LAYERS))
    return None if inside else OutsideLayers.from_parent(parent, path=module_path)


@pytest.fixture(autouse=True)
def no_network(loopback_only: None) -> None:
    """No test reaches beyond this machine unless it is marked `network`."""
