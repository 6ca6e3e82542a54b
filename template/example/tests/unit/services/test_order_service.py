import pytest

from {{ package_name }}.adapters.memory import MemoryBroker, MemoryDatabase
from {{ package_name }}.domain import (
    InvalidOrder,
    Item,
    NotFound,
    OrderStatus,
    OutOfStock,
    User,
)
from {{ package_name }}.services.orders import OrderService

from tests.factories import ItemFactory, UserFactory


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase()


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def orders(database: MemoryDatabase, broker: MemoryBroker) -> OrderService:
    return OrderService(database, broker)


@pytest.fixture
def item(database: MemoryDatabase) -> Item:
    item = ItemFactory.build(quantity=5)
    with database.begin() as work:
        work.items.add(item)
    return item


@pytest.fixture
def user(database: MemoryDatabase) -> User:
    user = UserFactory.build(verified=True)
    with database.begin() as work:
        work.users.add(user)
    return user


def left(database: MemoryDatabase, item: Item) -> int:
    with database.begin() as work:
        return work.items.get(item.sku).quantity


class TestOrderService:
    def test_place_reserves_stock_and_adds_up(
        self, orders: OrderService, database: MemoryDatabase, user: User, item: Item
    ) -> None:
        order = orders.place(user.id, item.sku, 3)

        assert order.status is OrderStatus.PENDING
        assert order.total_amount == item.price * 3
        assert left(database, item) == 2

    def test_place_beyond_stock_takes_and_tells_nothing(
        self,
        orders: OrderService,
        database: MemoryDatabase,
        broker: MemoryBroker,
        user: User,
        item: Item,
    ) -> None:
        with pytest.raises(OutOfStock):
            orders.place(user.id, item.sku, 6)

        assert left(database, item) == 5
        assert broker.published == []

    @pytest.mark.parametrize("quantity", [0, -1])
    def test_place_without_positive_quantity_is_refused(
        self, orders: OrderService, user: User, item: Item, quantity: int
    ) -> None:
        with pytest.raises(InvalidOrder):
            orders.place(user.id, item.sku, quantity)

    def test_place_by_unverified_user_is_refused(
        self, orders: OrderService, database: MemoryDatabase, item: Item
    ) -> None:
        user = UserFactory.build()
        with database.begin() as work:
            work.users.add(user)

        with pytest.raises(InvalidOrder):
            orders.place(user.id, item.sku, 1)

    def test_place_of_unknown_item_is_refused(self, orders: OrderService, user: User) -> None:
        with pytest.raises(NotFound):
            orders.place(user.id, "SKU-NONE", 1)

    def test_cancel_gives_stock_back(
        self,
        orders: OrderService,
        database: MemoryDatabase,
        broker: MemoryBroker,
        user: User,
        item: Item,
    ) -> None:
        order = orders.place(user.id, item.sku, 3)

        orders.cancel(order.id)

        assert left(database, item) == 5
        assert [event.type for event in broker.published] == ["order_placed", "order_cancelled"]

    def test_cancel_of_paid_order_is_refused(
        self, orders: OrderService, database: MemoryDatabase, user: User, item: Item
    ) -> None:
        order = orders.place(user.id, item.sku, 3)
        orders.pay(order.id)

        with pytest.raises(InvalidOrder):
            orders.cancel(order.id)

        assert left(database, item) == 2
