"""Loads the fixture modules. One that cannot be imported stops only the tests that need its fixtures."""

import re
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

from .safety import guard

FIXTURE = re.compile(
    r"^@pytest(?:_asyncio)?\.fixture\b.*?^(?:async )?def (\w+)", re.MULTILINE | re.DOTALL
)


def load(config: pytest.Config, folder: Path) -> list[str]:
    """Load each module of a folder as a plugin.

    Returns:
        A line for each module that cannot be imported. Its fixtures fail with the same line.
    """
    problems = []
    for path in sorted(folder.glob("[!_]*.py")):
        name = f"{folder.parent.name}.{folder.name}.{path.stem}"
        try:
            with guard.phase(f"import of {folder.name}/{path.name}"):
                config.pluginmanager.import_plugin(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001
            # pytest wraps an ImportError in one of its own.
            cause = error.__cause__ or error
            reason = " ".join(str(cause).split())
            problem = (
                f"{folder.parent.name}/{folder.name}/{path.name} cannot be imported "
                f"({type(cause).__name__}: {reason}): repair it, or delete it and the tests that use its fixtures"
            )
            problems.append(problem)
            config.pluginmanager.register(_substitute(path, problem), f"{name} (broken)")
    return problems


def _substitute(path: Path, problem: str) -> ModuleType:
    """Return a plugin with the fixtures of a module, each of which fails."""
    plugin = ModuleType(path.stem)
    for name in FIXTURE.findall(path.read_text(errors="replace")):

        def broken() -> NoReturn:
            pytest.fail(problem, pytrace=False)

        # Fixtures of any scope may request it.
        setattr(plugin, name, pytest.fixture(scope="session", name=name)(broken))
    return plugin
