import pytest

from {{ package_name }}.adapters.memory import (
    MemoryBroker,
    MemoryCache,
    MemoryDatabase,
    MemoryIdentityProvider,
    MemoryMailer,
    MemoryPayments,
)
from {{ package_name }}.bootstrap import Shop, assemble
from {{ package_name }}.domain import Event, OrderStatus, Unavailable
from {{ package_name }}.passwords import Passwords

from tests.factories import ItemFactory, UserFactory


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def mailer() -> MemoryMailer:
    return MemoryMailer()


@pytest.fixture
def shop(broker: MemoryBroker, mailer: MemoryMailer, passwords: Passwords) -> Shop:
    return assemble(
        MemoryDatabase(),
        MemoryCache(),
        broker,
        MemoryPayments(),
        MemoryIdentityProvider(),
        mailer,
        passwords,
    )


class TestEventService:
    def test_relay_publishes_once_and_in_order(self, shop: Shop, broker: MemoryBroker) -> None:
        user = shop.users.register("ada@example.com", "SecurePass123!", "Ada")
        shop.users.verify_email(user.id, shop.users.verification_token(user.id) or "")

        for _ in range(2):
            shop.events.relay()

        assert [event.type for event in broker.published] == ["user_registered", "user_welcomed"]

    def test_event_waits_until_the_broker_takes_it(
        self, shop: Shop, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop.users.register("ada@example.com", "SecurePass123!", "Ada")

        def away(event: Event) -> None:
            raise Unavailable("simulated")

        with monkeypatch.context() as patch, pytest.raises(Unavailable):
            patch.setattr(broker, "publish", away)
            shop.events.relay()

        assert broker.published == []
        shop.events.relay()
        assert [event.type for event in broker.published] == ["user_registered"]

    def test_registered_user_is_sent_the_token(self, shop: Shop, mailer: MemoryMailer) -> None:
        user = shop.users.register("ada@example.com", "SecurePass123!", "Ada")
        shop.events.relay()

        assert shop.events.process_next(timeout=0)

        assert mailer.sent == [("ada@example.com", shop.users.verification_token(user.id))]
        assert not shop.events.process_next(timeout=0)

    def test_paid_order_is_fulfilled(self, shop: Shop) -> None:
        user, item = UserFactory.build(verified=True), ItemFactory.build()
        with shop.database.begin() as work:
            work.users.add(user)
            work.items.add(item)
        order = shop.orders.place(user.id, item.sku, 1)
        shop.orders.pay(order.id)
        shop.events.relay()

        shop.events.process_next(timeout=0)

        assert shop.orders.get(order.id).status is OrderStatus.FULFILLED

    @pytest.mark.parametrize("key", ["00000000-0000-0000-0000-000000000000", "no id"])
    def test_event_about_a_user_who_is_gone_becomes_a_dead_letter(
        self, shop: Shop, broker: MemoryBroker, key: str
    ) -> None:
        event = Event("user_registered", key, {})
        broker.publish(event)

        assert shop.events.process_next(timeout=0)

        assert broker.dead_letters == [event]

    def test_event_that_concerns_nobody_is_passed_over(
        self, shop: Shop, broker: MemoryBroker
    ) -> None:
        broker.publish(Event("weather_changed", "key", {}))

        assert shop.events.process_next(timeout=0)

        assert broker.dead_letters == []
