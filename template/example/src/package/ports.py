"""What the shop needs from the outside. Each adapter implements one of these."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from .domain import Event, Item, Order, User
{% if wiring.sign_in %}
from .identity import IdentityRepository
{% endif %}


class UserRepository(Protocol):
    def add(self, user: User) -> None:
        """Raises EmailTaken if another user has the same e-mail address."""

    def get(self, user_id: UUID) -> User:
        """Raises NotFound."""

    def get_for_update(self, user_id: UUID) -> User:
        """The user, locked until the unit of work ends. Raises NotFound."""

    def find_by_email(self, email: str) -> User | None: ...

    def save(self, user: User) -> None:
        """Raises NotFound, or EmailTaken as `add` does."""


class ItemRepository(Protocol):
    def add(self, item: Item) -> None:
        """Raises SkuTaken if another item has the same SKU."""

    def get(self, sku: str) -> Item:
        """Raises NotFound."""

    def reserve(self, sku: str, quantity: int) -> Item:
        """Reduce the stock, safely while others do the same; the item as it is afterwards.

        Raises:
            OutOfStock: fewer are left; nothing is taken.
            NotFound: there is no such item.
        """

    def release(self, sku: str, quantity: int) -> None:
        """Raises NotFound."""


class OrderRepository(Protocol):
    def add(self, order: Order) -> None: ...

    def get(self, order_id: UUID) -> Order:
        """Raises NotFound."""

    def get_for_update(self, order_id: UUID) -> Order:
        """The order, locked until the unit of work ends. Raises NotFound."""

    def save(self, order: Order) -> None:
        """Raises NotFound."""


@dataclass(frozen=True)
class Claim:
    """An event that its holder is to publish."""

    event: Event
    attempt: int
    """1 for the first."""


class Outbox(Protocol):
    """Events that are stored with the change that they tell of, and wait to be published."""

    def add(self, event: Event) -> None: ...

    def claim(self, lease: float, attempts: int) -> Claim | None:
        """The oldest event that may be published now. Nobody else gets it for `lease` seconds.

        An event waits for all earlier ones of its key. After so many attempts it is parked:
        it is not claimed any more, and the later ones of its key wait.
        """

    def release(self, claim: Claim) -> None:
        """Give an event back; the attempt does not count."""

    def remove(self, event: Event) -> None: ...


class UnitOfWork(Protocol):
    @property
    def users(self) -> UserRepository: ...

    @property
    def items(self) -> ItemRepository: ...

    @property
    def orders(self) -> OrderRepository: ...

    @property
    def outbox(self) -> Outbox: ...
{% if wiring.sign_in %}

    @property
    def identities(self) -> IdentityRepository: ...
{% endif %}


class Database(Protocol):
    def begin(self) -> AbstractContextManager[UnitOfWork]:
        """A unit of work: all of it is kept at the end of the block, nothing if the block raises."""


class Cache(Protocol):
    def set(self, key: str, value: Any, ttl: int | None = None) -> None:
        """Keep a JSON value, for `ttl` seconds if given."""

    def get(self, key: str) -> Any | None: ...

    def pop(self, key: str) -> Any | None:
        """The value, which only one caller gets."""

    def invalidate_pattern(self, pattern: str) -> None:
        """Forget all keys that match a pattern such as `user:1:*`."""


class Broker(Protocol):
    def check(self) -> None:
        """Raises Unavailable if the broker does not answer."""

    def publish(self, event: Event) -> None:
        """Return once the broker has the event.

        Raises:
            Unavailable: the broker does not answer.
            EventRefused: it answers, and does not take this event.
        """

    def process_next(self, handle: Callable[[Event], None], timeout: float) -> bool:
        """Hand the next event to `handle`; False if none came within `timeout` seconds.

        An event counts as processed when `handle` returns. One that `handle` rejects with
        a ShopError, or that cannot be read, goes to the dead letters. After any other error
        the event comes again.

        Raises:
            Unavailable: the broker does not answer.
        """


class Payments(Protocol):
    def charge(self, amount: Decimal, reference: str) -> None:
        """Take money; with the same reference again, it is taken once.

        Raises:
            PaymentDeclined: the bank says no.
            Unavailable: nobody knows yet; ask again with the same reference.
        """


class Mailer(Protocol):
    def send(self, to: str, subject: str, text: str) -> None: ...
