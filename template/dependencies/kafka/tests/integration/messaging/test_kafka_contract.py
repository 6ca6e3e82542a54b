"""How to test with Kafka: copy the test that is closest to yours."""

import pytest
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from tests.fixtures.kafka import Observer
from tests.testbed.faults import Faults


class TestIntegrationKafkaContract:
    def test_message_arrives(
        self, kafka_producer: Producer, kafka_topic: str, kafka_observer: Observer
    ) -> None:
        # The topic belongs to this test.
        kafka_producer.produce(kafka_topic, "sent")
        kafka_producer.flush(5)

        assert [message.value() for message in kafka_observer.wait_for(1)] == [b"sent"]

    @pytest.mark.fault("kafka", black_hole=True)
    def test_broker_that_is_silent_is_an_error(self, fault: Faults) -> None:
        with pytest.raises(KafkaException):
            AdminClient({"bootstrap.servers": fault("kafka").url}).list_topics(timeout=0.1)
