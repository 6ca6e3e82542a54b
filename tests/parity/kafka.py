"""What Kafka does the same from every source. Tansu skips what it cannot do."""

import time
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

Config = dict[str, str | int | bool]


def send(
    kafka_url: str, topic: str, value: bytes, timestamp: int = 0, **settings: object
) -> str | None:
    """Send one message; return the broker's refusal, None if it took the message."""
    answers: list[str | None] = []
    producer = Producer(
        {
            "bootstrap.servers": kafka_url,
            "linger.ms": 0,
            **{name.replace("_", "."): value for name, value in settings.items()},
        }
    )
    producer.produce(
        topic,
        value,
        timestamp=timestamp,
        on_delivery=lambda error, _: answers.append(error.name() if error else None),
    )
    producer.flush(10)
    return answers[0]


def first_value(consumer: Consumer, timeout: float = 10.0) -> bytes | None:
    message = consumer.poll(timeout)
    return message.value() if message is not None and message.error() is None else None


class TestIntegrationKafkaParity:
    def test_message_of_one_megabyte_is_accepted(self, kafka_url: str, kafka_topic: str) -> None:
        value = b"x" * 1_040_000

        assert send(kafka_url, kafka_topic, value, message_max_bytes=5_000_000) is None

    def test_message_of_two_megabytes_is_refused(self, kafka_url: str, kafka_topic: str) -> None:
        value = b"x" * 2_000_000

        refusal = send(kafka_url, kafka_topic, value, message_max_bytes=5_000_000)

        assert refusal == "MSG_SIZE_TOO_LARGE"

    def test_aborted_message_is_not_read(
        self, kafka_url: str, kafka_topic: str, kafka_consumer_config: Config, kafka_group: str
    ) -> None:
        producer = Producer({"bootstrap.servers": kafka_url, "transactional.id": kafka_group})
        producer.init_transactions(10)
        producer.begin_transaction()
        producer.produce(kafka_topic, b"aborted")
        producer.flush(10)
        producer.abort_transaction(10)
        producer.begin_transaction()
        producer.produce(kafka_topic, b"committed")
        producer.commit_transaction(10)
        consumer = Consumer({**kafka_consumer_config, "isolation.level": "read_committed"})
        consumer.assign([TopicPartition(kafka_topic, 0, 0)])

        value = first_value(consumer)
        consumer.close()

        assert value == b"committed"

    def test_offsets_for_times_finds_the_first_message_after(
        self, kafka_url: str, kafka_topic: str, kafka_consumer: Consumer
    ) -> None:
        now = int(time.time() * 1000)
        for number in range(3):
            send(kafka_url, kafka_topic, b"x", timestamp=now - 3000 + number * 1000)

        wanted = [TopicPartition(kafka_topic, 0, now - 1500)]

        assert kafka_consumer.offsets_for_times(wanted, timeout=10)[0].offset == 2

    def test_list_offsets_finds_the_first_message_after(
        self, kafka_url: str, kafka_topic: str, kafka_admin_client: AdminClient
    ) -> None:
        now = int(time.time() * 1000)
        for number in range(3):
            send(kafka_url, kafka_topic, b"x", timestamp=now - 3000 + number * 1000)
        partition = TopicPartition(kafka_topic, 0)

        listed = kafka_admin_client.list_offsets({partition: OffsetSpec.for_timestamp(now - 1500)})

        assert listed[partition].result(10).offset == 2

    def test_consumer_protocol_assigns_partitions(
        self, kafka_url: str, kafka_topic: str, kafka_group: str
    ) -> None:
        send(kafka_url, kafka_topic, b"x")
        consumer = Consumer(
            {
                "bootstrap.servers": kafka_url,
                "group.id": kafka_group,
                "group.protocol": "consumer",
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe([kafka_topic])

        value = first_value(consumer)
        consumer.close()

        assert value == b"x"

    def test_topic_keeps_its_own_limit(
        self, kafka_url: str, kafka_prefix: str, kafka_admin_client: AdminClient
    ) -> None:
        name = f"{kafka_prefix}limited"
        topic = NewTopic(name, num_partitions=1, config={"max.message.bytes": "1000"})
        kafka_admin_client.create_topics([topic])[name].result(10)

        assert send(kafka_url, name, b"x" * 5000) == "MSG_SIZE_TOO_LARGE"

    def test_deleted_records_are_gone(
        self, kafka_url: str, kafka_topic: str, kafka_admin_client: AdminClient
    ) -> None:
        send(kafka_url, kafka_topic, b"x")
        partition = TopicPartition(kafka_topic, 0, 1)

        deleted = kafka_admin_client.delete_records([partition])

        assert deleted[partition].result(10).low_watermark == 1

    def test_topic_is_created_by_its_first_message(self, kafka_url: str, kafka_prefix: str) -> None:
        assert send(kafka_url, f"{kafka_prefix}unknown", b"x") is None

    def test_topic_is_created_once(self, kafka_topic: str, kafka_admin_client: AdminClient) -> None:
        again = kafka_admin_client.create_topics([NewTopic(kafka_topic, 1, 1)])[kafka_topic]

        with pytest.raises(KafkaException, match="TOPIC_ALREADY_EXISTS"):
            again.result(10)

    def test_committed_offset_is_kept(
        self, kafka_url: str, kafka_topics: Callable[[], str], kafka_consumer_config: Config
    ) -> None:
        topic = kafka_topics()
        send(kafka_url, topic, b"x")
        consumer = Consumer(kafka_consumer_config)
        consumer.assign([TopicPartition(topic, 0, 0)])
        consumer.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)

        [committed] = consumer.committed([TopicPartition(topic, 0)], timeout=10)
        consumer.close()

        assert committed.offset == 1
