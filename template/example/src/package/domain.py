"""The shop's own words: users, items, orders and what happened to them. No I/O."""

import json
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4


class OrderStatus(StrEnum):
    PENDING = "pending"
    PAYING = "paying"
    PAID = "paid"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"


class ShopError(Exception):
    """Something that the shop refuses to do."""


class EmailTaken(ShopError):
    """Another user has registered with this e-mail address."""


class SkuTaken(ShopError):
    """Another item has this number."""


class InvalidCredentials(ShopError):
    """E-mail address, password or token is wrong; which one is not told."""


class OutOfStock(ShopError):
    """Fewer items are left than were asked for."""


class NotFound(ShopError):
    """There is no such user, item or order."""


class InvalidOrder(ShopError):
    """The order cannot be placed or cannot change to that status."""


class PaymentDeclined(ShopError):
    """The buyer's bank says no."""


class Unavailable(Exception):
    """A dependency does not answer, or not as it should. Try again later."""


class EventRefused(Exception):
    """The broker is there, but does not take this event."""


@dataclass
class User:
    email: str
    name: str
    password_hash: str
    is_verified: bool = False
    is_active: bool = True
    id: UUID = field(default_factory=uuid4)


@dataclass
class Item:
    sku: str
    name: str
    price: Decimal
    quantity: int


@dataclass
class Order:
    user_id: UUID
    sku: str
    quantity: int
    total_amount: Decimal
    status: OrderStatus = OrderStatus.PENDING
    id: UUID = field(default_factory=uuid4)

    def begin_payment(self) -> None:
        """From now on nobody cancels it. An undecided payment may begin again."""
        self._change(OrderStatus.PAYING, OrderStatus.PENDING, OrderStatus.PAYING)

    def pay(self) -> None:
        self._change(OrderStatus.PAID, OrderStatus.PAYING)

    def decline_payment(self) -> None:
        self._change(OrderStatus.CANCELLED, OrderStatus.PAYING)

    def cancel(self) -> None:
        self._change(OrderStatus.CANCELLED, OrderStatus.PENDING)

    def fulfil(self) -> None:
        self._change(OrderStatus.FULFILLED, OrderStatus.PAID)

    def _change(self, after: OrderStatus, *before: OrderStatus) -> None:
        if self.status not in before:
            raise InvalidOrder(f"order {self.id} is {self.status}, so it cannot become {after}")
        self.status = after


@dataclass(frozen=True)
class Event:
    """Something that happened, for whoever wants to know. Events of one key keep their order."""

    type: str
    key: str
    data: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid4()))

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Event":
        """The event in a message.

        Raises:
            ValueError: the message is not an event.
        """
        content = json.loads(text)
        fields = content if isinstance(content, dict) else {}
        kinds = {"type": str, "key": str, "data": dict, "id": str}
        wrong = [name for name, kind in kinds.items() if not isinstance(fields.get(name), kind)]
        if wrong:
            raise ValueError(f"not an event: look at {', '.join(wrong)}")
        return cls(**{name: fields[name] for name in kinds})
