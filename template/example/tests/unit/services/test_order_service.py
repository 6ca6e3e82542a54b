from decimal import Decimal

import pytest

from {{ package_name }}.adapters.memory import (
    InMemoryDatabase,
    InMemoryPayments,
)
from {{ package_name }}.domain import (
    InvalidOrder,
    Item,
    NotFound,
    OrderStatus,
    OutOfStock,
    PaymentDeclined,
    Unavailable,
    User,
)
from {{ package_name }}.services.orders import OrderService

from tests.factories import ItemFactory, UserFactory


@pytest.fixture
def database() -> InMemoryDatabase:
    return InMemoryDatabase()


@pytest.fixture
def payments() -> InMemoryPayments:
    return InMemoryPayments()


@pytest.fixture
def orders(database: InMemoryDatabase, payments: InMemoryPayments) -> OrderService:
    return OrderService(database, payments)


@pytest.fixture
def item(database: InMemoryDatabase) -> Item:
    item = ItemFactory.build(quantity=5)
    with database.begin() as work:
        work.items.add(item)
    return item


@pytest.fixture
def user(database: InMemoryDatabase) -> User:
    user = UserFactory.build(verified=True)
    with database.begin() as work:
        work.users.add(user)
    return user


def left(database: InMemoryDatabase, item: Item) -> int:
    with database.begin() as work:
        return work.items.get(item.sku).quantity


def waiting(database: InMemoryDatabase) -> list[str]:
    """The types of the events in the outbox."""
    with database.begin() as work:
        found = []
        while claim := work.outbox.claim(lease=0, attempts=1):
            found.append(claim.event.type)
            work.outbox.remove(claim.event)
        return found


class TestOrderService:
    def test_place_reserves_stock_and_adds_up(
        self, orders: OrderService, database: InMemoryDatabase, user: User, item: Item
    ) -> None:
        order = orders.place(user.id, item.sku, 3)

        assert order.status is OrderStatus.PENDING
        assert order.total_amount == item.price * 3
        assert left(database, item) == 2

    def test_place_beyond_stock_takes_nothing(
        self, orders: OrderService, database: InMemoryDatabase, user: User, item: Item
    ) -> None:
        with pytest.raises(OutOfStock):
            orders.place(user.id, item.sku, 6)

        assert left(database, item) == 5

    @pytest.mark.parametrize("quantity", [0, -1])
    def test_place_without_positive_quantity_is_refused(
        self, orders: OrderService, user: User, item: Item, quantity: int
    ) -> None:
        with pytest.raises(InvalidOrder):
            orders.place(user.id, item.sku, quantity)

    def test_place_by_unverified_user_is_refused(
        self, orders: OrderService, database: InMemoryDatabase, item: Item
    ) -> None:
        user = UserFactory.build()
        with database.begin() as work:
            work.users.add(user)

        with pytest.raises(InvalidOrder):
            orders.place(user.id, item.sku, 1)

    def test_place_of_unknown_item_is_refused(self, orders: OrderService, user: User) -> None:
        with pytest.raises(NotFound):
            orders.place(user.id, "SKU-NONE", 1)

    def test_pay_charges_once_and_tells_it(
        self,
        orders: OrderService,
        database: InMemoryDatabase,
        payments: InMemoryPayments,
        user: User,
        item: Item,
    ) -> None:
        order = orders.place(user.id, item.sku, 3)

        assert orders.pay(order.id).status is OrderStatus.PAID

        assert payments.charged == {str(order.id): order.total_amount}
        assert waiting(database) == ["order_paid"]
        with pytest.raises(InvalidOrder):
            orders.pay(order.id)

    def test_declined_payment_cancels_and_tells_nothing(
        self,
        orders: OrderService,
        database: InMemoryDatabase,
        payments: InMemoryPayments,
        user: User,
        item: Item,
    ) -> None:
        order = orders.place(user.id, item.sku, 3)
        payments.declines = True

        with pytest.raises(PaymentDeclined):
            orders.pay(order.id)

        assert orders.get(order.id).status is OrderStatus.CANCELLED
        assert left(database, item) == 5
        assert waiting(database) == []

    def test_order_of_undecided_payment_can_only_be_paid(
        self,
        orders: OrderService,
        database: InMemoryDatabase,
        payments: InMemoryPayments,
        user: User,
        item: Item,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        order = orders.place(user.id, item.sku, 3)

        def away(amount: Decimal, reference: str) -> None:
            raise Unavailable("simulated")

        with monkeypatch.context() as patch, pytest.raises(Unavailable):
            patch.setattr(payments, "charge", away)
            orders.pay(order.id)

        # The buyer may have been charged.
        with pytest.raises(InvalidOrder):
            orders.cancel(order.id)
        assert left(database, item) == 2
        assert orders.pay(order.id).status is OrderStatus.PAID

    def test_fulfil_again_changes_nothing(
        self, orders: OrderService, database: InMemoryDatabase, user: User, item: Item
    ) -> None:
        order = orders.place(user.id, item.sku, 3)
        orders.pay(order.id)

        for _ in range(2):
            assert orders.fulfil(order.id).status is OrderStatus.FULFILLED

        assert waiting(database) == ["order_paid", "order_fulfilled"]

    def test_fulfil_of_unpaid_order_is_refused(
        self, orders: OrderService, user: User, item: Item
    ) -> None:
        order = orders.place(user.id, item.sku, 3)

        with pytest.raises(InvalidOrder):
            orders.fulfil(order.id)

    def test_cancel_gives_stock_back(
        self, orders: OrderService, database: InMemoryDatabase, user: User, item: Item
    ) -> None:
        order = orders.place(user.id, item.sku, 3)

        assert orders.cancel(order.id).status is OrderStatus.CANCELLED

        assert left(database, item) == 5

    def test_cancel_of_paid_order_is_refused(
        self, orders: OrderService, database: InMemoryDatabase, user: User, item: Item
    ) -> None:
        order = orders.place(user.id, item.sku, 3)
        orders.pay(order.id)

        with pytest.raises(InvalidOrder):
            orders.cancel(order.id)

        assert left(database, item) == 2
