"""The variants under test come from the dependency folders, so a new folder adds its own."""

import re
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[1]
FOLDERS = TEMPLATE / "template" / "dependencies"


def dependencies() -> dict[str, dict[str, Any]]:
    """The dependency.yml of every folder by its name, in the order in which they are offered."""
    found = [yaml.safe_load(path.read_text()) for path in FOLDERS.glob("*/dependency.yml")]
    return {each["name"]: each for each in sorted(found, key=lambda each: int(each["order"]))}


def variants() -> list[tuple[str, ...]]:
    """None, each alone, every pair, and all."""
    names = list(dependencies())
    return [(), *((name,) for name in names), *combinations(names, 2), tuple(names)]


def variant_id(variant: Iterable[str]) -> str:
    return "+".join(variant) or "none"


def default_images() -> list[str]:
    """The images that the rendered compose files name."""
    pattern = re.compile(r"image: \$\{\w+:-(\S+)\}")
    found = [pattern.findall(path.read_text()) for path in sorted(FOLDERS.glob("*/compose.yml"))]
    return [image for images in found for image in images]
