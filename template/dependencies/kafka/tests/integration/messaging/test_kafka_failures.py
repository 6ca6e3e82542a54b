import os
from collections.abc import Callable

import pytest

from {{ package_name }}.adapters.kafka import KafkaBroker
from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import Event, Unavailable

from tests.fixtures.kafka import Observer
from tests.testbed.faults import Faults


@pytest.mark.usefixtures("kafka_environment")
class TestIntegrationKafkaFailures:
    @pytest.mark.parametrize("trouble", ["refuse", "black_hole"])
    def test_publish_to_a_broker_that_is_away_is_unavailable(
        self, fault: Faults, monkeypatch: pytest.MonkeyPatch, trouble: str
    ) -> None:
        monkeypatch.setenv("KAFKA_DELIVERY_SECONDS", "0.1")
        proxy = fault("kafka")
        getattr(proxy, trouble)()

        with (
            KafkaBroker.connect(os.environ) as broker,
            pytest.raises(Unavailable, match="no answer"),
        ):
            broker.publish(Event("user_created", "user-123", {}))

    def test_event_that_was_not_taken_is_published_when_the_broker_is_back(
        self,
        fault: Faults,
        kafka_observe: Callable[[str], Observer],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("KAFKA_DELIVERY_SECONDS", "0.1")
        event = Event("user_created", "user-123", {})
        proxy = fault("kafka", refuse=True)
        with KafkaBroker.connect(os.environ) as broker, pytest.raises(Unavailable):
            broker.publish(event)

        proxy.restore()
        monkeypatch.setenv("KAFKA_DELIVERY_SECONDS", "10")
        with KafkaBroker.connect(os.environ) as broker:
            broker.publish(event)

        (message,) = kafka_observe(os.environ["KAFKA_TOPIC"]).wait_for(1)
        assert Event.from_json(message.value() or b"") == event

    def test_producer_recovers_after_a_cut(
        self,
        fault: Faults,
        kafka_observe: Callable[[str], Observer],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("KAFKA_DELIVERY_SECONDS", "10")
        proxy = fault("kafka")
        events = [Event("counted", "one-key", {"number": number}) for number in range(2)]

        with KafkaBroker.connect(os.environ) as broker:
            broker.publish(events[0])
            proxy.cut()
            broker.publish(events[1])

        seen = kafka_observe(os.environ["KAFKA_TOPIC"]).wait_for(2)
        assert [Event.from_json(message.value() or b"") for message in seen] == events

    @pytest.mark.fault("kafka", refuse=True)
    def test_event_is_not_lost_while_the_broker_is_away(
        self, live_shop: Shop, fault: Faults, kafka_observe: Callable[[str], Observer]
    ) -> None:
        user = live_shop.users.register("ada@example.com", "SecurePass123!", "Ada")
        with pytest.raises(Unavailable):
            live_shop.events.relay()

        fault("kafka").restore()

        relay_as_soon_as_possible(live_shop)
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
