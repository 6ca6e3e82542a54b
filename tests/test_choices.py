"""Every choice of APIs crossed with third parties and a database is clean; a sample with all pairs is green.

All of them run with `CHOICES=all scripts/test tests/test_choices.py`.
"""

import os
import sys
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest

from .conftest import Render, exclusive
from .service import Service
from .variants import api_choices, variant_id

THIRD_PARTIES = {
    "no third party": [],
    "the default ones": ["payment_gateway"],
    "an identity provider": ["payment_gateway", "auth_provider"],
    "awkward names": ["3D-Secure", "class", "a rather long name of thirty x"],
}
DATABASES: list[tuple[str, ...]] = [(), ("postgres",)]
CHOICES = list(product(api_choices(), THIRD_PARTIES, DATABASES))
SAMPLE = [
    (offered, third_parties, DATABASES[(row + column) % len(DATABASES)])
    for row, offered in enumerate(api_choices())
    for column, third_parties in enumerate(THIRD_PARTIES)
]
"""Has every pair of answers to two of the three questions."""
RUN = CHOICES if os.environ.get("CHOICES") == "all" else SAMPLE
SUITE = "(integration or e2e) and not slow"
"""Unit tests are the same in every choice."""


def choice_id(choice: tuple[Any, ...]) -> str:
    offered, third_parties, databases = choice
    return f"{variant_id(offered)}, {third_parties}, {variant_id(databases)}"


@pytest.fixture(params=CHOICES, ids=choice_id)
def chosen(
    request: pytest.FixtureRequest, render: Render, everything: Service, shared_folder: Path
) -> Service:
    """A service of one choice, rendered once for the run, in an environment that has all packages."""
    offered, third_parties, databases = request.param
    path = shared_folder / "choices" / choice_id(request.param).replace(", ", "-") / "shop"
    path.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(path.parent / "lock"):
        if not path.exists():
            answers = {"apis": list(offered), "dependencies": list(databases)}
            render(path, **answers, external_apis=THIRD_PARTIES[third_parties])
            (path / ".venv").symlink_to(everything.path / ".venv")
    return Service(path)


def test_formatter_linter_and_type_checker_find_nothing(
    chosen: Service, shared_folder: Path, worker_id: str
) -> None:
    cache = f"--cache-dir={shared_folder / f'mypy-{worker_id}'}"
    for command in (
        ["ruff", "format", "--diff", "--no-cache", "."],
        ["ruff", "check", "--no-cache", "."],
        ["mypy", cache, "--python-executable", str(chosen.python)],
    ):
        done = chosen.run(sys.executable, "-m", *command)
        assert done.code == 0, done.output


def test_sample_has_every_pair_of_answers() -> None:
    for first, second in combinations(range(3), 2):
        pairs = {(choice[first], choice[second]) for choice in CHOICES}
        assert {(choice[first], choice[second]) for choice in SAMPLE} == pairs


@pytest.mark.parametrize("chosen", RUN, ids=choice_id, indirect=True)
def test_suite_passes_embedded(chosen: Service) -> None:
    # The journey of those with a server is in containers below.
    layers = "integration and not slow" if "postgres" in chosen.path.parent.name else SUITE
    done = chosen.pytest("-m", layers, "--servers", "embedded")

    assert done.all_passed, done.output


@pytest.mark.engine
@pytest.mark.parametrize(
    "chosen",
    [choice for choice in RUN if choice[2]],
    ids=choice_id,
    indirect=True,
)
def test_suite_passes_in_containers(chosen: Service, engine: None) -> None:
    # The fakes of third parties are the same wherever the server runs.
    done = chosen.pytest("-m", SUITE, "-k", "not external", "--servers", "containers")

    assert done.all_passed, done.output
