"""What the fixtures promise holds from each source, and each server and each fake has such tests."""

import sys
from pathlib import Path

import pytest

from .conftest import Render
from .service import Service
from .variants import EVERYTHING, dependencies, third_parties

SOURCES = ["embedded", pytest.param("containers", marks=pytest.mark.engine)]
CONTRACT = ("-m", "", "tests/integration/contract")


@pytest.fixture(scope="module")
def service(
    render: Render, everything: Service, tmp_path_factory: pytest.TempPathFactory
) -> Service:
    """A service that has everything, with the tests of tests/contract."""
    service = render(tmp_path_factory.mktemp("contract") / "shop", **EVERYTHING)
    service.add_tests("contract")
    (service.path / ".venv").symlink_to(everything.path / ".venv")
    return service


def names() -> set[str]:
    return {*dependencies(), *third_parties()} - {"skeleton"} | {"skeleton_api"}


@pytest.mark.parametrize("source", SOURCES)
def test_promises_hold(service: Service, request: pytest.FixtureRequest, source: str) -> None:
    if source == "containers":
        request.getfixturevalue("engine")

    done = service.pytest(*CONTRACT, "--servers", source, "-v")

    assert done.all_passed, done.output
    for name in names():
        assert f"/test_{name}_contract.py::" in done.output
    for name in dependencies():
        assert f"\n{name}: {source} (" in done.output


def test_each_server_and_each_fake_has_a_module() -> None:
    modules = (Path(__file__).parent / "contract").glob("[!_]*.py")

    assert {module.stem for module in modules} == names()


def test_type_checker_finds_nothing(service: Service) -> None:
    mypy = (sys.executable, "-m", "mypy", "--python-executable", str(service.python))

    done = service.run(*mypy, "tests/integration/contract")

    assert done.code == 0, done.output


def test_proxy_of_the_developer_is_not_asked_for_this_machine(service: Service) -> None:
    proxy = dict.fromkeys(["HTTP_PROXY", "http_proxy", "ALL_PROXY"], "http://192.0.2.1:3128")

    done = service.pytest(*CONTRACT, "--servers", "embedded", env=proxy)

    assert done.all_passed, done.output


@pytest.mark.parametrize("name", sorted(names()))
def test_first_test_of_a_server_or_fake_is_short_and_runs(
    render: Render, service: Service, tmp_path: Path, name: str
) -> None:
    """Without the example it is all that a user has to copy from."""
    answers = {"dependencies": [name], "external_apis": []}
    if name not in dependencies():
        answers = {"dependencies": [], "external_apis": [name.removesuffix("_api")]}
    bare = render(tmp_path / "shop", example=False, apis=[], **answers)
    (bare.path / ".venv").symlink_to(service.path / ".venv")
    [first] = bare.path.glob("tests/integration/*/test_*.py")

    done = bare.pytest("-m", "", "--servers", "embedded")

    assert done.all_passed, done.output
    assert first.name == f"test_{name}_contract.py"
    assert len(first.read_text().splitlines()) <= 35
    path = str(first.relative_to(bare.path))
    assert path in (bare.path / "AGENTS.md").read_text()
    assert not (service.path / path).exists()
