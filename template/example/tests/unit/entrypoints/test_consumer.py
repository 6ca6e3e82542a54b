import threading

import pytest

from {{ package_name }}.adapters.memory import (
    MemoryBroker,
    MemoryCache,
    MemoryDatabase,
    MemoryIdentityProvider,
    MemoryMailer,
    MemoryPayments,
)
from {{ package_name }}.bootstrap import assemble
from {{ package_name }}.domain import Event, Unavailable
from {{ package_name }}.entrypoints import consumer
from {{ package_name }}.passwords import Passwords


class BrokerThatIsAwayAtFirst(MemoryBroker):
    def publish(self, event: Event) -> None:
        if not self.tried:
            self.tried = True
            raise Unavailable("simulated")
        super().publish(event)

    tried = False


class MailerThatStops(MemoryMailer):
    def __init__(self, stop: threading.Event) -> None:
        super().__init__()
        self._stop = stop

    def send(self, to: str, subject: str, text: str) -> None:
        super().send(to, subject, text)
        self._stop.set()


class TestConsumer:
    def test_worker_goes_on_after_the_broker_was_away(
        self, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(consumer, "PAUSE", 0.001)
        stop = threading.Event()
        mailer = MailerThatStops(stop)
        shop = assemble(
            MemoryDatabase(),
            MemoryCache(),
            BrokerThatIsAwayAtFirst(),
            MemoryPayments(),
            MemoryIdentityProvider(),
            mailer,
            passwords,
        )
        shop.users.register("ada@example.com", "SecurePass123!", "Ada")

        consumer.run(shop, stop)

        assert [address for address, _ in mailer.sent] == ["ada@example.com"]
