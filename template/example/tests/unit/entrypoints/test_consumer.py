import threading

import pytest

from {{ package_name }}.adapters.memory import (
    InMemoryBroker,
    InMemoryCache,
    InMemoryDatabase,
    InMemoryIdentityProvider,
    InMemoryMailer,
    InMemoryPayments,
)
from {{ package_name }}.bootstrap import Shop, build_shop
from {{ package_name }}.domain import Event, EventRefused, Unavailable
from {{ package_name }}.entrypoints import consumer
from {{ package_name }}.passwords import Passwords

SECONDS = 5.0


class BrokerThatFails(InMemoryBroker):
    """Fails for the first event, each time that it is published."""

    def __init__(self, error: Exception, times: int) -> None:
        super().__init__()
        self._error = error
        self._times = times
        self._first = ""

    def publish(self, event: Event) -> None:
        self._first = self._first or event.id
        if event.id == self._first and self._times:
            self._times -= 1
            raise self._error
        super().publish(event)


class MailerThatTells(InMemoryMailer):
    def __init__(self, expected: str) -> None:
        super().__init__()
        self._expected = expected
        self.arrived = threading.Event()

    def send(self, to: str, subject: str, text: str) -> None:
        super().send(to, subject, text)
        if to == self._expected:
            self.arrived.set()


def shop_with(broker: InMemoryBroker, mailer: InMemoryMailer, passwords: Passwords) -> Shop:
    payments, identity = InMemoryPayments(), InMemoryIdentityProvider()
    return build_shop(
        InMemoryDatabase(), InMemoryCache(), broker, payments, identity, mailer, passwords
    )


class TestConsumer:
    @pytest.mark.parametrize(
        ("error", "times", "expected"),
        [
            (Unavailable("simulated"), 1, "first@example.com"),
            (RuntimeError("simulated"), 1, "second@example.com"),
            (EventRefused("simulated"), 1_000, "second@example.com"),
        ],
        ids=["away", "bug", "refused"],
    )
    def test_worker_goes_on_after_an_event_could_not_be_published(
        self, passwords: Passwords, error: Exception, times: int, expected: str
    ) -> None:
        mailer = MailerThatTells(expected)
        shop = shop_with(BrokerThatFails(error, times), mailer, passwords)
        for name in ("first", "second"):
            shop.users.register(f"{name}@example.com", "SecurePass123!", name)
        stop = threading.Event()
        worker = threading.Thread(target=consumer.run, args=(shop, stop, 0.001), daemon=True)

        worker.start()
        arrived = mailer.arrived.wait(SECONDS)
        stop.set()
        worker.join(SECONDS)

        assert arrived
        assert not worker.is_alive()

    def test_events_are_processed_while_the_broker_takes_none(self, passwords: Passwords) -> None:
        mailer = MailerThatTells("ada@example.com")
        broker = InMemoryBroker()
        shop = shop_with(broker, mailer, passwords)
        user = shop.users.register("ada@example.com", "SecurePass123!", "Ada")
        stop = threading.Event()
        broker_answers = threading.Event()

        def hang(event: Event) -> None:
            broker_answers.wait(SECONDS)

        broker.publish(Event("user_registered", str(user.id), {}))
        broker.publish = hang  # type: ignore[method-assign]
        worker = threading.Thread(target=consumer.run, args=(shop, stop, 0.001), daemon=True)

        worker.start()
        arrived = mailer.arrived.wait(SECONDS)
        stop.set()
        worker.join(0.1)
        waits_for_the_relay = worker.is_alive()
        broker_answers.set()
        worker.join(SECONDS)

        assert arrived
        assert waits_for_the_relay
        assert not worker.is_alive()

    def test_events_that_wait_are_processed_without_a_pause(self, passwords: Passwords) -> None:
        mailer = MailerThatTells("second@example.com")
        shop = shop_with(InMemoryBroker(), mailer, passwords)
        for name in ("first", "second"):
            shop.users.register(f"{name}@example.com", "SecurePass123!", name)
        shop.events.relay()
        stop = threading.Event()
        worker = threading.Thread(target=consumer.run, args=(shop, stop, 60.0), daemon=True)

        worker.start()
        arrived = mailer.arrived.wait(SECONDS)
        stop.set()
        worker.join(SECONDS)

        assert arrived
        assert not worker.is_alive()
