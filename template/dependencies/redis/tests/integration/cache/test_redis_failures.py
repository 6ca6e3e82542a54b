import pytest

from {{ package_name }}.adapters.redis import RedisCache
from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import Unavailable
from {{ package_name }}.settings import RedisSettings

from tests.testbed.faults import Faults

EMAIL = "ada@example.com"
PASSWORD = "SecurePass123!"


@pytest.mark.usefixtures("redis_environment")
class TestIntegrationRedisFailures:
    @pytest.mark.fault("redis", refuse=True)
    def test_server_that_is_away_is_unavailable(self) -> None:
        with RedisCache.connect(RedisSettings.load()) as cache, pytest.raises(Unavailable):
            cache.get("key")

    @pytest.mark.fault("redis", black_hole=True)
    def test_no_answer_in_time_is_unavailable(self) -> None:
        settings = RedisSettings.load(timeout_seconds=0.05)

        with RedisCache.connect(settings) as cache, pytest.raises(Unavailable, match="imeout"):
            cache.get("key")

    def test_client_has_the_limits_that_the_service_ships_with(self) -> None:
        with RedisCache.connect(RedisSettings.load()) as cache:
            options = cache._client.connection_pool.connection_kwargs

        assert options["socket_timeout"] == 5
        assert options["retry"].get_retries() == 2

    def test_slow_server_is_waited_for(self, fault: Faults) -> None:
        fault("redis", delay=0.05)

        with RedisCache.connect(RedisSettings.load()) as cache:
            cache.set("key", "value")
            assert cache.get("key") == "value"

    def test_connection_that_was_cut_is_made_anew(self, fault: Faults) -> None:
        proxy = fault("redis")

        with RedisCache.connect(RedisSettings.load()) as cache:
            cache.set("key", "value")
            proxy.cut()

            assert cache.get("key") == "value"

    @pytest.mark.fault("redis", delay=0.1)
    def test_slow_cache_does_not_stop_registration(self, shop_from_env: Shop) -> None:
        user = shop_from_env.users.register(EMAIL, PASSWORD, "Ada")

        token = shop_from_env.users.verification_token(user.id) or ""
        assert shop_from_env.users.verify_email(user.id, token).is_verified

    @pytest.mark.fault("redis", refuse=True)
    def test_registration_without_a_cache_leaves_no_user_who_cannot_verify(
        self, shop_from_env: Shop, fault: Faults
    ) -> None:
        with pytest.raises(Unavailable):
            shop_from_env.users.register(EMAIL, PASSWORD, "Ada")
        fault("redis").restore()

        assert not shop_from_env.users.register(EMAIL, PASSWORD, "Ada").is_verified
