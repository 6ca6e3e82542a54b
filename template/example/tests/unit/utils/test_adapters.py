from collections.abc import Callable
from decimal import Decimal
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from {{ package_name }}.adapters.mail import FolderMailer
from {{ package_name }}.adapters.memory import (
    InMemoryBroker,
    InMemoryCache,
    InMemoryDatabase,
    InMemoryPayments,
)
from {{ package_name }}.domain import Event

from tests.contracts import (
    BrokerContract,
    CacheContract,
    DatabaseContract,
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


class TestFolderMailer:
    def test_mail_is_a_file_that_mail_programs_read(self, tmp_path: Path) -> None:
        folder = tmp_path / "var" / "mail"

        for _ in range(2):
            FolderMailer(folder).send("ada@example.com", "Tee & Kännchen", "token")

        file, _ = folder.iterdir()
        message = message_from_bytes(file.read_bytes(), policy=default)
        assert file.suffix == ".eml"
        assert (message["To"], message["Subject"]) == ("ada@example.com", "Tee & Kännchen")
        assert message.get_content().strip() == "token"
