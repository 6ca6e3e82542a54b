"""The shop's cache and token store on Redis."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis


class RedisCache:
    """Values as JSON. `client` has to decode responses."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    @classmethod
    @contextmanager
    def connect(cls, url: str) -> Iterator["RedisCache"]:
        """The cache at a Redis URL; its connections are closed at the end of the block."""
        with Redis.from_url(url, decode_responses=True, socket_timeout=5) as client:
            yield cls(client)

    def set(self, key: str, value: Any, ttl: int | None = None) -> None:
        self._client.set(key, json.dumps(value), ex=ttl)

    def get(self, key: str) -> Any | None:
        return _load(self._client.get(key))

    def pop(self, key: str) -> Any | None:
        return _load(self._client.getdel(key))

    def invalidate_pattern(self, pattern: str) -> None:
        # SCAN, unlike KEYS, does not hold up other clients; UNLINK frees memory in the background.
        with self._client.pipeline(transaction=False) as pipeline:
            for key in self._client.scan_iter(pattern, count=1000):
                pipeline.unlink(key)
            pipeline.execute()


def _load(text: Any) -> Any | None:
    return None if text is None else json.loads(text)
