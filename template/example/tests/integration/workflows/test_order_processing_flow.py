from collections.abc import Callable
from uuid import uuid4

import pytest

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import Event, InvalidOrder, NotFound, OrderStatus, User


@pytest.fixture
def buyer(shop: Shop) -> User:
    """A user who may order."""
    user = shop.users.register("buyer@example.com", "SecurePass123!", "Buyer")
    return shop.users.verify_email(user.id, shop.users.verification_token(user.id) or "")


@pytest.fixture
def mugs(shop: Shop) -> str:
    """SKU of an item of which ten are left."""
    return shop.inventory.create_item("SKU-MUG", quantity=10).sku


class TestIntegrationOrderProcessingFlow:
    def test_complete_order_flow(
        self, shop: Shop, buyer: User, mugs: str, published: Callable[[int], list[Event]]
    ) -> None:
        order = shop.orders.place(buyer.id, mugs, 3)
        shop.orders.pay(order.id)

        assert shop.orders.get(order.id).status is OrderStatus.PAID
        assert shop.inventory.get_item(mugs).quantity == 7
        events = [event for event in published(4) if event.key == str(order.id)]
        assert [event.type for event in events] == ["order_placed", "order_paid"]

    def test_cancelled_order_gives_the_stock_back(self, shop: Shop, buyer: User, mugs: str) -> None:
        order = shop.orders.place(buyer.id, mugs, 3)

        shop.orders.cancel(order.id)

        assert shop.inventory.get_item(mugs).quantity == 10

    def test_paid_order_cannot_be_cancelled(self, shop: Shop, buyer: User, mugs: str) -> None:
        order = shop.orders.place(buyer.id, mugs, 3)
        shop.orders.pay(order.id)

        with pytest.raises(InvalidOrder):
            shop.orders.cancel(order.id)

        assert shop.inventory.get_item(mugs).quantity == 7

    def test_order_of_no_items_takes_nothing(self, shop: Shop, buyer: User, mugs: str) -> None:
        with pytest.raises(InvalidOrder, match="not positive"):
            shop.orders.place(buyer.id, mugs, 0)

        assert shop.inventory.get_item(mugs).quantity == 10

    def test_order_of_an_unverified_user_takes_nothing(self, shop: Shop, mugs: str) -> None:
        user = shop.users.register("buyer@example.com", "SecurePass123!", "Buyer")

        with pytest.raises(InvalidOrder, match="verified"):
            shop.orders.place(user.id, mugs, 1)

        assert shop.inventory.get_item(mugs).quantity == 10

    def test_unknown_order_is_not_found(self, shop: Shop) -> None:
        with pytest.raises(NotFound):
            shop.orders.get(uuid4())
