"""The folders of the template: each lists the files that it has, and no two render one path."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from .service import Outcome
from .test_bad_input import copy
from .test_new_dependency import add_echo
from .variants import TEMPLATE, listed_files

LISTINGS = sorted(
    path.relative_to(TEMPLATE / "template")
    for name in ("dependency", "api", "external", "example", "ci")
    for path in (TEMPLATE / "template").rglob(f"{name}.yml")
)
PARTS = {"compose.yml", "settings.py", "install.yml", "images.yml"}
"""Files that become a part of a rendered file."""


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda path: path.parent.as_posix())
def test_listing_is_the_content_of_its_folder(listing: Path) -> None:
    path = TEMPLATE / "template" / listing
    listed = listed_files(yaml.safe_load(path.read_text()))

    files = {
        each.relative_to(path.parent).as_posix()
        for each in path.parent.rglob("*")
        if each.is_file() and not {"standin", "__pycache__"} & set(each.parts)
    }
    assert set(listed) == files - PARTS - {path.name}
    assert [name for name, count in Counter(listed).items() if count > 1] == []


def test_every_folder_has_a_listing() -> None:
    kinds = ("dependencies", "apis", "external", "ci")
    folders = {
        path.relative_to(TEMPLATE / "template")
        for kind in kinds
        for path in (TEMPLATE / "template" / kind).iterdir()
        if path.is_dir()
    }

    assert {each.parent for each in LISTINGS} == folders | {Path("example")}


ECHO = "template/dependencies/echo"


@pytest.fixture
def own_template(template: Path, tmp_path: Path) -> Path:
    """The template with one more server, as a folder that the test may change."""
    target = tmp_path / "template"
    shutil.copytree(template, target, ignore=shutil.ignore_patterns(".git"))
    add_echo(target)
    return target


def put(template: Path, path: str, listing: str = f"{ECHO}/dependency.yml") -> None:
    """Have a folder render one more path."""
    file = template / listing
    facts: dict[str, Any] = yaml.safe_load(file.read_text())
    facts["files"].append(path)
    file.write_text(yaml.safe_dump(facts))
    (file.parent / path).parent.mkdir(parents=True, exist_ok=True)
    (file.parent / path).touch()


def copy_with_echo(template: Path, *options: str) -> Outcome:
    choice = "dependencies=[postgres, echo]"
    return copy(template, template.parent / "shop", "-d", choice, *options)


@pytest.mark.parametrize(
    ("path", "target", "other"),
    [
        ("tests/fixtures/postgres.py", None, "template/dependencies/postgres"),
        ("src/package/domain.py", "src/shop/domain.py", "template/example"),
        ("tests/fixtures/rest.py", None, "template/apis/rest"),
        (
            "tests/fixtures/payment_gateway.py",
            None,
            "template/external/payment_gateway for payment_gateway",
        ),
        (".github/workflows/tests.yml", None, "template/ci/github"),
        ("tests/conftest.py", None, "template/project"),
        ("tests/README.md", None, "template/project"),
    ],
)
def test_path_of_two_folders_stops_the_copy(
    own_template: Path, path: str, target: str | None, other: str
) -> None:
    put(own_template, path)

    done = copy_with_echo(own_template)

    assert done.code != 0
    (line,) = done.output.strip().splitlines()
    assert f"rename {target or path} in one of these folders, as both render it: " in line
    named = line.partition("both render it: ")[2].rstrip("'")
    assert sorted(named.split(" and ")) == sorted([ECHO, other])
    assert not (own_template.parent / "shop").exists()


def test_path_of_two_third_parties_stops_the_copy(own_template: Path) -> None:
    put(own_template, "tests/fixtures/any.py", "template/external/skeleton/external.yml")

    done = copy_with_echo(own_template, "-d", "external_apis=[geo, weather]")

    assert done.code != 0
    folders = "template/external/skeleton for geo and template/external/skeleton for weather"
    advice = "rename tests/fixtures/any.py in one of these folders, as both render it: "
    assert advice + folders in done.output


def test_path_of_a_folder_that_is_not_chosen_is_free(own_template: Path) -> None:
    put(own_template, "tests/fixtures/redis.py")

    done = copy_with_echo(own_template)

    assert done.code == 0, done.output
    assert (own_template.parent / "shop" / "tests" / "fixtures" / "redis.py").read_text() == ""
