import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer

from {{ package_name }}.adapters.kafka import KafkaBroker
from {{ package_name }}.domain import Event, ShopError, Unavailable
from {{ package_name }}.settings import KafkaSettings

from tests.contracts import BrokerContract, counted, failing
from tests.fixtures.kafka import Observer
from tests.testbed.plugin import ROOT

TIMEOUT = 10.0
WORKER = """
import sys

from {{ package_name }}.adapters.kafka import KafkaBroker
from {{ package_name }}.settings import KafkaSettings


def handle(event):
    print(event.data["number"], flush=True)
    # Whoever started the worker decides whether it goes on.
    sys.stdin.readline()


with KafkaBroker.connect(KafkaSettings.load()) as broker:
    while True:
        broker.process_next(handle, 10)
"""


class TestIntegrationKafkaConsumers(BrokerContract):
    @pytest.fixture
    def broker(self, kafka_adapter: KafkaBroker) -> KafkaBroker:
        return kafka_adapter

    @pytest.fixture
    def dead_letters(
        self, kafka_adapter: KafkaBroker, kafka_observe: Callable[[str], Observer]
    ) -> Callable[[int], list[Event]]:
        observer = kafka_observe(kafka_adapter.dead_letters)

        def dead_letters(count: int) -> list[Event]:
            return [Event.from_json(letter.value() or b"") for letter in observer.wait_for(count)]

        return dead_letters

    @pytest.mark.usefixtures("kafka_environment")
    def test_event_comes_again_to_a_worker_that_was_killed_before_the_commit(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
        with KafkaBroker.connect(KafkaSettings.load(delivery_seconds=10)) as broker:
            for number in (1, 2):
                broker.publish(counted(number))

        with worker() as first:
            assert answer(first) == 1
            go_on(first)
            # The second event is handled, and its offset is not committed.
            assert answer(first) == 2
            first.kill()
            assert first.wait(TIMEOUT) == -signal.SIGKILL

        with worker() as restarted:
            assert answer(restarted) == 2

    def test_dead_letter_says_why_and_has_the_key(
        self, kafka_adapter: KafkaBroker, kafka_observe: Callable[[str], Observer]
    ) -> None:
        kafka_adapter.publish(counted(1))

        assert kafka_adapter.process_next(failing(ShopError("no such user")), TIMEOUT)

        (letter,) = kafka_observe(kafka_adapter.dead_letters).wait_for(1)
        assert letter.key() == b"one-key"
        assert letter.headers() == [("error", b"no such user")]

    def test_rejected_event_comes_again_if_its_dead_letter_is_not_taken(
        self, kafka_adapter: KafkaBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = counted(1), counted(2)
        for event in (first, second):
            kafka_adapter.publish(event)

        with monkeypatch.context() as patch, pytest.raises(Unavailable):
            # No broker has a topic of that name.
            patch.setattr(kafka_adapter, "dead_letters", "?")
            kafka_adapter.process_next(failing(ShopError("no such user")), TIMEOUT)
        handled: list[Event] = []
        assert kafka_adapter.process_next(handled.append, TIMEOUT)

        assert handled == [first]

    def test_message_that_is_no_event_goes_to_the_dead_letters(
        self,
        kafka_adapter: KafkaBroker,
        kafka_producer: Producer,
        kafka_observe: Callable[[str], Observer],
    ) -> None:
        kafka_producer.produce(kafka_adapter.topic, b"[]")
        kafka_producer.flush(TIMEOUT)
        handled: list[Event] = []

        assert kafka_adapter.process_next(handled.append, TIMEOUT)

        (letter,) = kafka_observe(kafka_adapter.dead_letters).wait_for(1)
        assert letter.value() == b"[]"
        assert handled == []


@contextmanager
def worker() -> Iterator["subprocess.Popen[str]"]:
    """A consumer in a process of its own, which is killed at the end of the block."""
    command = [sys.executable, "-c", WORKER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def answer(process: "subprocess.Popen[str]") -> int:
    """The number of the event that a worker has just handled."""
    assert process.stdout is not None
    patience = threading.Timer(3 * TIMEOUT, process.kill)
    patience.start()
    try:
        return int(process.stdout.readline())
    finally:
        patience.cancel()


def go_on(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    print(file=process.stdin, flush=True)
