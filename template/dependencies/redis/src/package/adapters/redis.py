"""The shop's cache and token store on Redis."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from redis import ConnectionError, Redis, TimeoutError
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from ..domain import Unavailable

TIMEOUT = 5.0
"""Seconds that an answer may take."""
RETRY = Retry(ExponentialBackoff(cap=0.2, base=0.05), retries=2)
"""How often a command is sent again where the connection failed."""


class RedisCache:
    """Values as JSON. `client` has to decode responses. Each method raises Unavailable if Redis does not answer."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    @classmethod
    @contextmanager
    def connect(cls, environment: Mapping[str, str]) -> Iterator["RedisCache"]:
        """The cache at REDIS_URL; its connections are closed at the end of the block."""
        url = environment["REDIS_URL"]
        with Redis.from_url(
            url, decode_responses=True, socket_timeout=TIMEOUT, retry=RETRY
        ) as client:
            yield cls(client)

    def set(self, key: str, value: Any, ttl: int | None = None) -> None:
        with _answering():
            self._client.set(key, json.dumps(value), ex=ttl)

    def get(self, key: str) -> Any | None:
        with _answering():
            return _load(self._client.get(key))

    def pop(self, key: str) -> Any | None:
        with _answering():
            return _load(self._client.getdel(key))

    def invalidate_pattern(self, pattern: str) -> None:
        # SCAN, unlike KEYS, does not hold up other clients; UNLINK frees memory in the background.
        with _answering(), self._client.pipeline(transaction=False) as pipeline:
            for key in self._client.scan_iter(pattern, count=1000):
                pipeline.unlink(key)
            pipeline.execute()


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (ConnectionError, TimeoutError) as error:
        raise Unavailable(f"redis: {error}") from error


def _load(text: Any) -> Any | None:
    return None if text is None else json.loads(text)
