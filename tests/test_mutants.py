"""Each rendered adapter, broken on purpose in each of its functions: a rendered test has to notice."""

from collections.abc import Sequence
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from .conftest import Render
from .mutants import Mutant, mutants
from .service import Service
from .variants import EVERYTHING, dependencies, third_parties
from .warm import WarmPytest

ADAPTERS = "src/package/adapters/"
OPTIONS = ("-x", "-m", "not slow", "--services", "embedded", "-p", "no:cacheprovider")
NEAR_SECONDS, ALL_SECONDS = 45, 240
"""How long the tests of an adapter and all tests may take: a mutant that keeps them waiting is noticed."""
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


@pytest.mark.parametrize("path", adapters())
def test_every_mutant_is_noticed(
    render: Render, everything: Service, tmp_path: Path, path: str
) -> None:
    service = render(tmp_path / "shop", **EVERYTHING)
    (service.path / ".venv").symlink_to(everything.path / ".venv")
    module = service.path / rendered(path)
    near = [rendered(test) for test in adapters()[path]]

    with WarmPytest(service) as pytest_:

        def is_noticed(selection: Sequence[str], seconds: int) -> bool:
            code = pytest_.run([*OPTIONS, *selection], seconds)
            assert code < 3, f"pytest ended with {code}"
            return code != 0

        def survives(mutant: Mutant) -> bool:
            module.write_text(mutant.source)
            # Its time, by which Python knows it, may be that of the last one.
            Path(cache_from_source(str(module))).unlink(missing_ok=True)
            return not is_noticed(near, NEAR_SECONDS) and not is_noticed([], ALL_SECONDS)

        assert not is_noticed(near, ALL_SECONDS), "it is not broken yet"
        alive = {f"{path} {each.name}" for each in mutants(module.read_text()) if survives(each)}

    assert alive == {mutant for mutant in survivors() if mutant.startswith(f"{path} ")}


def test_every_survivor_has_a_reason() -> None:
    assert all(survivors().values())
