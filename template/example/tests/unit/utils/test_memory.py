import pytest

from {{ package_name }}.adapters.memory import (
    MemoryBroker,
    MemoryCache,
    MemoryDatabase,
)
from {{ package_name }}.domain import EmailTaken, Event, NotFound, ShopError

from tests.factories import OrderFactory, UserFactory


class TestMemoryDatabase:
    def test_failed_unit_of_work_keeps_nothing(self) -> None:
        database = MemoryDatabase()
        user = UserFactory.build()

        with pytest.raises(RuntimeError), database.begin() as work:
            work.users.add(user)
            raise RuntimeError("simulated")

        with database.begin() as work, pytest.raises(NotFound):
            work.users.get(user.id)

    def test_change_without_save_is_not_kept(self) -> None:
        database = MemoryDatabase()
        user = UserFactory.build()
        with database.begin() as work:
            work.users.add(user)

        user.name = "changed"

        with database.begin() as work:
            assert work.users.get(user.id).name != "changed"

    def test_taken_email_is_refused(self) -> None:
        database = MemoryDatabase()
        user = UserFactory.build()
        with database.begin() as work:
            work.users.add(user)

        with database.begin() as work, pytest.raises(EmailTaken):
            work.users.add(UserFactory.build(email=user.email))

    def test_unknown_order_is_not_found(self) -> None:
        with MemoryDatabase().begin() as work, pytest.raises(NotFound):
            work.orders.get(OrderFactory.build().id)


class TestMemoryCache:
    def test_entry_is_gone_after_its_time(self) -> None:
        now = [0.0]
        cache = MemoryCache(lambda: now[0])
        cache.set("key", {"a": 1}, ttl=60)
        assert cache.get("key") == {"a": 1}

        now[0] = 60.0

        assert cache.get("key") is None

    def test_invalidate_pattern_leaves_other_keys(self) -> None:
        cache = MemoryCache()
        for key in ("user:1:profile", "user:1:settings", "user:12:profile"):
            cache.set(key, True)

        cache.invalidate_pattern("user:1:*")

        assert cache.get("user:1:profile") is None
        assert cache.get("user:12:profile") is True


class TestMemoryBroker:
    def test_rejected_event_becomes_dead_letter(self) -> None:
        broker = MemoryBroker()
        event = Event("odd", "key", {})
        broker.publish(event)

        def reject(event: Event) -> None:
            raise ShopError("simulated")

        assert broker.process_next(reject, timeout=0)
        assert broker.dead_letters == [event]
        assert not broker.process_next(reject, timeout=0)

    def test_failed_event_comes_again(self) -> None:
        broker = MemoryBroker()
        broker.publish(Event("odd", "key", {}))

        def crash(event: Event) -> None:
            raise RuntimeError("simulated")

        with pytest.raises(RuntimeError):
            broker.process_next(crash, timeout=0)

        assert broker.process_next(lambda event: None, timeout=0)
