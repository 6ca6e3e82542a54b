"""What Redis does the same from every source."""

import pytest
import redis


class TestIntegrationRedisParity:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("databases", "64"),
            ("maxmemory", "0"),
            ("maxmemory-policy", "noeviction"),
            ("notify-keyspace-events", ""),
            ("save", ""),
            ("appendonly", "no"),
        ],
    )
    def test_setting_is_the_same(self, redis_client: redis.Redis, name: str, expected: str) -> None:
        assert redis_client.config_get(name)[name] == expected
