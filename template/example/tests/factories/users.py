import factory

from {{ package_name }}.domain import Role, User


class UserFactory(factory.Factory[User]):
    """A user who has not verified the e-mail address. Traits: `verified`, `admin`."""

    class Meta:
        model = User

    class Params:
        verified = factory.Trait(is_verified=True)
        admin = factory.Trait(role=Role.ADMIN, is_verified=True)

    id = factory.Faker("uuid4", cast_to=None)
    email = factory.Sequence(lambda number: f"user{number}@example.com")
    name = factory.Faker("name")
    password_hash = "!"  # matches no password
    role = Role.CUSTOMER
    is_verified = False
    is_active = True
