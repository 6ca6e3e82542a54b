"""Factories of rows in PostgreSQL. They flush and never commit, so the test's transaction holds them.

With an asynchronous session they cannot work: pass them the session of `run_sync`.
"""

from factory import SubFactory
from factory.alchemy import SQLAlchemyModelFactory
from sqlalchemy.orm import Session

from {{ package_name }}.adapters.postgres.models import (
    ItemRow,
    OrderRow,
    UserRow,
)

from . import ItemFactory, OrderFactory, UserFactory

_session: Session | None = None


def use(session: Session | None) -> None:
    """Have all rows added to this session; the fixture `postgres_factories` calls it."""
    global _session
    _session = session


def current() -> Session:
    assert _session is not None, "request the fixture `postgres_factories` first"
    return _session


class UserRowFactory(SQLAlchemyModelFactory, UserFactory):
    class Meta:
        model = UserRow
        sqlalchemy_session_factory = current
        sqlalchemy_session_persistence = "flush"


class ItemRowFactory(SQLAlchemyModelFactory, ItemFactory):
    class Meta:
        model = ItemRow
        sqlalchemy_session_factory = current
        sqlalchemy_session_persistence = "flush"


class OrderRowFactory(SQLAlchemyModelFactory, OrderFactory):
    class Meta:
        model = OrderRow
        exclude = ()
        sqlalchemy_session_factory = current
        sqlalchemy_session_persistence = "flush"

    user = SubFactory(UserRowFactory, verified=True)
    item = SubFactory(ItemRowFactory)
