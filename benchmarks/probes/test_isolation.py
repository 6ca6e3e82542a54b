"""Runs in the rendered service: each body once with the isolating fixture and once without."""

import os
from collections.abc import Callable
from itertools import count
from uuid import uuid4

import pytest
import redis
from confluent_kafka import Consumer, Producer
from shop.adapters.postgres.models import UserRow
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool

from tests.fixtures.kafka import Observer

repeated = pytest.mark.parametrize("number", range(int(os.environ["BENCHMARK_TESTS"])))
numbers = count()


def insert_and_query(session: Session) -> None:
    emails = [f"user{next(numbers)}@example.com" for _ in range(3)]
    for email in emails:
        session.add(
            UserRow(
                id=uuid4(),
                email=email,
                name="User",
                password_hash="-",
                role="customer",
                is_verified=True,
                is_active=True,
            )
        )
    session.commit()

    found = session.scalars(select(UserRow.email).where(UserRow.email.in_(emails))).all()
    assert sorted(found) == sorted(emails)


def connect_insert_and_query(url: str) -> None:
    engine = create_engine(url, poolclass=NullPool)
    with Session(engine) as session:
        insert_and_query(session)


def set_and_get(client: redis.Redis) -> None:
    keys = [f"key-{next(numbers)}" for _ in range(3)]
    for key in keys:
        client.set(key, "value")

    assert client.mget(keys) == ["value"] * 3


def produce_and_observe(producer: Producer, topic: str, observer: Observer, seen: int) -> None:
    for number in range(3):
        producer.produce(topic, f"message {number}")
    producer.flush(10)

    messages = observer.wait_for(seen + 3)[seen:]
    assert [message.value() for message in messages] == [b"message 0", b"message 1", b"message 2"]


@repeated
def test_sql_plain(postgres_engine: Engine, number: int) -> None:
    with sessionmaker(postgres_engine, expire_on_commit=False)() as session:
        insert_and_query(session)


@repeated
def test_sql_rolled_back(postgres_session: Session, number: int) -> None:
    insert_and_query(postgres_session)


@repeated
def test_sql_committed(postgres_committed: sessionmaker[Session], number: int) -> None:
    with postgres_committed() as session:
        insert_and_query(session)


@repeated
def test_database_plain(postgres_url: str, number: int) -> None:
    connect_insert_and_query(postgres_url)


@repeated
def test_database_private(postgres_database: str, number: int) -> None:
    connect_insert_and_query(postgres_database)


@repeated
def test_redis_plain(redis_connection: redis.Redis, number: int) -> None:
    set_and_get(redis_connection)


@repeated
def test_redis_emptied(redis_client: redis.Redis, number: int) -> None:
    set_and_get(redis_client)


@pytest.fixture(scope="session")
def shared_topic(kafka_topics: Callable[[], str]) -> str:
    return kafka_topics()


@pytest.fixture(scope="session")
def shared_observer(kafka_url: str, shared_topic: str) -> Observer:
    config = {"bootstrap.servers": kafka_url, "group.id": "test-observer"}
    return Observer(Consumer({**config, "fetch.wait.max.ms": 5}), shared_topic)


@repeated
def test_kafka_plain(
    kafka_producer: Producer, shared_topic: str, shared_observer: Observer, number: int
) -> None:
    produce_and_observe(kafka_producer, shared_topic, shared_observer, 3 * number)


@repeated
def test_kafka_topic_and_observer(
    kafka_producer: Producer, kafka_topic: str, kafka_observer: Observer, number: int
) -> None:
    produce_and_observe(kafka_producer, kafka_topic, kafka_observer, 0)
