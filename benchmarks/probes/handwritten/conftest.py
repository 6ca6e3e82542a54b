"""What a conftest for PostgreSQL and Redis looks like that is written by hand."""

import os
from collections.abc import Iterator

import psycopg
import pytest
import redis
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    from testcontainers.community.postgres import PostgresContainer

    image = os.environ["POSTGRES_IMAGE"]
    with PostgresContainer(image, driver="psycopg") as container:
        engine = create_engine(container.get_connection_url(), module=psycopg)
        yield engine
        engine.dispose()


@pytest.fixture
def postgres_session(engine: Engine) -> Iterator[Session]:
    with engine.connect() as connection, connection.begin() as transaction:
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[redis.Redis]:
    from testcontainers.community.redis import RedisContainer

    with RedisContainer(os.environ["REDIS_IMAGE"]) as container:
        yield container.get_client(decode_responses=True)


@pytest.fixture
def redis_client(redis_server: redis.Redis) -> redis.Redis:
    redis_server.flushdb()
    return redis_server
