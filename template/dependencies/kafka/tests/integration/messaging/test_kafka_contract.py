"""What the fixtures of tests/fixtures/kafka.py promise."""

from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.aio import AIOConsumer, AIOProducer

from tests.fixtures.kafka import Observer


class TestIntegrationKafkaContract:
    def test_broker_is_ready(self, kafka_admin_client: AdminClient) -> None:
        assert kafka_admin_client.list_topics(timeout=5).brokers

    @pytest.mark.parametrize("attempt", ["first", "second"])
    def test_topic_is_empty_whatever_other_tests_sent(
        self, kafka_producer: Producer, kafka_topic: str, kafka_observer: Observer, attempt: str
    ) -> None:
        kafka_producer.produce(kafka_topic, attempt)
        kafka_producer.flush(5)

        assert [message.value() for message in kafka_observer.wait_for(1)] == [attempt.encode()]

    def test_topics_of_one_test_differ(self, kafka_topics: Callable[[], str]) -> None:
        assert kafka_topics() != kafka_topics()

    def test_consumer_reads_from_the_beginning(
        self, kafka_producer: Producer, kafka_topic: str, kafka_consumer: Consumer
    ) -> None:
        kafka_producer.produce(kafka_topic, "sent before the group existed")
        kafka_producer.flush(5)

        message = kafka_consumer.poll(10)

        assert message is not None
        assert message.value() == b"sent before the group existed"

    def test_observer_says_what_it_saw_when_it_gives_up(
        self, kafka_producer: Producer, kafka_topic: str, kafka_observer: Observer
    ) -> None:
        kafka_producer.produce(kafka_topic, "only one")
        kafka_producer.flush(5)
        kafka_observer.wait_for(1)

        with pytest.raises(AssertionError, match=r"1 of 2 messages .*only one"):
            kafka_observer.wait_for(2, timeout=0.05)

    @pytest.mark.asyncio(loop_scope="session")
    async def test_async_clients_pass_a_message(
        self,
        kafka_async_producer: AIOProducer,
        kafka_async_consumer: AIOConsumer,
        kafka_topic: str,
    ) -> None:
        await (await kafka_async_producer.produce(kafka_topic, b"async"))

        message = await kafka_async_consumer.poll(10)

        assert message is not None
        assert message.value() == b"async"
