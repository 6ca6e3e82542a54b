import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from {{ package_name }}.adapters.memory import InMemoryBroker, InMemoryMailer
from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import Event, EventRefused, Unavailable
from {{ package_name }}.entrypoints import consumer

from tests.fixtures.shop import in_memory_shop

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


class BrokerThatHangs(InMemoryBroker):
    """Takes no event until it `answers`."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = threading.Event()

    def publish(self, event: Event) -> None:
        self.answers.wait(SECONDS)


class MailerThatTells(InMemoryMailer):
    def __init__(self, expected: str) -> None:
        super().__init__()
        self._expected = expected
        self.arrived = threading.Event()

    def send(self, to: str, subject: str, text: str) -> None:
        super().send(to, subject, text)
        if to == self._expected:
            self.arrived.set()


@contextmanager
def working(shop: Shop, pause: float = 0.001) -> Iterator[threading.Thread]:
    """The worker, in a thread. It is told to stop at the end of the block."""
    stop = threading.Event()
    worker = threading.Thread(target=consumer.run, args=(shop, stop, pause), daemon=True)
    worker.start()
    try:
        yield worker
    finally:
        stop.set()


def register_two(shop: Shop) -> None:
    for name in ("first", "second"):
        shop.users.register(f"{name}@example.com", "SecurePass123!", name)


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
        self, error: Exception, times: int, expected: str
    ) -> None:
        mailer = MailerThatTells(expected)
        shop = in_memory_shop(broker=BrokerThatFails(error, times), mailer=mailer)
        register_two(shop)

        with working(shop) as worker:
            assert mailer.arrived.wait(SECONDS)
        worker.join(SECONDS)

        assert not worker.is_alive()

    def test_events_are_processed_while_the_broker_takes_none(self) -> None:
        mailer = MailerThatTells("ada@example.com")
        broker = BrokerThatHangs()
        shop = in_memory_shop(broker=broker, mailer=mailer)
        user = shop.users.register("ada@example.com", "SecurePass123!", "Ada")
        InMemoryBroker.publish(broker, Event("user_registered", str(user.id), {}))

        with working(shop) as worker:
            assert mailer.arrived.wait(SECONDS)
        worker.join(0.1)
        waits_for_the_relay = worker.is_alive()
        broker.answers.set()
        worker.join(SECONDS)

        assert waits_for_the_relay
        assert not worker.is_alive()

    def test_events_that_wait_are_processed_without_a_pause(self) -> None:
        mailer = MailerThatTells("second@example.com")
        shop = in_memory_shop(mailer=mailer)
        register_two(shop)
        shop.events.relay()

        with working(shop, pause=60.0) as worker:
            assert mailer.arrived.wait(SECONDS)
        worker.join(SECONDS)

        assert not worker.is_alive()
