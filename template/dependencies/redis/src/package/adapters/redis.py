"""The shop's cache and token store on Redis."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis import ConnectionError, Redis, TimeoutError
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from ..domain import Unavailable

if TYPE_CHECKING:
    from ..settings import RedisSettings

RETRY = Retry(ExponentialBackoff(cap=0.2, base=0.05), retries=2)
"""How often a command is sent again where the connection failed."""


class RedisCache:
    """Values as JSON. Each method raises Unavailable if Redis does not answer."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    @classmethod
    @contextmanager
    def connect(cls, settings: "RedisSettings") -> Iterator["RedisCache"]:
        """The cache that the settings name; its connections are closed at the end of the block."""
        with Redis.from_url(
            settings.url,
            socket_timeout=settings.timeout_seconds,
            retry=RETRY,
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
