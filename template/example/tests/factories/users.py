from functools import cache

import factory
from argon2 import PasswordHasher

from {{ package_name }}.domain import User
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
