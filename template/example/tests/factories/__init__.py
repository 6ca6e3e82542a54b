"""Factories for test data, one module for each part of the domain.

pytest-randomly seeds them for each test: the seed is in pytest's header and below a failed test.
"""

from .orders import ItemFactory, OrderFactory
from .users import UserFactory

__all__ = ["ItemFactory", "OrderFactory", "UserFactory", "reset_sequences"]


def reset_sequences() -> None:
    UserFactory.reset_sequence(0)
    ItemFactory.reset_sequence(0)
