"""Pytest plugin, for the rendered service: each test follows one of its own kind, in blocks of ten."""

import re

import pytest

BLOCK = 10


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Alternate between blocks of equal tests."""
    items.sort(key=block_of)


def block_of(item: pytest.Item) -> int:
    """Number of the block of a parametrised test."""
    found = re.search(r"\[(\d+)\]$", item.name)
    return int(found[1]) // BLOCK if found else 0


def kind_of(item: pytest.Item) -> str:
    """Name of a test without its parameters."""
    return item.name.partition("[")[0]
