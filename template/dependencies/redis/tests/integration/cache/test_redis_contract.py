"""How to test with Redis: copy the test that is closest to yours."""

import pytest
import redis

from tests.testbed.faults import Faults


class TestIntegrationRedisContract:
    def test_key_is_read_by_a_client_of_the_service(
        self, redis_client: redis.Redis, redis_url: str
    ) -> None:
        # The database is empty before each test.
        redis_client.set("contract", "seen")

        with redis.Redis.from_url(redis_url, decode_responses=True) as service:
            assert service.keys() == ["contract"]

    @pytest.mark.fault("redis", refuse=True)
    def test_server_that_is_gone_is_an_error(self, fault: Faults) -> None:
        with pytest.raises(redis.ConnectionError):
            redis.Redis.from_url(fault("redis").url, retry=None).ping()
