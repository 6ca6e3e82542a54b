"""Factories for test data.

pytest-randomly seeds them for each test: the seed is in pytest's header and below a failed test.
Without it, each test gets the same data in every run.
"""

from functools import cache

import factory
from argon2 import PasswordHasher
from factory.random import reseed_random

from {{ package_name }}.domain import Item, Order, OrderStatus, User
from {{ package_name }}.passwords import Passwords

PASSWORD = "TestPass123!"
"""The password of every user who is made here."""


@cache
def weak_passwords() -> Passwords:
    """Password hashing that is quick and weak: for tests only."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@cache
def password_hash() -> str:
    return weak_passwords().hash(PASSWORD)


class UserFactory(factory.Factory[User]):
    """A user who has not verified the e-mail address. Trait: `verified`, who can log in."""

    class Meta:
        model = User

    class Params:
        verified = factory.Trait(is_verified=True)

    id = factory.Faker("uuid4", cast_to=None)
    email = factory.Sequence(lambda number: f"user{number}@example.com")
    name = factory.Faker("name")
    password_hash = factory.LazyFunction(password_hash)
    is_verified = False
    is_active = True


class ItemFactory(factory.Factory[Item]):
    """An item of which ten are left."""

    class Meta:
        model = Item

    sku = factory.Sequence(lambda number: f"SKU-{number:03}")
    name = factory.Faker("word")
    price = factory.Faker("pydecimal", min_value=1, max_value=500, right_digits=2)
    quantity = 10


class OrderFactory(factory.Factory[Order]):
    """A pending order of one verified user's. Traits: `paid`, `cancelled`."""

    class Meta:
        model = Order
        exclude = ("user", "item")

    class Params:
        paid = factory.Trait(status=OrderStatus.PAID)
        cancelled = factory.Trait(status=OrderStatus.CANCELLED)

    user = factory.SubFactory(UserFactory, verified=True)
    item = factory.SubFactory(ItemFactory)

    id = factory.Faker("uuid4", cast_to=None)
    user_id = factory.SelfAttribute("user.id")
    sku = factory.SelfAttribute("item.sku")
    quantity = 1
    total_amount = factory.LazyAttribute(lambda order: order.item.price * order.quantity)
    status = OrderStatus.PENDING


def reset_factories(*, reseed: bool) -> None:
    """Have factories count from zero, and make up the same data again if `reseed` is true."""
    UserFactory.reset_sequence(0)
    ItemFactory.reset_sequence(0)
    if reseed:
        reseed_random(0)
