from collections.abc import Callable

from {{ package_name }}.adapters.kafka import KafkaBroker
from {{ package_name }}.domain import Event

from tests.fixtures.kafka import Observer


class TestIntegrationKafkaProducers:
    def test_published_event_is_on_the_broker(
        self, kafka_adapter: KafkaBroker, kafka_observe: Callable[[str], Observer]
    ) -> None:
        event = Event("user_created", "user-123", {"user_id": "123"})

        kafka_adapter.publish(event)

        (message,) = kafka_observe(kafka_adapter.topic).wait_for(1)
        assert message.key() == b"user-123"
        assert Event.from_json(message.value() or b"") == event

    def test_events_of_one_key_keep_their_order(
        self, kafka_adapter: KafkaBroker, kafka_observe: Callable[[str], Observer]
    ) -> None:
        for number in range(20):
            kafka_adapter.publish(Event("counted", "one-key", {"number": number}))

        messages = kafka_observe(kafka_adapter.topic).wait_for(20)

        numbers = [Event.from_json(message.value() or b"").data["number"] for message in messages]
        assert numbers == list(range(20))
