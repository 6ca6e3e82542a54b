import threading

import pytest

from {{ package_name }}.adapters.memory import InMemoryBroker, InMemoryMailer
from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import (
    Event,
    EventRefused,
    OrderStatus,
    Unavailable,
)
from {{ package_name }}.services.events import MAX_ATTEMPTS

from tests.factories import ItemFactory, UserFactory
from tests.fixtures.shop import in_memory_shop

SECONDS = 5.0


@pytest.fixture
def broker() -> InMemoryBroker:
    return InMemoryBroker()


@pytest.fixture
def mailer() -> InMemoryMailer:
    return InMemoryMailer()


@pytest.fixture
def shop(broker: InMemoryBroker, mailer: InMemoryMailer) -> Shop:
    return in_memory_shop(broker=broker, mailer=mailer)


def refuse(event: Event) -> None:
    raise EventRefused("simulated")


class TestEventService:
    def test_relay_publishes_once_and_in_order(self, shop: Shop, broker: InMemoryBroker) -> None:
        user = shop.users.register("ada@example.com", "SecurePass123!", "Ada")
        shop.users.verify_email(user.id, shop.users.verification_token(user.id) or "")

        for _ in range(2):
            shop.events.relay()

        assert [event.type for event in broker.published] == ["user_registered", "user_welcomed"]

    def test_event_waits_until_the_broker_takes_it(
        self, shop: Shop, broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop.users.register("ada@example.com", "SecurePass123!", "Ada")

        def away(event: Event) -> None:
            raise Unavailable("simulated")

        # That nobody answers is not the event's fault: it is never parked for it.
        for _ in range(MAX_ATTEMPTS + 1):
            with monkeypatch.context() as patch, pytest.raises(Unavailable):
                patch.setattr(broker, "publish", away)
                shop.events.relay()

        assert broker.published == []
        shop.events.relay()
        assert [event.type for event in broker.published] == ["user_registered"]

    def test_refused_event_stays_and_the_next_one_is_published(
        self,
        shop: Shop,
        broker: InMemoryBroker,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        shop.users.register("ada@example.com", "SecurePass123!", "Ada")

        with monkeypatch.context() as patch:
            patch.setattr(broker, "publish", refuse)
            shop.events.relay()
        bob = shop.users.register("bob@example.com", "SecurePass123!", "Bob")
        shop.events.relay()

        assert [event.key for event in broker.published] == [str(bob.id)]
        assert "refused (attempt 1): simulated" in caplog.text
        with shop.database.begin() as work:
            assert work.outbox.claim(0, MAX_ATTEMPTS) is None

    def test_event_that_is_refused_for_the_last_time_is_parked(
        self,
        shop: Shop,
        broker: InMemoryBroker,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        shop.users.register("ada@example.com", "SecurePass123!", "Ada")
        with shop.database.begin() as work:
            for _ in range(MAX_ATTEMPTS - 1):
                work.outbox.claim(0, MAX_ATTEMPTS)

        monkeypatch.setattr(broker, "publish", refuse)
        shop.events.relay()

        assert f"parked (attempt {MAX_ATTEMPTS}): simulated" in caplog.text

    def test_no_unit_of_work_is_open_while_the_broker_is_waited_for(
        self, shop: Shop, broker: InMemoryBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop.users.register("ada@example.com", "SecurePass123!", "Ada")
        elsewhere: list[bool] = []

        def publish(event: Event) -> None:
            other = threading.Thread(target=lambda: shop.users.register("b@c.de", "x" * 12, "Bob"))
            other.daemon = True
            other.start()
            other.join(SECONDS)
            elsewhere.append(not other.is_alive())

        with monkeypatch.context() as patch:
            patch.setattr(broker, "publish", publish)
            shop.events.relay_next()

        assert elsewhere == [True]

    def test_registered_user_is_sent_the_token(self, shop: Shop, mailer: InMemoryMailer) -> None:
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
        self, shop: Shop, broker: InMemoryBroker, key: str
    ) -> None:
        event = Event("user_registered", key, {})
        broker.publish(event)

        assert shop.events.process_next(timeout=0)

        assert broker.dead_letters == [event]

    def test_event_that_concerns_nobody_is_passed_over(
        self, shop: Shop, broker: InMemoryBroker
    ) -> None:
        broker.publish(Event("weather_changed", "key", {}))

        assert shop.events.process_next(timeout=0)

        assert broker.dead_letters == []
