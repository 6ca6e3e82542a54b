"""The shop's repositories on SQLAlchemy sessions. Every write is flushed, so constraints speak at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from psycopg.errors import UniqueViolation
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from ...domain import (
    EmailTaken,
    Event,
    Item,
    NotFound,
    Order,
    OrderStatus,
    OutOfStock,
    ShopError,
    SkuTaken,
    User,
)
from ...ports import Claim
from .models import EventRow, ItemRow, OrderRow, UserRow


class UserRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, user: User) -> None:
        with unique(self._session, EmailTaken(user.email)):
            self._session.add(UserRow(**vars(user)))

    def get(self, user_id: UUID) -> User:
        return _user(_get(self._session, UserRow, user_id))

    def get_for_update(self, user_id: UUID) -> User:
        return _user(_get(self._session, UserRow, user_id, with_for_update=True))

    def find_by_email(self, email: str) -> User | None:
        row = self._session.scalar(select(UserRow).where(UserRow.email == email))
        return _user(row) if row else None

    def save(self, user: User) -> None:
        row = _get(self._session, UserRow, user.id)
        with unique(self._session, EmailTaken(user.email)):
            _assign(row, user)


class ItemRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, item: Item) -> None:
        with unique(self._session, SkuTaken(item.sku)):
            self._session.add(ItemRow(**vars(item)))

    def get(self, sku: str) -> Item:
        return _item(_get(self._session, ItemRow, sku))

    def reserve(self, sku: str, quantity: int) -> Item:
        # One statement checks and reduces: two buyers cannot both see the last item.
        enough = (ItemRow.sku == sku) & (ItemRow.quantity >= quantity)
        change = (
            update(ItemRow)
            .where(enough)
            .values(quantity=ItemRow.quantity - quantity)
            .returning(ItemRow)
        )
        row = self._session.scalar(change, execution_options={"populate_existing": True})
        if row is None:
            left = self.get(sku).quantity
            raise OutOfStock(f"{left} of {sku} left, {quantity} asked for")
        return _item(row)

    def release(self, sku: str, quantity: int) -> None:
        change = (
            update(ItemRow)
            .where(ItemRow.sku == sku)
            .values(quantity=ItemRow.quantity + quantity)
            .returning(ItemRow.sku)
        )
        if self._session.scalar(change) is None:
            raise NotFound(f"items {sku}")


class OrderRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, order: Order) -> None:
        self._session.add(OrderRow(**vars(order)))
        self._session.flush()

    def get(self, order_id: UUID) -> Order:
        return _order(_get(self._session, OrderRow, order_id))

    def get_for_update(self, order_id: UUID) -> Order:
        return _order(_get(self._session, OrderRow, order_id, with_for_update=True))

    def save(self, order: Order) -> None:
        _assign(_get(self._session, OrderRow, order.id), order)
        self._session.flush()


class Outbox:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, event: Event) -> None:
        self._session.add(EventRow(**vars(event)))
        self._session.flush()

    def claim(self, lease: float, attempts: int) -> Claim | None:
        earlier = aliased(EventRow)
        waits = select(earlier).where(
            earlier.key == EventRow.key, earlier.position < EventRow.position
        )
        now = func.clock_timestamp()
        free = or_(EventRow.claimed_until.is_(None), EventRow.claimed_until <= now)
        next_one = (
            select(EventRow)
            .where(EventRow.attempts < attempts, free, ~waits.exists())
            .order_by(EventRow.position)
            .limit(1)
            # What another relay is claiming at this moment is not free any more.
            .with_for_update(skip_locked=True)
        )
        row = self._session.scalar(next_one.execution_options(populate_existing=True))
        if row is None:
            return None
        row.attempts += 1
        row.claimed_until = now + timedelta(seconds=lease)
        self._session.flush()
        return Claim(Event(row.type, row.key, row.data, row.id), row.attempts)

    def release(self, claim: Claim) -> None:
        self._session.execute(
            update(EventRow)
            .where(EventRow.id == claim.event.id)
            .values(attempts=claim.attempt - 1, claimed_until=None)
        )

    def remove(self, event: Event) -> None:
        self._session.execute(delete(EventRow).where(EventRow.id == event.id))


Row = TypeVar("Row", UserRow, ItemRow, OrderRow)


@contextmanager
def unique(session: Session, taken: ShopError) -> Iterator[None]:
    """Write at the end of the block. Raises `taken` if that breaks a unique constraint."""
    try:
        with session.begin_nested():
            yield
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation):
            raise taken from error
        raise


def _get(session: Session, kind: type[Row], key: UUID | str, with_for_update: bool = False) -> Row:
    row = session.get(kind, key, with_for_update=with_for_update or None)
    if row is None:
        raise NotFound(f"{kind.__tablename__} {key}")
    return row


def _assign(row: UserRow | OrderRow, value: User | Order) -> None:
    fields: dict[str, Any] = vars(value)
    for name, field in fields.items():
        setattr(row, name, field)


def _user(row: UserRow) -> User:
    return User(
        id=row.id,
        email=row.email,
        name=row.name,
        password_hash=row.password_hash,
        is_verified=row.is_verified,
        is_active=row.is_active,
    )


def _item(row: ItemRow) -> Item:
    return Item(sku=row.sku, name=row.name, price=row.price, quantity=row.quantity)


def _order(row: OrderRow) -> Order:
    return Order(
        id=row.id,
        user_id=row.user_id,
        sku=row.sku,
        quantity=row.quantity,
        total_amount=row.total_amount,
        status=OrderStatus(row.status),
    )
