import threading

import pytest

from {{ package_name }}.adapters.memory import InMemoryBroker, InMemoryMailer
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


class MailerThatTells(InMemoryMailer):
    def __init__(self, expected: str) -> None:
        super().__init__()
        self._expected = expected
        self.arrived = threading.Event()

    def send(self, to: str, subject: str, text: str) -> None:
        super().send(to, subject, text)
        if to == self._expected:
            self.arrived.set()


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

    def test_events_are_processed_while_the_broker_takes_none(self) -> None:
        mailer = MailerThatTells("ada@example.com")
        broker = InMemoryBroker()
        shop = in_memory_shop(broker=broker, mailer=mailer)
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

    def test_events_that_wait_are_processed_without_a_pause(self) -> None:
        mailer = MailerThatTells("second@example.com")
        shop = in_memory_shop(broker=InMemoryBroker(), mailer=mailer)
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
