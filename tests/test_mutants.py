"""Each rendered adapter, broken on purpose in each of its functions: a rendered test has to notice."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
ALL_SECONDS = 240
"""How long all tests may take: a mutant that keeps them waiting is noticed."""
SURVIVORS = Path(__file__).with_name("survivors.txt")


def adapters() -> dict[str, list[str]]:
    """The path of each adapter in the example's package, with the tests that are about it."""
    found = {
        f"{ADAPTERS}memory.py": ["tests/unit"],
        f"{ADAPTERS}mail.py": ["tests/unit"],
        f"{ADAPTERS}http.py": ["tests/integration/external"],
    }
    for facts in (*dependencies().values(), *third_parties().values()):
        files = facts["example_files"]
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
    lines = [line for line in SURVIVORS.read_text().splitlines() if not line.startswith("#")]
    return {mutant: reason for mutant, _, reason in (line.partition("  # ") for line in lines)}


@dataclass(frozen=True)
class Laboratory:
    """A service that mutants are put into, and its pytest."""

    service: Service
    pytest: WarmPytest

    def notices(self, selection: Sequence[str], seconds: int) -> bool:
        code = self.pytest.run([*OPTIONS, *selection], seconds)
        assert code < 3, f"pytest ended with {code}"
        return code != 0


@pytest.fixture(scope="module")
def laboratory(
    render: Render, everything: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Laboratory]:
    service = render(tmp_path_factory.mktemp("mutants") / "shop", **EVERYTHING)
    (service.path / ".venv").symlink_to(everything.path / ".venv")
    with WarmPytest(service) as pytest_:
        yield Laboratory(service, pytest_)


@pytest.mark.parametrize("path", adapters())
def test_every_mutant_is_noticed(laboratory: Laboratory, path: str) -> None:
    module = laboratory.service.path / rendered(path)
    source = module.read_text()
    near = [rendered(test) for test in adapters()[path]]

    begun = time.monotonic()
    assert not laboratory.notices(near, ALL_SECONDS), laboratory.pytest.output
    near_seconds = 5 + 3 * round(time.monotonic() - begun)

    def survives(mutant: Mutant) -> bool:
        module.write_text(mutant.source)
        # Its time, by which Python knows it, may be that of the last one.
        Path(cache_from_source(str(module))).unlink(missing_ok=True)
        return not (laboratory.notices(near, near_seconds) or laboratory.notices([], ALL_SECONDS))

    try:
        alive = {f"{path} {each.name}" for each in mutants(source) if survives(each)}
    finally:
        module.write_text(source)
        Path(cache_from_source(str(module))).unlink(missing_ok=True)

    assert alive == {mutant for mutant in survivors() if mutant.startswith(f"{path} ")}


def test_every_survivor_has_a_reason() -> None:
    assert all(survivors().values())
