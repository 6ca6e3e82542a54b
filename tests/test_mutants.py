"""Each rendered adapter, broken on purpose in each of its functions: a rendered test has to notice."""

import subprocess
from pathlib import Path

import pytest

from .conftest import Render
from .mutants import Mutant, mutants
from .service import Service
from .variants import EVERYTHING, dependencies, third_parties

ADAPTERS = "src/package/adapters/"
PATIENCE = 180
"""Seconds after which tests that a mutant keeps waiting have noticed it."""
SURVIVORS = Path(__file__).with_name("survivors.txt")


def adapters() -> dict[str, list[str]]:
    """The path of each adapter in the example's package, with the tests that are about it."""
    found = {
        f"{ADAPTERS}memory.py": ["tests/unit"],
        f"{ADAPTERS}mail.py": ["tests/unit"],
        f"{ADAPTERS}http.py": ["tests/integration/external"],
    }
    for facts in (*dependencies().values(), *third_parties().values()):
        files = facts["files"] + facts["example_files"]
        tests = [path for path in files if path.startswith("tests/integration/")]
        for path in files:
            if path.startswith(ADAPTERS) and path.endswith(".py") and "/migrations/" not in path:
                found[path] = tests
    return found


def rendered(path: str) -> str:
    """Where a file of the template lands in a service that has everything."""
    return path.replace("/package/", "/shop/").replace("skeleton", "skeleton_api")


def survivors() -> dict[str, str]:
    """What no test notices, and why that is as it should be: lines of `<mutant>  # <reason>`."""
    lines = [line for line in SURVIVORS.read_text().splitlines() if line]
    return {mutant: reason for mutant, _, reason in (line.partition("  # ") for line in lines)}


def is_noticed(service: Service, *selection: str) -> bool:
    options = ("-x", "-q", "-m", "not slow", "--services", "embedded")
    try:
        done = service.pytest(*options, *selection, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return True
    assert done.code in (0, 1, 2), done.output
    return done.code != 0


@pytest.mark.parametrize("path", adapters())
def test_every_mutant_is_noticed(
    render: Render, everything: Service, tmp_path: Path, path: str
) -> None:
    service = render(tmp_path / "shop", **EVERYTHING)
    (service.path / ".venv").symlink_to(everything.path / ".venv")
    module = service.path / rendered(path)
    source = module.read_text()
    near = [rendered(test) for test in adapters()[path]]

    def survives(mutant: Mutant) -> bool:
        module.write_text(mutant.source)
        return not is_noticed(service, *near) and not is_noticed(service)

    try:
        alive = {f"{path} {each.name}" for each in mutants(source) if survives(each)}
    finally:
        module.write_text(source)

    assert alive == {mutant for mutant in survivors() if mutant.startswith(f"{path} ")}


def test_every_survivor_has_a_reason() -> None:
    assert all(survivors().values())
