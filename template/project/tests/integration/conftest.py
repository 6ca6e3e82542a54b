"""Ties the integration tests to the testbed where tests/conftest.py does not."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    # Not pytest_plugins: where pytest starts further up, it is an error in this file.
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    pluginmanager.import_plugin("tests.testbed.plugin")
