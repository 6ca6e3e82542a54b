from decimal import Decimal

import pytest

from {{ package_name }}.adapters.memory import InMemoryPayments
from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import (
    InvalidOrder,
    NotFound,
    Order,
    OrderStatus,
    OutOfStock,
    PaymentDeclined,
    Unavailable,
    User,
)

from tests.factories import ItemFactory, UserFactory
from tests.fixtures.shop import in_memory_shop, take_events

SKU = "SKU-MUG"


@pytest.fixture
def payments() -> InMemoryPayments:
    return InMemoryPayments()


@pytest.fixture
def shop(payments: InMemoryPayments) -> Shop:
    """A shop with five mugs at 7.50."""
    shop = in_memory_shop(payments=payments)
    with shop.database.begin() as work:
        work.items.add(ItemFactory.build(sku=SKU, price=Decimal("7.50"), quantity=5))
    return shop


@pytest.fixture
def user(shop: Shop) -> User:
    user: User = UserFactory.build(verified=True)
    with shop.database.begin() as work:
        work.users.add(user)
    return user


@pytest.fixture
def order(shop: Shop, user: User) -> Order:
    """A pending order of three."""
    return shop.orders.place(user.id, SKU, 3)


def left(shop: Shop) -> int:
    return shop.inventory.get_item(SKU).quantity


class TestOrderService:
    def test_place_reserves_stock_and_adds_up(self, shop: Shop, order: Order) -> None:
        assert order.status is OrderStatus.PENDING
        assert order.total_amount == Decimal("22.50")
        assert left(shop) == 2

    @pytest.mark.parametrize(
        ("sku", "quantity", "error"),
        [(SKU, 6, OutOfStock), (SKU, 0, InvalidOrder), (SKU, -1, InvalidOrder), ("", 1, NotFound)],
    )
    def test_place_what_there_is_not_is_refused(
        self, shop: Shop, user: User, sku: str, quantity: int, error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            shop.orders.place(user.id, sku, quantity)

        assert left(shop) == 5

    def test_place_by_unverified_user_is_refused(self, shop: Shop) -> None:
        user = UserFactory.build()
        with shop.database.begin() as work:
            work.users.add(user)

        with pytest.raises(InvalidOrder):
            shop.orders.place(user.id, SKU, 1)

    def test_pay_charges_once_and_tells_it(
        self, shop: Shop, payments: InMemoryPayments, order: Order
    ) -> None:
        assert shop.orders.pay(order.id).status is OrderStatus.PAID

        assert payments.charged == {str(order.id): order.total_amount}
        assert [event.type for event in take_events(shop)] == ["order_paid"]
        with pytest.raises(InvalidOrder):
            shop.orders.pay(order.id)

    def test_declined_payment_cancels_and_tells_nothing(
        self, shop: Shop, payments: InMemoryPayments, order: Order
    ) -> None:
        payments.declines = True

        with pytest.raises(PaymentDeclined):
            shop.orders.pay(order.id)

        assert shop.orders.get(order.id).status is OrderStatus.CANCELLED
        assert left(shop) == 5
        assert take_events(shop) == []

    def test_order_of_undecided_payment_can_only_be_paid(
        self, shop: Shop, order: Order, payments: InMemoryPayments, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(amount: Decimal, reference: str) -> None:
            raise Unavailable("simulated")

        with monkeypatch.context() as patch, pytest.raises(Unavailable):
            patch.setattr(payments, "charge", away)
            shop.orders.pay(order.id)

        # The buyer may have been charged.
        with pytest.raises(InvalidOrder):
            shop.orders.cancel(order.id)
        assert left(shop) == 2
        assert shop.orders.pay(order.id).status is OrderStatus.PAID

    def test_fulfil_again_changes_nothing(self, shop: Shop, order: Order) -> None:
        shop.orders.pay(order.id)

        for _ in range(2):
            assert shop.orders.fulfil(order.id).status is OrderStatus.FULFILLED

        told = [event.type for event in take_events(shop)]
        assert told == ["order_paid", "order_fulfilled"]

    def test_fulfil_of_unpaid_order_is_refused(self, shop: Shop, order: Order) -> None:
        with pytest.raises(InvalidOrder):
            shop.orders.fulfil(order.id)

    def test_cancel_gives_stock_back(self, shop: Shop, order: Order) -> None:
        assert shop.orders.cancel(order.id).status is OrderStatus.CANCELLED

        assert left(shop) == 5
