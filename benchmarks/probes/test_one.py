"""One test of PostgreSQL and Redis. It runs with fixtures written by hand, and with rendered ones."""

import redis
from sqlalchemy import text
from sqlalchemy.orm import Session


def test_one(postgres_session: Session, redis_client: redis.Redis) -> None:
    assert postgres_session.scalar(text("SELECT 1")) == 1
    redis_client.set("key", "value")
    assert redis_client.get("key") == "value"
