"""What the fixtures of tests/fixtures/redis.py promise."""

import os

import pytest
import redis
from redis.asyncio import Redis as AsyncRedis


class TestIntegrationRedisContract:
    def test_server_is_ready(self, redis_client: redis.Redis) -> None:
        assert redis_client.ping()

    @pytest.mark.parametrize("attempt", ["first", "second"])
    def test_database_is_empty_whatever_other_tests_wrote(
        self, redis_client: redis.Redis, attempt: str
    ) -> None:
        assert redis_client.dbsize() == 0

        redis_client.set("contract", attempt)

    def test_service_is_given_this_database(self, redis_client: redis.Redis) -> None:
        redis_client.set("contract", "seen")

        with redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True) as service:
            assert service.get("contract") == "seen"

    @pytest.mark.asyncio(loop_scope="session")
    async def test_async_client_sees_the_same_database(
        self, redis_async_client: AsyncRedis, redis_client: redis.Redis
    ) -> None:
        await redis_async_client.set("contract", "async")

        assert redis_client.get("contract") == "async"
