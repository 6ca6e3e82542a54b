import os
from collections.abc import Callable

import pytest

from {{ package_name }}.adapters.kafka import KafkaBroker
from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import Event, EventRefused, Unavailable
from {{ package_name }}.settings import KafkaSettings

from tests.fixtures.kafka import Observer
from tests.testbed.faults import Faults


@pytest.mark.usefixtures("kafka_environment")
class TestIntegrationKafkaFailures:
    @pytest.mark.parametrize("trouble", ["refuse", "black_hole"])
    def test_publish_to_a_broker_that_is_away_is_unavailable(
        self, fault: Faults, trouble: str
    ) -> None:
        proxy = fault("kafka")
        getattr(proxy, trouble)()
        settings = KafkaSettings.load(delivery_seconds=0.1)

        with (
            KafkaBroker.connect(settings) as broker,
            pytest.raises(Unavailable, match="no answer"),
        ):
            broker.publish(Event("user_created", "user-123", {}))

    @pytest.mark.fault("kafka", refuse=True)
    def test_check_of_a_broker_that_is_away_is_unavailable(self) -> None:
        settings = KafkaSettings.load(delivery_seconds=0.1)

        with KafkaBroker.connect(settings) as broker, pytest.raises(Unavailable):
            broker.check()

    def test_event_that_was_not_taken_is_published_when_the_broker_is_back(
        self, fault: Faults, kafka_observe: Callable[[str], Observer]
    ) -> None:
        event = Event("user_created", "user-123", {})
        proxy = fault("kafka", refuse=True)
        impatient = KafkaSettings.load(delivery_seconds=0.1)
        with KafkaBroker.connect(impatient) as broker, pytest.raises(Unavailable):
            broker.publish(event)

        proxy.restore()
        with KafkaBroker.connect(KafkaSettings.load(delivery_seconds=10)) as broker:
            broker.publish(event)

        (message,) = kafka_observe(os.environ["KAFKA_TOPIC"]).wait_for(1)
        assert Event.from_json(message.value() or b"") == event

    def test_event_that_is_too_large_is_refused_and_the_next_one_is_taken(
        self, kafka_observe: Callable[[str], Observer]
    ) -> None:
        large = Event("counted", "one-key", {"text": "x" * 2_000_000})
        small = Event("counted", "one-key", {"number": 1})

        with KafkaBroker.connect(KafkaSettings.load(delivery_seconds=10)) as broker:
            with pytest.raises(EventRefused, match="too large"):
                broker.publish(large)
            broker.publish(small)

        (message,) = kafka_observe(os.environ["KAFKA_TOPIC"]).wait_for(1)
        assert Event.from_json(message.value() or b"") == small

    def test_producer_recovers_after_a_cut(
        self, fault: Faults, kafka_observe: Callable[[str], Observer]
    ) -> None:
        proxy = fault("kafka")
        events = [Event("counted", "one-key", {"number": number}) for number in range(2)]

        with KafkaBroker.connect(KafkaSettings.load(delivery_seconds=10)) as broker:
            broker.publish(events[0])
            proxy.cut()
            broker.publish(events[1])

        seen = kafka_observe(os.environ["KAFKA_TOPIC"]).wait_for(2)
        assert [Event.from_json(message.value() or b"") for message in seen] == events

    @pytest.mark.fault("kafka", refuse=True)
    def test_event_is_not_lost_while_the_broker_is_away(
        self, shop_from_env: Shop, fault: Faults, kafka_observe: Callable[[str], Observer]
    ) -> None:
        user = shop_from_env.users.register("ada@example.com", "SecurePass123!", "Ada")
        with pytest.raises(Unavailable):
            shop_from_env.events.relay()

        fault("kafka").restore()

        relay_as_soon_as_possible(shop_from_env)
        (message,) = kafka_observe(os.environ["KAFKA_TOPIC"]).wait_for(1)
        assert Event.from_json(message.value() or b"").key == str(user.id)


def relay_as_soon_as_possible(shop: Shop) -> None:
    """What the worker does: try until the broker takes the events."""
    for _ in range(10):
        try:
            return shop.events.relay()
        except Unavailable:
            continue
    pytest.fail("the broker did not take the events")
