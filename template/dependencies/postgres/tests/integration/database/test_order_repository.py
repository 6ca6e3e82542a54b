import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from {{ package_name }}.adapters.postgres.repositories import (
    ItemRepository,
    OrderRepository,
)
from {{ package_name }}.domain import NotFound, Order, OrderStatus

from tests.factories import ItemFactory, OrderFactory
from tests.factories.postgres import OrderRowFactory


@pytest.fixture
def order(postgres_factories: None) -> Order:
    """An order that is stored."""
    row = OrderRowFactory.create()
    return Order(row.user_id, row.sku, row.quantity, row.total_amount, id=row.id)


class TestIntegrationOrderRepository:
    def test_save_changes_the_stored_order(self, postgres_session: Session, order: Order) -> None:
        order.status = OrderStatus.PAID

        OrderRepository(postgres_session).save(order)

        postgres_session.expire_all()
        assert OrderRepository(postgres_session).get(order.id) == order

    def test_unknown_order_is_not_found(self, postgres_session: Session) -> None:
        with pytest.raises(NotFound):
            OrderRepository(postgres_session).get(OrderFactory.build().id)

    def test_order_of_an_unknown_user_is_refused_at_once(self, postgres_session: Session) -> None:
        with pytest.raises(IntegrityError, match="fk_orders"):
            OrderRepository(postgres_session).add(OrderFactory.build())

    def test_change_that_breaks_a_constraint_is_refused_at_once(
        self, postgres_session: Session, order: Order
    ) -> None:
        order.quantity = 0

        with pytest.raises(IntegrityError, match="quantity_positive"):
            OrderRepository(postgres_session).save(order)

    def test_item_that_breaks_a_constraint_is_refused_at_once(
        self, postgres_session: Session
    ) -> None:
        with pytest.raises(IntegrityError, match="quantity_not_negative"):
            ItemRepository(postgres_session).add(ItemFactory.build(quantity=-1))
