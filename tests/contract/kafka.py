"""What the fixtures of tests/fixtures/kafka.py promise."""

import os
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.aio import AIOConsumer, AIOProducer

from tests.fixtures.kafka import Observer
from tests.testbed.faults import Faults
from tests.testbed.testbed import Testbed


def service(url: str) -> dict[str, str | int | float | bool]:
    """Configuration of a client as the code under test makes it, which tries again at once."""
    return {
        "bootstrap.servers": url,
        "reconnect.backoff.ms": 5,
        "reconnect.backoff.max.ms": 20,
        "linger.ms": 0,
        # What the tests do to it is no news.
        "log_level": 0,
    }


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

    def test_without_a_fault_the_environment_names_the_broker(
        self, kafka_url: str, testbed: Testbed
    ) -> None:
        variables = testbed.environment.variables("kafka", kafka_url)
        assert variables
        assert variables.items() <= os.environ.items()


@pytest.mark.fault("kafka")
class TestIntegrationKafkaFaults:
    def test_broker_sends_its_clients_to_the_proxy(self, fault: Faults) -> None:
        proxy = fault("kafka")

        brokers = AdminClient(service(proxy.url)).list_topics(timeout=10).brokers

        assert [broker.port for broker in brokers.values()] == [proxy.port]

    def test_message_that_is_under_way_is_lost_with_its_connection(
        self, fault: Faults, kafka_topic: str
    ) -> None:
        proxy = fault("kafka")
        lost: list[KafkaError] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                lost.append(error)

        producer = Producer({**service(proxy.url), "retries": 0, "message.timeout.ms": 5000})
        producer.produce(kafka_topic, "arrives", on_delivery=delivered)
        assert producer.flush(10) == 0
        assert lost == []
        proxy.black_hole()
        producer.produce(kafka_topic, "is lost", on_delivery=delivered)
        assert producer.flush(0.05) == 1

        proxy.cut()

        assert producer.flush(10) == 0
        assert len(lost) == 1

    def test_refused_client_works_again_when_the_broker_is_back(self, fault: Faults) -> None:
        proxy = fault("kafka")
        admin = AdminClient(service(proxy.url))
        admin.list_topics(timeout=10)
        proxy.refuse()
        with pytest.raises(KafkaException):
            admin.list_topics(timeout=0.05)

        proxy.restore()

        assert admin.list_topics(timeout=10).brokers

    def test_delayed_answer_comes_late(self, fault: Faults) -> None:
        proxy = fault("kafka", delay=0.05)
        begun = time.monotonic()
        AdminClient(service(proxy.url)).list_topics(timeout=10)

        assert time.monotonic() - begun >= 0.05

    def test_message_waits_while_nothing_passes(
        self, fault: Faults, kafka_topic: str, kafka_observer: Observer
    ) -> None:
        proxy = fault("kafka", black_hole=True)
        producer = Producer(service(proxy.url))
        producer.produce(kafka_topic, "late")
        assert producer.flush(0.05) == 1

        proxy.restore()

        assert producer.flush(10) == 0
        assert [message.value() for message in kafka_observer.wait_for(1)] == [b"late"]

    @pytest.mark.fault("kafka", black_hole=True)
    def test_answer_that_never_comes_is_a_timeout(self, fault: Faults) -> None:
        with pytest.raises(KafkaException, match="Broker transport failure|Timed out"):
            AdminClient(service(fault("kafka").url)).list_topics(timeout=0.05)
