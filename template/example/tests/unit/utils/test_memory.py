from collections.abc import Callable
from decimal import Decimal

import pytest

from {{ package_name }}.adapters.memory import (
    MemoryBroker,
    MemoryCache,
    MemoryDatabase,
    MemoryIdentityProvider,
    MemoryPayments,
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
    def database(self) -> MemoryDatabase:
        return MemoryDatabase()


class TestMemoryCache(CacheContract):
    @pytest.fixture
    def cache(self) -> MemoryCache:
        return MemoryCache()

    def test_entry_is_gone_after_its_time(self) -> None:
        now = [0.0]
        cache = MemoryCache(lambda: now[0])
        cache.set("key", "value", ttl=60)
        assert cache.get("key") == "value"

        now[0] = 60.0

        assert cache.get("key") is None


class TestMemoryBroker(BrokerContract):
    @pytest.fixture
    def broker(self) -> MemoryBroker:
        return MemoryBroker()

    @pytest.fixture
    def dead_letters(self, broker: MemoryBroker) -> Callable[[int], list[Event]]:
        return lambda count: broker.dead_letters[:count]


class TestMemoryIdentityProvider(IdentityContract):
    @pytest.fixture
    def identity(self) -> MemoryIdentityProvider:
        return MemoryIdentityProvider()

    @pytest.fixture
    def person(
        self, identity: MemoryIdentityProvider
    ) -> Callable[[str, str], Callable[[str], str]]:
        def person(email: str, name: str) -> Callable[[str], str]:
            known = Identity("memory", f"{email} {name}", email, name)
            return lambda url: identity.log_in(url, known)

        return person


class TestMemoryPayments(PaymentsContract):
    @pytest.fixture
    def payments(self) -> MemoryPayments:
        return MemoryPayments()

    @pytest.fixture
    def charged(self, payments: MemoryPayments) -> Callable[[], dict[str, Decimal]]:
        return lambda: payments.charged

    @pytest.fixture
    def decline_payments(self, payments: MemoryPayments) -> Callable[[], None]:
        return lambda: setattr(payments, "declines", True)
