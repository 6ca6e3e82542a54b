from collections.abc import Callable
from decimal import Decimal
from uuid import UUID

import pytest

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import (
    Event,
    InvalidOrder,
    OrderStatus,
    PaymentDeclined,
)
from {{ package_name }}.ports import Broker, Database

from tests.clients import PASSWORD, ShopClient, access_token
from tests.factories import ItemFactory, UserFactory

SKU = "SKU-MUG"
SECONDS = 10.0
"""How long an event may take to come back from the broker."""


def stocked(database: Database) -> UUID:
    """Put ten mugs on sale; a verified user's id."""
    user = UserFactory.build(verified=True)
    with database.begin() as work:
        work.users.add(user)
        work.items.add(ItemFactory.build(sku=SKU, price=Decimal("7.50"), quantity=10))
    return user.id


def events(shop: Shop, published: Callable[[int], list[Event]], count: int) -> list[str]:
    """The types of the first `count` events, once all that wait are published."""
    shop.events.relay()
    return [event.type for event in published(count)]


class TestIntegrationOrderProcessingFlow:
    def test_order_is_reserved_paid_published_and_fulfilled(
        self, shop: Shop, database: Database, published: Callable[[int], list[Event]]
    ) -> None:
        buyer = stocked(database)

        order = shop.orders.place(buyer, SKU, 3)
        assert order.total_amount == Decimal("22.50")
        assert shop.inventory.get_item(SKU).quantity == 7

        assert shop.orders.pay(order.id).status is OrderStatus.PAID
        shop.events.relay()
        (paid,) = published(1)
        assert (paid.type, paid.key) == ("order_paid", str(order.id))
        assert paid.data == {"user_id": str(buyer), "sku": SKU, "quantity": 3}

        assert shop.events.process_next(SECONDS)
        assert shop.orders.get(order.id).status is OrderStatus.FULFILLED
        assert events(shop, published, 2) == ["order_paid", "order_fulfilled"]

    def test_event_that_comes_twice_is_acted_on_once(
        self,
        shop: Shop,
        database: Database,
        broker: Broker,
        published: Callable[[int], list[Event]],
    ) -> None:
        order = shop.orders.place(stocked(database), SKU, 3)
        shop.orders.pay(order.id)
        shop.events.relay()
        (paid,) = published(1)
        broker.publish(paid)

        for _ in range(2):
            assert shop.events.process_next(SECONDS)

        assert shop.orders.get(order.id).status is OrderStatus.FULFILLED
        assert events(shop, published, 3) == ["order_paid", "order_paid", "order_fulfilled"]

    def test_declined_payment_releases_the_stock_and_publishes_nothing(
        self,
        shop: Shop,
        database: Database,
        published: Callable[[int], list[Event]],
        decline_payments: Callable[[], None],
    ) -> None:
        order = shop.orders.place(stocked(database), SKU, 3)
        decline_payments()

        with pytest.raises(PaymentDeclined):
            shop.orders.pay(order.id)

        assert shop.orders.get(order.id).status is OrderStatus.CANCELLED
        assert shop.inventory.get_item(SKU).quantity == 10
        with database.begin() as work:
            assert work.outbox.claim(lease=0, attempts=1) is None
        # Had anything been published, it would come before what is published now.
        shop.users.register("witness@example.com", "SecurePass123!", "Witness")
        assert events(shop, published, 1) == ["user_registered"]

    def test_only_positive_quantities_by_verified_users_are_ordered(
        self, shop: Shop, database: Database
    ) -> None:
        buyer = stocked(database)
        stranger = shop.users.register("stranger@example.com", PASSWORD, "Stranger").id

        for user_id, quantity in ((buyer, 0), (stranger, 1)):
            with pytest.raises(InvalidOrder):
                shop.orders.place(user_id, SKU, quantity)

        assert shop.inventory.get_item(SKU).quantity == 10

    def test_cancelled_order_releases_the_stock_and_is_never_paid(
        self, shop: Shop, database: Database
    ) -> None:
        order = shop.orders.place(stocked(database), SKU, 3)

        shop.orders.cancel(order.id)

        assert shop.inventory.get_item(SKU).quantity == 10
        with pytest.raises(InvalidOrder):
            shop.orders.pay(order.id)
        assert shop.orders.get(order.id).status is OrderStatus.CANCELLED

    def test_order_is_placed_and_paid_by_each_api(
        self, shop_client: ShopClient, committed_shop: Shop
    ) -> None:
        committed_shop.inventory.create_item(SKU, quantity=10, price=Decimal("7.50"))
        access_token(committed_shop, "buyer@example.com")
        shop_client.log_in("buyer@example.com", PASSWORD)

        order_id = shop_client.order(SKU, 3)
        shop_client.pay(order_id)

        assert shop_client.status(order_id) is OrderStatus.PAID
