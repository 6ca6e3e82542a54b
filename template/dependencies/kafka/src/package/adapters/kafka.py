"""The shop's events on Kafka."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from ..domain import Event, EventRefused, ShopError, Unavailable

if TYPE_CHECKING:
    from ..settings import KafkaSettings

REFUSALS = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD}
"""Errors that are about one message and would come again with it."""


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
        topic: str,
        dead_letters: str,
        delivery_seconds: float = 10,
    ) -> None:
        self.topic = topic
        self.dead_letters = dead_letters
        self._delivery_seconds = delivery_seconds
        self._config = {"auto.offset.reset": "earliest", **config, "enable.auto.commit": False}
        self._producer = Producer(
            {"bootstrap.servers": config["bootstrap.servers"], "linger.ms": 0}
        )
        self._consumer: Consumer | None = None
        # The relay and the consumption share the producer, and each waits for its own message.
        self._sending = threading.Lock()

    @classmethod
    @contextmanager
    def connect(cls, settings: "KafkaSettings") -> Iterator["KafkaBroker"]:
        """The broker that the settings name; the consumer leaves its group at the end of the block."""
        config: dict[str, str | int | bool] = {
            "bootstrap.servers": settings.bootstrap_servers,
            "group.id": settings.group,
            "session.timeout.ms": settings.session_ms,
        }
        with cls(
            config, settings.topic, settings.dead_letters, settings.delivery_seconds
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

    def check(self) -> None:
        try:
            self._producer.list_topics(timeout=self._delivery_seconds)
        except KafkaException as error:
            raise Unavailable(f"{self.topic}: {error.args[0].str()}") from error

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
        """Send and wait. Raises Unavailable or EventRefused."""
        failed: list[KafkaError] = []
        with self._sending:
            try:
                self._producer.produce(
                    topic,
                    value,
                    key,
                    headers=headers or {},
                    on_delivery=lambda error, _: failed.append(error) if error else None,
                )
            except KafkaException as error:
                raise _problem(topic, error.args[0]) from error
            if self._producer.flush(self._delivery_seconds):
                # It is no longer sent: whoever wants that has to publish it again.
                self._producer.purge()
                seconds = f"{self._delivery_seconds:g} s"
                raise Unavailable(f"{topic}: no answer from the broker in {seconds}")
        if failed:
            raise _problem(topic, failed[0])


def _problem(topic: str, error: KafkaError) -> Unavailable | EventRefused:
    kind = EventRefused if error.code() in REFUSALS else Unavailable
    return kind(f"{topic}: {error.str()}")


def _position(message: Message) -> TopicPartition:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None and partition is not None and offset is not None, (
        "a consumed message has a position"
    )
    return TopicPartition(topic, partition, offset)
