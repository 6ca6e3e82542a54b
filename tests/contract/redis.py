"""What the fixtures of tests/fixtures/redis.py promise."""

import os
import time

import pytest
import redis
from redis.asyncio import Redis as AsyncRedis

from tests.testbed.faults import Faults
from tests.testbed.testbed import Testbed


def service(url: str, timeout: float = 10) -> redis.Redis:
    """Client as the code under test makes it, with one connection and one attempt."""
    return redis.Redis.from_url(
        url, socket_timeout=timeout, retry=None, single_connection_client=True
    )


class TestIntegrationRedisContract:
    def test_server_is_ready(self, redis_client: redis.Redis) -> None:
        assert redis_client.ping()

    @pytest.mark.parametrize("attempt", ["first", "second"])
    def test_database_is_empty_whatever_other_tests_wrote(
        self, redis_client: redis.Redis, attempt: str
    ) -> None:
        assert redis_client.dbsize() == 0

        redis_client.set("contract", attempt)

    def test_service_is_given_this_database(
        self, redis_client: redis.Redis, redis_url: str
    ) -> None:
        redis_client.set("contract", "seen")

        with redis.Redis.from_url(redis_url, decode_responses=True) as service:
            assert service.get("contract") == "seen"

    @pytest.mark.asyncio(loop_scope="session")
    async def test_async_client_sees_the_same_database(
        self, redis_async_client: AsyncRedis, redis_client: redis.Redis
    ) -> None:
        await redis_async_client.set("contract", "async")

        assert redis_client.get("contract") == "async"

    def test_without_a_fault_the_environment_names_the_server(
        self, redis_url: str, testbed: Testbed
    ) -> None:
        variables = testbed.environment.variables("redis", redis_url)
        assert variables
        assert variables.items() <= os.environ.items()


@pytest.mark.fault("redis")
class TestIntegrationRedisFaults:
    def test_cut_connection_is_an_error_and_the_next_one_works(self, fault: Faults) -> None:
        proxy = fault("redis")
        with service(proxy.url) as client:
            client.ping()
            proxy.cut()

            with pytest.raises(redis.ConnectionError):
                client.ping()

            assert client.ping()

    def test_refused_connection_is_an_error_until_the_server_is_back(self, fault: Faults) -> None:
        proxy = fault("redis", refuse=True)
        with pytest.raises(redis.ConnectionError):
            service(proxy.url).ping()

        proxy.restore()

        with service(proxy.url) as client:
            assert client.ping()

    @pytest.mark.fault("redis", delay=0.05)
    def test_delayed_answer_comes_late(self, fault: Faults) -> None:
        with service(fault("redis").url) as client:
            begun = time.monotonic()
            client.ping()

            assert time.monotonic() - begun >= 0.05

    @pytest.mark.fault("redis", black_hole=True)
    def test_answer_that_never_comes_is_a_timeout(self, fault: Faults) -> None:
        with pytest.raises(redis.TimeoutError):
            service(fault("redis").url, timeout=0.05).ping()
