"""The shop's repositories on SQLAlchemy sessions. Every write is flushed, so constraints speak at once."""

from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ...domain import (
    EmailTaken,
    Event,
    Item,
    NotFound,
    Order,
    OrderStatus,
    OutOfStock,
    Role,
    User,
)
from .models import EventRow, ItemRow, OrderRow, UserRow


class UserRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, user: User) -> None:
        try:
            with self._session.begin_nested():
                self._session.add(UserRow(**vars(user)))
        except IntegrityError as error:
            raise EmailTaken(user.email) from error

    def get(self, user_id: UUID) -> User:
        return _user(_get(self._session, UserRow, user_id))

    def find_by_email(self, email: str) -> User | None:
        row = self._session.scalar(select(UserRow).where(UserRow.email == email))
        return _user(row) if row else None

    def save(self, user: User) -> None:
        _assign(_get(self._session, UserRow, user.id), user)
        self._session.flush()


class ItemRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, item: Item) -> None:
        self._session.add(ItemRow(**vars(item)))
        self._session.flush()

    def get(self, sku: str) -> Item:
        return _item(_get(self._session, ItemRow, sku))

    def take(self, sku: str, quantity: int) -> Item:
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

    def put_back(self, sku: str, quantity: int) -> None:
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

    def oldest(self) -> Event | None:
        # The lock makes another relay wait, so that events keep their order.
        row = self._session.scalar(
            select(EventRow).order_by(EventRow.position).limit(1).with_for_update()
        )
        return Event(row.type, row.key, row.data, row.id) if row else None

    def remove(self, event: Event) -> None:
        self._session.execute(delete(EventRow).where(EventRow.id == event.id))


Row = TypeVar("Row", UserRow, ItemRow, OrderRow)


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
        role=Role(row.role),
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
