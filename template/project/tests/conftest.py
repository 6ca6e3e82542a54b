"""Ties the tests to the testbed, which finds the fixtures in tests/fixtures/ by itself."""

from pathlib import Path

import pytest

pytest_plugins = ["tests.testbed.plugin"]

TESTS = Path(__file__).parent

LAYERS = (TESTS / "integration", TESTS / "e2e")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Run what is named on the command line, although `pytest` alone runs unit tests."""
    from tests.testbed.plugin import set_environment

    named = [Path(argument.partition("::")[0]).resolve() for argument in config.args]
    if config.option.markexpr == "unit" and all(
        any(path.is_relative_to(layer) for layer in LAYERS) for path in named
    ):
        config.option.markexpr = ""
    # A real address in a developer's shell is none of the tests' business.
    set_environment(config)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the other layers unread when unit tests run: their imports take longer than the tests."""
    return True if config.option.markexpr == "unit" and collection_path in LAYERS else None
