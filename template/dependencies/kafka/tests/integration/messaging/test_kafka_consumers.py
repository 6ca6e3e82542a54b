from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from {{ package_name }}.adapters.kafka import KafkaBroker
from {{ package_name }}.domain import Event, ShopError, Unavailable

from tests.fixtures.kafka import Observer

TIMEOUT = 10.0


def counted(number: int) -> Event:
    return Event("counted", "one-key", {"number": number})


class Crash(Exception):
    pass


class TestIntegrationKafkaConsumers:
    def test_event_is_delivered_once(self, kafka_adapter: KafkaBroker) -> None:
        event = counted(1)
        kafka_adapter.publish(event)
        handled: list[Event] = []

        assert kafka_adapter.process_next(handled.append, TIMEOUT)
        assert not kafka_adapter.process_next(handled.append, timeout=0.1)
        assert handled == [event]

    def test_events_of_one_key_come_in_order(self, kafka_adapter: KafkaBroker) -> None:
        events = [counted(number) for number in range(5)]
        for event in events:
            kafka_adapter.publish(event)
        handled: list[Event] = []

        for _ in events:
            kafka_adapter.process_next(handled.append, TIMEOUT)

        assert handled == events

    def test_event_comes_again_after_a_crash_before_the_commit(
        self,
        kafka_adapter: KafkaBroker,
        kafka_consumer_config: dict[str, str | int | bool],
    ) -> None:
        first, second = counted(1), counted(2)
        for event in (first, second):
            kafka_adapter.publish(event)
        handled: list[Event] = []
        kafka_adapter.process_next(handled.append, TIMEOUT)

        def crash(event: Event) -> None:
            raise Crash

        with pytest.raises(Crash):
            kafka_adapter.process_next(crash, TIMEOUT)
        kafka_adapter.close()

        restarted = KafkaBroker(
            kafka_consumer_config, kafka_adapter.topic, kafka_adapter.dead_letters
        )
        with restarted:
            restarted.process_next(handled.append, TIMEOUT)
        assert handled == [first, second]

    def test_event_comes_again_to_the_same_consumer_after_an_error(
        self, kafka_adapter: KafkaBroker
    ) -> None:
        events = [counted(1), counted(2)]
        for event in events:
            kafka_adapter.publish(event)
        handled: list[Event] = []

        def crash(event: Event) -> None:
            raise Crash

        with pytest.raises(Crash):
            kafka_adapter.process_next(crash, TIMEOUT)
        for _ in events:
            kafka_adapter.process_next(handled.append, TIMEOUT)

        assert handled == events

    def test_rejected_event_goes_to_the_dead_letters(
        self, kafka_adapter: KafkaBroker, kafka_observe: Callable[[str], Observer]
    ) -> None:
        event = counted(1)
        kafka_adapter.publish(event)

        def reject(event: Event) -> None:
            raise ShopError("no such user")

        assert kafka_adapter.process_next(reject, TIMEOUT)

        (letter,) = kafka_observe(kafka_adapter.dead_letters).wait_for(1)
        assert Event.from_json(letter.value() or b"") == event
        assert letter.key() == b"one-key"
        assert letter.headers() == [("error", b"no such user")]
        assert not kafka_adapter.process_next(reject, timeout=0.1)

    def test_rejected_event_comes_again_if_its_dead_letter_is_not_taken(
        self,
        kafka_adapter: KafkaBroker,
        kafka_observe: Callable[[str], Observer],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        first, second = counted(1), counted(2)
        for event in (first, second):
            kafka_adapter.publish(event)

        def reject(event: Event) -> None:
            raise ShopError("no such user")

        with monkeypatch.context() as patch, pytest.raises(Unavailable):
            # No broker has a topic of that name.
            patch.setattr(kafka_adapter, "dead_letters", "?")
            kafka_adapter.process_next(reject, TIMEOUT)
        handled: list[Event] = []
        assert kafka_adapter.process_next(handled.append, TIMEOUT)

        assert handled == [first]

    def test_message_that_is_no_event_goes_to_the_dead_letters(
        self,
        kafka_adapter: KafkaBroker,
        kafka_producer: Producer,
        kafka_observe: Callable[[str], Observer],
    ) -> None:
        kafka_producer.produce(kafka_adapter.topic, b"\xff not an event")
        kafka_producer.flush(TIMEOUT)
        handled: list[Event] = []

        assert kafka_adapter.process_next(handled.append, TIMEOUT)

        (letter,) = kafka_observe(kafka_adapter.dead_letters).wait_for(1)
        assert letter.value() == b"\xff not an event"
        assert handled == []
