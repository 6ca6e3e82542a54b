"""Runs in the rendered service: with the guard, and once more without it."""

import os

import pytest
import redis
from sqlalchemy import text
from sqlalchemy.orm import Session

repeated = pytest.mark.parametrize("number", range(int(os.environ["BENCHMARK_TESTS"])))


@repeated
def test_empty(number: int) -> None:
    pass


@repeated
def test_servers(number: int, postgres_session: Session, redis_client: redis.Redis) -> None:
    assert postgres_session.scalar(text("SELECT 1")) == 1
    redis_client.set("key", "value")
    assert redis_client.exists("key")
