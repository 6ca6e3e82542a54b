"""Ties the tests to the testbed, which finds the fixtures in tests/fixtures/ by itself."""

from pathlib import Path
from typing import NoReturn

import pytest

pytest_plugins = ["tests.testbed.plugin"]

TESTS = Path(__file__).parent

LAYERS = (TESTS / "integration", TESTS / "e2e")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Run what the command line asks for, although `pytest` alone runs unit tests."""
    from tests.testbed.plugin import set_environment

    if config.option.markexpr == "unit":
        typed = any(argument.startswith("-m") for argument in config.invocation_params.args)
        named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
        others = any(path.is_relative_to(layer) for path in named for layer in LAYERS)
        if not typed and (others or config.option.keyword):
            config.option.markexpr = ""
    # A real address in a developer's shell is none of the tests' business.
    set_environment(config)


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
