"""Factories for test data, one module for each part of the domain.

pytest-randomly seeds them for each test: the seed is in pytest's header and below a failed test.
Without it, each test gets the same data in every run.
"""

from factory.random import reseed_random

from .orders import ItemFactory, OrderFactory
from .users import UserFactory

__all__ = ["ItemFactory", "OrderFactory", "UserFactory", "reset_factories"]


def reset_factories(*, reseed: bool) -> None:
    """Have factories count from zero, and make up the same data again if `reseed` is true."""
    UserFactory.reset_sequence(0)
    ItemFactory.reset_sequence(0)
    if reseed:
        reseed_random(0)
