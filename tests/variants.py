"""The variants under test come from the dependency folders, so a new folder adds its own."""

import re
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[1]
FOLDERS = TEMPLATE / "template" / "dependencies"
API_FOLDERS = TEMPLATE / "template" / "apis"


def dependencies() -> dict[str, dict[str, Any]]:
    """The dependency.yml of every folder by its name, in the order in which they are offered."""
    found = [yaml.safe_load(path.read_text()) for path in FOLDERS.glob("*/dependency.yml")]
    return {each["name"]: each for each in sorted(found, key=lambda each: int(each["order"]))}


def variants(pairs: bool = True) -> list[tuple[str, ...]]:
    """None, each alone, every pair if wanted, and all."""
    names = list(dependencies())
    both = combinations(names, 2) if pairs else ()
    return [(), *((name,) for name in names), *both, tuple(names)]


def variant_id(variant: Iterable[str]) -> str:
    return "+".join(variant) or "none"


def apis() -> dict[str, dict[str, Any]]:
    """The api.yml of every folder by its name."""
    found = [yaml.safe_load(path.read_text()) for path in sorted(API_FOLDERS.glob("*/api.yml"))]
    return {each["name"]: each for each in found}


def api_choices() -> list[tuple[str, ...]]:
    """Every choice of APIs, from none to all."""
    counts = range(len(apis()) + 1)
    return [chosen for count in counts for chosen in combinations(apis(), count)]


def all_example_files(facts: dict[str, Any]) -> list[str]:
    """What a folder renders with the example where APIs of every kind are called."""
    with_kinds = facts.get("files_with", {}).values()
    return [*facts["example_files"], *(path for paths in with_kinds for path in paths)]


def listed_files(facts: dict[str, Any]) -> list[str]:
    """Each path that a folder renders with some answers, as its listing names it."""
    keys = ("files", "example_files", "asgi_files", "external_files")
    found = [path for key in keys for path in facts.get(key, [])]
    found += [path for paths in facts.get("files_with", {}).values() for path in paths]
    found += [facts[key] for key in ("first_test", "file") if key in facts]
    # The example has these with it too.
    return found + [path for path in facts.get("bare_files", []) if path not in found]


def third_parties() -> dict[str, dict[str, Any]]:
    """The external.yml of every folder by its name; `skeleton` is for all other names."""
    paths = sorted((TEMPLATE / "template" / "external").glob("*/external.yml"))
    found = [yaml.safe_load(path.read_text()) for path in paths]
    return {each["name"]: each for each in found}


EVERYTHING = {
    "dependencies": list(dependencies()),
    "apis": list(apis()),
    "external_apis": list(third_parties()),
}
"""Answers that choose all there is. The name `skeleton` is taken, so its API is called skeleton_api."""


def default_images() -> list[str]:
    """The images that the rendered compose files name."""
    pattern = re.compile(r"image: \$\{\w+:-(\S+)\}")
    found = [pattern.findall(path.read_text()) for path in sorted(FOLDERS.glob("*/compose.yml"))]
    return [image for images in found for image in images]
