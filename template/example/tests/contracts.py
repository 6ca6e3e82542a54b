"""What each port promises, as tests. Every adapter runs them: a class inherits them and has the fixtures that they name."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from {{ package_name }}.domain import (
    EmailTaken,
    Event,
    NotFound,
    OrderStatus,
    OutOfStock,
    PaymentDeclined,
    ShopError,
    SkuTaken,
    User,
)
from {{ package_name }}.ports import Broker, Cache, Database, Payments

from tests.factories import ItemFactory, OrderFactory, UserFactory

TIMEOUT = 10.0


def counted(number: int, key: str = "one-key") -> Event:
    return Event("counted", key, {"number": number})


class DatabaseContract:
    """Needs `database`, which is empty."""

    def test_failed_unit_of_work_keeps_nothing(self, database: Database) -> None:
        user = UserFactory.build()

        with pytest.raises(RuntimeError), database.begin() as work:
            work.users.add(user)
            raise RuntimeError("simulated")

        with pytest.raises(NotFound), database.begin() as work:
            work.users.get(user.id)

    def test_change_without_save_is_not_kept(self, database: Database) -> None:
        user = self.stored_user(database)

        user.name = "changed"

        with database.begin() as work:
            assert work.users.get(user.id).name != "changed"

    def test_user_is_found_by_each_of_its_keys(self, database: Database) -> None:
        user = self.stored_user(database)

        with database.begin() as work:
            assert work.users.get(user.id) == user
            assert work.users.get_for_update(user.id) == user
            assert work.users.find_by_email(user.email) == user

    def test_unknown_user_is_found_by_none(self, database: Database) -> None:
        stranger = UserFactory.build()

        with database.begin() as work:
            assert work.users.find_by_email(stranger.email) is None
            for act in (work.users.get, work.users.get_for_update):
                with pytest.raises(NotFound):
                    act(stranger.id)
            with pytest.raises(NotFound):
                work.users.save(stranger)

    def test_saved_user_has_every_change(self, database: Database) -> None:
        user = self.stored_user(database)
        user.email, user.name, user.password_hash = "new@example.com", "New", "new"
        user.is_verified, user.is_active = True, False

        with database.begin() as work:
            work.users.save(user)

        with database.begin() as work:
            assert work.users.get(user.id) == user

    def test_email_belongs_to_one_user(self, database: Database) -> None:
        first, second = self.stored_user(database), self.stored_user(database)
        second.email = first.email

        with database.begin() as work:
            with pytest.raises(EmailTaken):
                work.users.save(second)
            second.id = UserFactory.build().id
            with pytest.raises(EmailTaken):
                work.users.add(second)

    def test_item_is_added_once(self, database: Database) -> None:
        item = ItemFactory.build(quantity=3)
        with database.begin() as work:
            work.items.add(item)

        with database.begin() as work:
            with pytest.raises(SkuTaken):
                work.items.add(ItemFactory.build(sku=item.sku))
            assert work.items.get(item.sku) == item

    def test_stock_is_taken_and_put_back(self, database: Database) -> None:
        item = ItemFactory.build(quantity=3)
        with database.begin() as work:
            work.items.add(item)

        with database.begin() as work:
            assert work.items.reserve(item.sku, 3).quantity == 0
            work.items.release(item.sku, 2)

        with database.begin() as work:
            assert work.items.get(item.sku).quantity == 2
            with pytest.raises(OutOfStock, match=f"2 of {item.sku} left, 3 asked for"):
                work.items.reserve(item.sku, 3)
            assert work.items.get(item.sku).quantity == 2

    def test_unknown_item_is_not_found(self, database: Database) -> None:
        with database.begin() as work:
            with pytest.raises(NotFound):
                work.items.get("SKU-NONE")
            with pytest.raises(NotFound):
                work.items.reserve("SKU-NONE", 1)
            with pytest.raises(NotFound):
                work.items.release("SKU-NONE", 1)

    def test_saved_order_has_every_change(self, database: Database) -> None:
        item = ItemFactory.build()
        user = self.stored_user(database)
        order = OrderFactory.build(user=user, item=item)
        with database.begin() as work:
            work.items.add(item)
            work.orders.add(order)
        order.status = OrderStatus.PAID

        with database.begin() as work:
            work.orders.save(order)

        with database.begin() as work:
            assert work.orders.get(order.id) == order
            assert work.orders.get_for_update(order.id) == order

    def test_unknown_order_is_not_found(self, database: Database) -> None:
        order = OrderFactory.build()

        with database.begin() as work:
            for act in (work.orders.get, work.orders.get_for_update):
                with pytest.raises(NotFound):
                    act(order.id)
            with pytest.raises(NotFound):
                work.orders.save(order)

    def test_events_are_claimed_in_order_and_leave_when_removed(self, database: Database) -> None:
        events = [counted(0), counted(1), counted(2, "another-key")]
        self.store(database, events)

        left = []
        while claimed := self.claim(database):
            left.append(claimed)
            with database.begin() as work:
                work.outbox.remove(claimed)

        assert left == events

    def test_claimed_event_holds_back_its_key_only(self, database: Database) -> None:
        self.store(database, [counted(0), counted(1), counted(2, "another-key")])

        assert self.claim(database) == self.stored[0]
        assert self.claim(database) == self.stored[2]
        assert self.claim(database) is None

    def test_claim_ends_with_its_lease(self, database: Database) -> None:
        self.store(database, [counted(0)])

        assert self.claim(database, lease=0) == self.stored[0]
        assert self.claim(database) == self.stored[0]

    def test_event_is_parked_after_its_attempts_and_holds_back_its_key(
        self, database: Database
    ) -> None:
        self.store(database, [counted(0), counted(1), counted(2, "another-key")])

        claims = []
        for _ in range(2):
            with database.begin() as work:
                claims.append(work.outbox.claim(lease=0, attempts=2))

        assert [(claim.event, claim.attempt) for claim in claims if claim] == [
            (self.stored[0], 1),
            (self.stored[0], 2),
        ]
        assert self.claim(database, attempts=2) == self.stored[2]
        assert self.claim(database, attempts=2) is None

    def test_released_event_is_free_and_its_attempt_does_not_count(
        self, database: Database
    ) -> None:
        self.store(database, [counted(0)])

        for _ in range(3):
            with database.begin() as work:
                claim = work.outbox.claim(lease=60, attempts=1)
            assert claim is not None and claim.attempt == 1
            with database.begin() as work:
                work.outbox.release(claim)

    def stored_user(self, database: Database, **fields: object) -> User:
        user: User = UserFactory.build(**fields)
        with database.begin() as work:
            work.users.add(user)
        return user

    def store(self, database: Database, events: list[Event]) -> None:
        self.stored = events
        with database.begin() as work:
            for event in events:
                work.outbox.add(event)

    def claim(self, database: Database, lease: float = 60, attempts: int = 10) -> Event | None:
        with database.begin() as work:
            claim = work.outbox.claim(lease, attempts)
        return claim.event if claim else None


class CacheContract:
    """Needs `cache`, which is empty."""

    def test_value_is_kept_as_it_is(self, cache: Cache) -> None:
        cache.set("key", {"data": ["value", 1, None]}, ttl=60)

        assert cache.get("key") == {"data": ["value", 1, None]}

    def test_later_value_replaces_the_first(self, cache: Cache) -> None:
        for value in ("first", "second"):
            cache.set("key", value)

        assert cache.get("key") == "second"

    def test_unknown_key_is_none(self, cache: Cache) -> None:
        assert cache.get("unknown") is None
        assert cache.pop("unknown") is None

    def test_pop_returns_the_value_once(self, cache: Cache) -> None:
        cache.set("token", "abc")

        assert cache.pop("token") == "abc"
        assert cache.pop("token") is None

    def test_invalidate_pattern_leaves_other_keys(self, cache: Cache) -> None:
        for key in ("user:1:profile", "user:1:settings", "user:12:profile"):
            cache.set(key, True)

        cache.invalidate_pattern("user:1:*")

        assert cache.get("user:1:profile") is None
        assert cache.get("user:1:settings") is None
        assert cache.get("user:12:profile") is True


class BrokerContract:
    """Needs `broker`, and `dead_letters`, which waits for so many of them."""

    def test_event_is_delivered_once(self, broker: Broker) -> None:
        event = counted(1)
        broker.publish(event)
        handled: list[Event] = []

        assert broker.process_next(handled.append, TIMEOUT)
        assert not broker.process_next(handled.append, timeout=0.1)
        assert handled == [event]

    def test_events_of_one_key_come_in_order(self, broker: Broker) -> None:
        events = [counted(number) for number in range(5)]
        for event in events:
            broker.publish(event)
        handled: list[Event] = []

        for _ in events:
            broker.process_next(handled.append, TIMEOUT)

        assert handled == events

    def test_event_comes_again_after_an_error(self, broker: Broker) -> None:
        events = [counted(1), counted(2)]
        for event in events:
            broker.publish(event)
        handled: list[Event] = []

        with pytest.raises(RuntimeError):
            broker.process_next(failing(RuntimeError("simulated")), TIMEOUT)
        for _ in events:
            broker.process_next(handled.append, TIMEOUT)

        assert handled == events

    def test_rejected_event_goes_to_the_dead_letters(
        self, broker: Broker, dead_letters: Callable[[int], list[Event]]
    ) -> None:
        events = [counted(1), counted(2)]
        for event in events:
            broker.publish(event)
        handled: list[Event] = []

        assert broker.process_next(failing(ShopError("no such user")), TIMEOUT)
        assert broker.process_next(handled.append, TIMEOUT)

        assert dead_letters(1) == events[:1]
        assert handled == events[1:]


def failing(error: Exception) -> Callable[[Event], None]:
    def fail(event: Event) -> None:
        raise error

    return fail


class PaymentsContract:
    """Needs `payments`, `charged`, which returns what was taken, and `decline_payments`."""

    def test_reference_is_charged_once(
        self, payments: Payments, charged: Callable[[], dict[str, Decimal]]
    ) -> None:
        for reference in ("order-1", "order-1", "order-2"):
            payments.charge(Decimal("19.99"), reference)

        assert charged() == {"order-1": Decimal("19.99"), "order-2": Decimal("19.99")}

    def test_declined_payment_takes_nothing(
        self,
        payments: Payments,
        charged: Callable[[], dict[str, Decimal]],
        decline_payments: Callable[[], None],
    ) -> None:
        decline_payments()

        with pytest.raises(PaymentDeclined):
            payments.charge(Decimal("19.99"), "order-1")

        assert charged() == {}
