"""The example, broken on purpose in one place at a time: the tests that are about it have to notice.

A run takes a sample, the same in each run. All of them: `MUTANTS=all scripts/test tests/test_mutants.py`.
"""

import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from .conftest import Render
from .mutants import Mutant, mutants
from .service import Service
from .variants import EVERYTHING, all_example_files, apis, dependencies, third_parties
from .warm import WarmPytest

pytestmark = pytest.mark.slow

PACKAGE = "src/package/"
OPTIONS = ("-x", "-q", "-m", "not slow", "--servers", "embedded", "-p", "no:cacheprovider")
SECONDS = 240
"""How long the tests of one module may take."""
SAMPLE = 5
"""Mutants of each module that a usual run tries."""
SURVIVORS = Path(__file__).with_name("survivors.txt")


def modules() -> dict[str, list[list[str]]]:
    """The path of each module of the example, with the tests that are about it, the quick ones first."""
    flows = ["tests/integration/workflows"]
    locks = ["tests/integration/database/test_locks.py"]
    found = {
        f"{PACKAGE}domain.py": [["tests/unit/models"]],
        f"{PACKAGE}passwords.py": [["tests/unit/utils/test_passwords.py"]],
        f"{PACKAGE}services/events.py": [["tests/unit/services/test_event_service.py"]],
        f"{PACKAGE}services/inventory.py": [["tests/unit/services/test_inventory_service.py"]],
        f"{PACKAGE}services/orders.py": [["tests/unit/services/test_order_service.py"], locks],
        f"{PACKAGE}services/users.py": [["tests/unit/services/test_user_service.py"], locks],
        f"{PACKAGE}services/sign_in.py": [
            ["tests/unit/services/test_sign_in_service.py"],
            ["tests/integration/database/test_identity_repository.py"],
        ],
        f"{PACKAGE}entrypoints/consumer.py": [["tests/unit/services/test_consumer.py"]],
        f"{PACKAGE}adapters/memory.py": [["tests/unit/utils/test_adapters.py"]],
        f"{PACKAGE}adapters/mail.py": [["tests/unit/utils/test_adapters.py"]],
        f"{PACKAGE}adapters/http.py": [["tests/integration/external/test_payment_gateway.py"]],
    }
    for facts in (*dependencies().values(), *apis().values(), *third_parties().values()):
        files = all_example_files(facts)
        tests = [path for path in files if path.startswith("tests/integration/")]
        for path in files:
            part = path.startswith((f"{PACKAGE}adapters/", f"{PACKAGE}entrypoints/"))
            if path == f"{PACKAGE}adapters/memory_identity.py":
                found[path] = [["tests/unit/services/test_sign_in_service.py"]]
            elif part and path.endswith(".py") and "/migrations/" not in path:
                # What an API answers is used by those who call it.
                found[path] = [tests, *([flows] if "/entrypoints/" in path else [])]
    return found


def rendered(path: str) -> str:
    """Where a file of the template lands in a service that has everything."""
    return path.replace("/package/", "/shop/").replace("skeleton", "skeleton_api")


def chosen(path: str, source: str) -> list[Mutant]:
    """The mutants of a module that this run tries."""
    found = list(mutants(source))
    if os.environ.get("MUTANTS") == "all" or len(found) <= SAMPLE:
        return found
    return random.Random(path).sample(found, SAMPLE)


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
        # 2: a module that cannot be imported.
        assert code < 3, f"pytest ended with {code}"
        return code != 0

    def alive(self, path: str) -> set[str]:
        """The mutants of a module that no test notices."""
        module = self.service.path / rendered(path)
        source = module.read_text()
        stages = []
        for tests in modules()[path]:
            begun = time.monotonic()
            selection = [rendered(test) for test in tests]
            assert not self.notices(selection, SECONDS), self.pytest.output
            # A mutant that keeps its tests waiting is noticed.
            stages.append((selection, 5 + 3 * round(time.monotonic() - begun)))

        def survives(mutant: Mutant) -> bool:
            module.write_text(mutant.source)
            # Its time, by which Python knows it, may be that of the last one.
            Path(cache_from_source(str(module))).unlink(missing_ok=True)
            return not any(self.notices(*stage) for stage in stages)

        try:
            return {f"{path} {each.name}" for each in chosen(path, source) if survives(each)}
        finally:
            module.write_text(source)
            Path(cache_from_source(str(module))).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def laboratory(
    render: Render, everything: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Laboratory]:
    service = render(tmp_path_factory.mktemp("mutants") / "shop", **EVERYTHING)
    (service.path / ".venv").symlink_to(everything.path / ".venv")
    with WarmPytest(service) as pytest_:
        yield Laboratory(service, pytest_)


@pytest.mark.parametrize("path", modules())
def test_every_mutant_is_noticed(laboratory: Laboratory, path: str) -> None:
    assert sorted(laboratory.alive(path) - set(survivors())) == []


def test_every_survivor_is_a_mutant_and_has_a_reason(laboratory: Laboratory) -> None:
    known = {
        f"{path} {mutant.name}"
        for path in modules()
        for mutant in mutants((laboratory.service.path / rendered(path)).read_text())
    }

    assert set(survivors()) <= known
    assert all(survivors().values())
