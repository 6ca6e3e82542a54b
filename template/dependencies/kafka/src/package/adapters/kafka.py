"""The shop's events on Kafka."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from ..domain import Event, ShopError, Unavailable

TOPIC = "shop-events"
DEAD_LETTERS = "shop-events-dead-letters"
GROUP = "shop"
SESSION_MS = 45_000
DELIVERY_SECONDS = 10.0


class KafkaBroker:
    """Publishes and processes events, each at least once; events of one key in their order.

    Args:
        config: configuration of the consumer; its `bootstrap.servers` serve the producer too.
        topic: where events go.
        dead_letters: where events go that cannot be processed.
        delivery_seconds: how long the broker may take to accept an event.
    """

    def __init__(
        self,
        config: Mapping[str, str | int | bool],
        topic: str = TOPIC,
        dead_letters: str = DEAD_LETTERS,
        delivery_seconds: float = DELIVERY_SECONDS,
    ) -> None:
        self.topic = topic
        self.dead_letters = dead_letters
        self._delivery_seconds = delivery_seconds
        self._config = {"auto.offset.reset": "earliest", **config, "enable.auto.commit": False}
        self._producer = Producer(
            {"bootstrap.servers": config["bootstrap.servers"], "linger.ms": 0}
        )
        self._consumer: Consumer | None = None

    @classmethod
    @contextmanager
    def connect(cls, environment: Mapping[str, str]) -> Iterator["KafkaBroker"]:
        """The broker at KAFKA_BOOTSTRAP_SERVERS; the consumer leaves its group at the end of the block.

        KAFKA_TOPIC, KAFKA_DEAD_LETTERS, KAFKA_GROUP, KAFKA_SESSION_MS (how soon the group
        notices that a consumer is gone) and KAFKA_DELIVERY_SECONDS have defaults.
        """
        config: dict[str, str | int | bool] = {
            "bootstrap.servers": environment["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": environment.get("KAFKA_GROUP", GROUP),
            "session.timeout.ms": int(environment.get("KAFKA_SESSION_MS", SESSION_MS)),
        }
        with cls(
            config,
            topic=environment.get("KAFKA_TOPIC", TOPIC),
            dead_letters=environment.get("KAFKA_DEAD_LETTERS", DEAD_LETTERS),
            delivery_seconds=float(environment.get("KAFKA_DELIVERY_SECONDS", DELIVERY_SECONDS)),
        ) as broker:
            yield broker

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
        self._producer.close()

    def publish(self, event: Event) -> None:
        self._send(self.topic, event.key.encode(), event.to_json())

    def process_next(self, handle: Callable[[Event], None], timeout: float) -> bool:
        consumer = self._subscribed()
        message = consumer.poll(timeout)
        if message is None:
            return False
        if trouble := message.error():
            raise Unavailable(f"{self.topic}: {trouble.str()}")
        try:
            self._process(message, handle)
        except BaseException:
            # Read it again: without this, the consumer would go on with the next one.
            consumer.seek(_position(message))
            raise
        try:
            consumer.commit(message=message, asynchronous=False)
        except KafkaException as error:
            raise Unavailable(f"{self.topic}: {error.args[0].str()}") from error
        return True

    def _process(self, message: Message, handle: Callable[[Event], None]) -> None:
        value = message.value() or b""
        try:
            event = Event.from_json(value)
        except ValueError as error:
            self._send(self.dead_letters, message.key(), value, {"error": str(error)})
            return
        try:
            handle(event)
        except ShopError as error:
            self._send(self.dead_letters, message.key(), value, {"error": str(error)})

    def _subscribed(self) -> Consumer:
        """The consumer, which joins its group only when somebody wants to consume."""
        if self._consumer is None:
            self._consumer = Consumer(self._config)
            self._consumer.subscribe([self.topic])
        return self._consumer

    def _send(
        self,
        topic: str,
        key: bytes | str | None,
        value: bytes | str,
        headers: dict[str, Any] | None = None,
    ) -> None:
        """Send and wait. Raises Unavailable if the broker does not take it in time."""
        failed: list[Any] = []
        try:
            self._producer.produce(
                topic,
                value,
                key,
                headers=headers or {},
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
        except (KafkaException, BufferError) as error:
            raise Unavailable(f"{topic}: {error}") from error
        if self._producer.flush(self._delivery_seconds):
            # It is no longer sent: whoever wants that has to publish it again.
            self._producer.purge()
            raise Unavailable(f"{topic}: no answer from the broker in {self._delivery_seconds:g} s")
        if failed:
            raise Unavailable(f"{topic}: {failed[0].str()}")


def _position(message: Message) -> TopicPartition:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None and partition is not None and offset is not None, (
        "a consumed message has a position"
    )
    return TopicPartition(topic, partition, offset)
