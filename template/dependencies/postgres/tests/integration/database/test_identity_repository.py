from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.orm import Session, sessionmaker

from {{ package_name }}.adapters.memory_identity import (
    InMemoryIdentityProvider,
)
from {{ package_name }}.adapters.postgres import PostgresDatabase
from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import EmailTaken
from {{ package_name }}.identity import Identity

from tests.factories import UserFactory
from tests.fixtures.shop import in_memory_shop

ADA = Identity("https://idp.example.com", "1", "ada@example.com", "Ada")
SECONDS = 10.0


@pytest.fixture
def provider() -> InMemoryIdentityProvider:
    return InMemoryIdentityProvider()


@pytest.fixture
def shop(postgres_committed: sessionmaker[Session], provider: InMemoryIdentityProvider) -> Shop:
    """The shop on PostgreSQL with real commits."""
    return in_memory_shop(database=PostgresDatabase(postgres_committed), identity=provider)


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


class TestIntegrationIdentityRepository:
    def test_identity_is_of_one_user(self, postgres_adapter: PostgresDatabase) -> None:
        first, second = UserFactory.build(), UserFactory.build()

        with postgres_adapter.begin() as work:
            for user in (first, second):
                work.users.add(user)
            work.identities.add(ADA, first.id)
            with pytest.raises(EmailTaken):
                work.identities.add(ADA, second.id)

            assert work.identities.find(ADA) == first.id
            assert work.identities.find(Identity(ADA.issuer, "2", ADA.email, "Eve")) is None
            assert work.identities.find(Identity("other", "1", ADA.email, "Eve")) is None

    def test_first_sign_ins_at_the_same_time_are_of_one_user(
        self,
        shop: Shop,
        provider: InMemoryIdentityProvider,
        thread: ThreadPoolExecutor,
        postgres_lock_awaited: Callable[[], None],
    ) -> None:
        begun = shop.sign_in.begin()
        code = provider.log_in(begun.url, ADA)

        with shop.database.begin() as work:
            work.users.add(UserFactory.build(email=ADA.email))
            second = thread.submit(shop.sign_in.finish, begun.state, code)
            postgres_lock_awaited()

        with pytest.raises(EmailTaken):
            second.result(SECONDS)

    def test_address_that_is_verified_meanwhile_is_taken(
        self,
        shop: Shop,
        provider: InMemoryIdentityProvider,
        thread: ThreadPoolExecutor,
        postgres_lock_awaited: Callable[[], None],
    ) -> None:
        user = shop.users.register(ADA.email, "SecurePass123!", "First")
        begun = shop.sign_in.begin()
        code = provider.log_in(begun.url, ADA)

        with shop.database.begin() as work:
            held = work.users.get_for_update(user.id)
            second = thread.submit(shop.sign_in.finish, begun.state, code)
            postgres_lock_awaited()
            held.is_verified = True
            work.users.save(held)

        with pytest.raises(EmailTaken):
            second.result(SECONDS)
