"""Each installer reads the rendered pyproject.toml, and what it installs is enough."""

import sys
from pathlib import Path

import pytest
from pip._internal.models.index import PyPI

from .conftest import Render
from .service import CONSTRAINTS, Service
from .variants import variants

pytestmark = pytest.mark.suite

ALL = list(variants()[-1])
SOME = ("--servers", "embedded", "-k", "Contract or api or EndToEnd")
"""All tests are imported, and these use every package."""


def environment(service: Service) -> None:
    done = service.run(sys.executable, "-m", "venv", ".venv")
    assert done.code == 0, done.output


def test_pip_installs_all_that_the_tests_need(render: Render, tmp_path: Path) -> None:
    service = render(tmp_path / "shop", dependencies=ALL)
    service.add_tests("contract")
    environment(service)
    pip = [str(service.python), "-m", "pip", "install", "--quiet", "--constraint", str(CONSTRAINTS)]
    assert service.run(*pip, "pip>=25.1").code == 0

    done = service.run(*pip, "--group", "dev", "--editable", ".")

    assert done.code == 0, done.output
    assert service.pytest("-m", "", *SOME).all_passed


def test_poetry_installs_all_that_the_tests_need(render: Render, tmp_path: Path) -> None:
    service = render(tmp_path / "shop", dependencies=["redis"])
    service.add_tests("contract")
    environment(service)
    poetry = [sys.executable, "-m", "poetry"]
    inside = {
        "VIRTUAL_ENV": str(service.path / ".venv"),
        "PATH": f"{service.path}/.venv/bin:/usr/bin:/bin",
    }

    # Mirrors have the index that pip reads, but often not the other one that Poetry asks first.
    source = service.run(*poetry, "source", "add", "index", PyPI.simple_url, env=inside)
    assert source.code == 0, source.output

    done = service.run(*poetry, "install", "--no-interaction", "--with", "dev", env=inside)

    assert done.code == 0, done.output
    assert service.pytest("-m", "", *SOME).all_passed


@pytest.mark.parametrize("name", ["a", "long_name_of_forty_characters_as_allowed", "zebra"])
def test_package_name_of_any_length_stays_formatted(
    render: Render, tmp_path: Path, name: str
) -> None:
    service = render(tmp_path / "shop", package_name=name, dependencies=ALL)

    for command in (["format", "--diff"], ["check"]):
        done = service.run(sys.executable, "-m", "ruff", *command, "--no-cache", ".")
        assert done.code == 0, done.output
