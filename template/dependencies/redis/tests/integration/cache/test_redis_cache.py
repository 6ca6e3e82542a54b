import pytest
import redis

from {{ package_name }}.adapters.redis import RedisCache
from {{ package_name }}.settings import RedisSettings

from tests.contracts import CacheContract


class TestIntegrationRedisCache(CacheContract):
    @pytest.fixture
    def cache(self, redis_adapter: RedisCache) -> RedisCache:
        return redis_adapter

    def test_ttl_is_set_on_the_server(self, cache: RedisCache, redis_client: redis.Redis) -> None:
        cache.set("expiring", True, ttl=60)
        cache.set("lasting", True)

        assert 0 < redis_client.pttl("expiring") <= 60_000
        assert redis_client.pttl("lasting") == -1

    def test_expired_entry_is_gone(self, cache: RedisCache, redis_client: redis.Redis) -> None:
        cache.set("expiring", True, ttl=60)

        redis_client.expireat("expiring", 1)

        assert cache.get("expiring") is None

    def test_invalidate_pattern_reaches_every_key_of_a_large_set(
        self, cache: RedisCache, redis_client: redis.Redis
    ) -> None:
        redis_client.mset({f"user:1:{number}": "1" for number in range(2500)})

        cache.invalidate_pattern("user:1:*")

        assert redis_client.dbsize() == 0

    def test_connect_reads_what_another_client_wrote(self, cache: RedisCache) -> None:
        cache.set("key", "value")

        with RedisCache.connect(RedisSettings.load()) as other:
            assert other.get("key") == "value"
