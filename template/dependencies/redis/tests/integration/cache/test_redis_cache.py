import os

import redis

from {{ package_name }}.adapters.redis import RedisCache


class TestIntegrationRedisCache:
    def test_set_and_get_keep_the_value(self, redis_adapter: RedisCache) -> None:
        redis_adapter.set("key", {"data": ["value", 1, None]}, ttl=60)

        assert redis_adapter.get("key") == {"data": ["value", 1, None]}

    def test_get_of_unknown_key_is_none(self, redis_adapter: RedisCache) -> None:
        assert redis_adapter.get("unknown") is None

    def test_ttl_is_set_on_the_server(
        self, redis_adapter: RedisCache, redis_client: redis.Redis
    ) -> None:
        redis_adapter.set("expiring", True, ttl=60)
        redis_adapter.set("lasting", True)

        assert 0 < redis_client.pttl("expiring") <= 60_000
        assert redis_client.pttl("lasting") == -1

    def test_expired_entry_is_gone(
        self, redis_adapter: RedisCache, redis_client: redis.Redis
    ) -> None:
        redis_adapter.set("expiring", True, ttl=60)

        redis_client.expireat("expiring", 1)

        assert redis_adapter.get("expiring") is None

    def test_pop_returns_the_value_once(self, redis_adapter: RedisCache) -> None:
        redis_adapter.set("token", "abc")

        assert redis_adapter.pop("token") == "abc"
        assert redis_adapter.pop("token") is None

    def test_invalidate_pattern_leaves_other_keys(self, redis_adapter: RedisCache) -> None:
        for key in ("user:1:profile", "user:1:settings", "user:12:profile"):
            redis_adapter.set(key, True)

        redis_adapter.invalidate_pattern("user:1:*")

        assert redis_adapter.get("user:1:profile") is None
        assert redis_adapter.get("user:1:settings") is None
        assert redis_adapter.get("user:12:profile") is True

    def test_invalidate_pattern_reaches_every_key_of_a_large_set(
        self, redis_adapter: RedisCache, redis_client: redis.Redis
    ) -> None:
        redis_client.mset({f"user:1:{number}": "1" for number in range(2500)})

        redis_adapter.invalidate_pattern("user:1:*")

        assert redis_client.dbsize() == 0

    def test_connect_reads_what_another_client_wrote(self, redis_adapter: RedisCache) -> None:
        redis_adapter.set("key", "value")

        with RedisCache.connect(os.environ) as cache:
            assert cache.get("key") == "value"
