import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, sessionmaker

from {{ package_name }}.adapters.postgres import PostgresDatabase
from {{ package_name }}.adapters.postgres.models import ItemRow, UserRow

from tests.factories import ItemFactory, OrderFactory, UserFactory
from tests.factories.postgres import ItemRowFactory, OrderRowFactory, UserRowFactory


class TestIntegrationTransactions:
    def test_unit_of_work_commits_all_of_it(
        self, postgres_committed: sessionmaker[Session]
    ) -> None:
        user, item = UserFactory.build(verified=True), ItemFactory.build()
        order = OrderFactory.build(user=user, item=item, paid=True)

        with PostgresDatabase(postgres_committed).begin() as work:
            work.users.add(user)
            work.items.add(item)
            work.orders.add(order)

        with PostgresDatabase(postgres_committed).begin() as work:
            assert work.orders.get(order.id) == order
            assert work.items.get(item.sku) == item

    @pytest.mark.parametrize("attempt", ["first", "second"])
    def test_committed_rows_of_another_test_are_gone(
        self, postgres_committed: sessionmaker[Session], attempt: str
    ) -> None:
        with postgres_committed.begin() as session:
            assert session.scalar(select(func.count()).select_from(UserRow)) == 0
            session.add(UserRow(**vars(UserFactory.build(name=attempt))))

        with postgres_committed() as other:
            assert other.scalars(select(UserRow.name)).all() == [attempt]

    def test_failed_flush_leaves_the_session_usable(
        self, postgres_session: Session, postgres_factories: None
    ) -> None:
        order = OrderRowFactory.create()

        with pytest.raises(IntegrityError), postgres_session.begin_nested():
            UserRowFactory.create(email=order.user.email)

        assert postgres_session.scalar(select(func.count()).select_from(UserRow)) == 1

    def test_deleting_a_user_with_orders_is_refused(
        self, postgres_session: Session, postgres_factories: None
    ) -> None:
        order = OrderRowFactory.create()
        user = order.user
        postgres_session.expunge(order)

        postgres_session.delete(user)
        with pytest.raises(IntegrityError, match="fk_orders_user_id_users"):
            postgres_session.flush()

    def test_stock_cannot_become_negative(
        self, postgres_session: Session, postgres_factories: None
    ) -> None:
        item = ItemRowFactory.create(quantity=1)

        with pytest.raises(IntegrityError, match="quantity_not_negative"):
            postgres_session.execute(update(ItemRow).values(quantity=-1))

        postgres_session.rollback()
        assert postgres_session.get(ItemRow, item.sku) is None

    async def test_async_session_sees_its_own_commit(
        self, postgres_async_session: AsyncSession
    ) -> None:
        user = UserFactory.build()
        postgres_async_session.add(UserRow(**vars(user)))
        await postgres_async_session.commit()

        await postgres_async_session.rollback()

        names = await postgres_async_session.scalars(select(UserRow.name))
        assert names.all() == [user.name]
