from collections.abc import Callable
from decimal import Decimal

import pytest

from {{ package_name }}.adapters.memory import (
    InMemoryBroker,
    InMemoryCache,
    InMemoryDatabase,
    InMemoryIdentityProvider,
    InMemoryPayments,
)
from {{ package_name }}.domain import Event, Identity

from tests.contracts import (
    BrokerContract,
    CacheContract,
    DatabaseContract,
    IdentityContract,
    PaymentsContract,
)


class TestMemoryDatabase(DatabaseContract):
    @pytest.fixture
    def database(self) -> InMemoryDatabase:
        return InMemoryDatabase()


class TestMemoryCache(CacheContract):
    @pytest.fixture
    def cache(self) -> InMemoryCache:
        return InMemoryCache()

    def test_entry_is_gone_after_its_time(self) -> None:
        now = [0.0]
        cache = InMemoryCache(lambda: now[0])
        cache.set("key", "value", ttl=60)
        assert cache.get("key") == "value"

        now[0] = 60.0

        assert cache.get("key") is None


class TestMemoryBroker(BrokerContract):
    @pytest.fixture
    def broker(self) -> InMemoryBroker:
        return InMemoryBroker()

    @pytest.fixture
    def dead_letters(self, broker: InMemoryBroker) -> Callable[[int], list[Event]]:
        return lambda count: broker.dead_letters[:count]


class TestMemoryIdentityProvider(IdentityContract):
    @pytest.fixture
    def identity(self) -> InMemoryIdentityProvider:
        return InMemoryIdentityProvider()

    @pytest.fixture
    def person(
        self, identity: InMemoryIdentityProvider
    ) -> Callable[[str, str], Callable[[str], str]]:
        def person(email: str, name: str) -> Callable[[str], str]:
            known = Identity("memory", f"{email} {name}", email, name)
            return lambda url: identity.log_in(url, known)

        return person


class TestMemoryPayments(PaymentsContract):
    @pytest.fixture
    def payments(self) -> InMemoryPayments:
        return InMemoryPayments()

    @pytest.fixture
    def charged(self, payments: InMemoryPayments) -> Callable[[], dict[str, Decimal]]:
        return lambda: payments.charged

    @pytest.fixture
    def decline_payments(self, payments: InMemoryPayments) -> Callable[[], None]:
        return lambda: setattr(payments, "declines", True)
