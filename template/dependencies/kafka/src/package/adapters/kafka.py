"""The shop's events on Kafka."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from ..domain import Event, ShopError

TOPIC = "shop-events"
DEAD_LETTERS = "shop-events-dead-letters"
GROUP = "shop"
DELIVERY_SECONDS = 10.0


class KafkaBroker:
    """Publishes and processes events, each at least once; events of one key in their order.

    Args:
        config: configuration of the consumer; its `bootstrap.servers` serve the producer too.
        topic: where events go.
        dead_letters: where events go that cannot be processed.
    """

    def __init__(
        self,
        config: Mapping[str, str | int | bool],
        topic: str = TOPIC,
        dead_letters: str = DEAD_LETTERS,
    ) -> None:
        self.topic = topic
        self.dead_letters = dead_letters
        self._config = {"auto.offset.reset": "earliest", **config, "enable.auto.commit": False}
        self._producer = Producer(
            {"bootstrap.servers": config["bootstrap.servers"], "linger.ms": 0}
        )
        self._consumer: Consumer | None = None

    @classmethod
    @contextmanager
    def connect(cls, bootstrap_servers: str) -> Iterator["KafkaBroker"]:
        """The broker at these addresses; the consumer leaves its group at the end of the block."""
        with cls({"bootstrap.servers": bootstrap_servers, "group.id": GROUP}) as broker:
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
        if error := message.error():
            raise KafkaException(error)
        try:
            handle(Event.from_json(message.value() or b""))
        except (ShopError, ValueError) as error:
            self._send(
                self.dead_letters, message.key(), message.value() or b"", {"error": str(error)}
            )
        except BaseException:
            # Read it again: without this, the consumer would go on with the next one.
            consumer.seek(_position(message))
            raise
        consumer.commit(message=message, asynchronous=False)
        return True

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
        """Send and wait. Raises KafkaException if the broker does not take it in time."""
        failed: list[Any] = []
        self._producer.produce(
            topic,
            value,
            key,
            headers=headers or {},
            on_delivery=lambda error, _: failed.append(error) if error else None,
        )
        if self._producer.flush(DELIVERY_SECONDS):
            self._producer.purge()
            raise KafkaException(f"{topic}: no answer from the broker in {DELIVERY_SECONDS:g} s")
        if failed:
            raise KafkaException(failed[0])


def _position(message: Message) -> TopicPartition:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None and partition is not None and offset is not None, (
        "a consumed message has a position"
    )
    return TopicPartition(topic, partition, offset)
