"""Runs in the rendered service: one test that takes something from each server."""

import redis
from sqlalchemy import text
from sqlalchemy.orm import Session


def test_servers_answer(
    postgres_session: Session, redis_client: redis.Redis, kafka_topic: str
) -> None:
    assert postgres_session.scalar(text("SELECT 1")) == 1
    assert redis_client.ping()
    assert kafka_topic
