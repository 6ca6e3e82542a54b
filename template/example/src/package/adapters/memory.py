"""Every port in memory: for unit tests, and for what the service does not use."""

import copy
import fnmatch
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from ..domain import (
    EmailTaken,
    Event,
    Item,
    NotFound,
    Order,
    OutOfStock,
    PaymentDeclined,
    ShopError,
    SkuTaken,
    User,
)
from ..ports import Claim
{% if wiring.sign_in %}
from .memory_identity import MemoryIdentities
{% endif %}


class MemoryUsers:
    def __init__(self) -> None:
        self._users: dict[UUID, User] = {}

    def add(self, user: User) -> None:
        self._store(user)

    def get(self, user_id: UUID) -> User:
        if user_id not in self._users:
            raise NotFound(f"user {user_id}")
        return copy.copy(self._users[user_id])

    def get_for_update(self, user_id: UUID) -> User:
        # There is one unit of work at a time.
        return self.get(user_id)

    def find_by_email(self, email: str) -> User | None:
        users = self._users.values()
        return next((copy.copy(user) for user in users if user.email == email), None)

    def save(self, user: User) -> None:
        self.get(user.id)
        self._store(user)

    def _store(self, user: User) -> None:
        other = self.find_by_email(user.email)
        if other and other.id != user.id:
            raise EmailTaken(user.email)
        self._users[user.id] = copy.copy(user)


class MemoryItems:
    def __init__(self) -> None:
        self._items: dict[str, Item] = {}

    def add(self, item: Item) -> None:
        if item.sku in self._items:
            raise SkuTaken(item.sku)
        self._items[item.sku] = copy.copy(item)

    def get(self, sku: str) -> Item:
        return copy.copy(self._find(sku))

    def reserve(self, sku: str, quantity: int) -> Item:
        item = self._find(sku)
        if item.quantity < quantity:
            raise OutOfStock(f"{item.quantity} of {sku} left, {quantity} asked for")
        item.quantity -= quantity
        return copy.copy(item)

    def release(self, sku: str, quantity: int) -> None:
        self._find(sku).quantity += quantity

    def _find(self, sku: str) -> Item:
        if sku not in self._items:
            raise NotFound(f"item {sku}")
        return self._items[sku]


class MemoryOrders:
    def __init__(self) -> None:
        self._orders: dict[UUID, Order] = {}

    def add(self, order: Order) -> None:
        self._orders[order.id] = copy.copy(order)

    def get(self, order_id: UUID) -> Order:
        if order_id not in self._orders:
            raise NotFound(f"order {order_id}")
        return copy.copy(self._orders[order_id])

    def get_for_update(self, order_id: UUID) -> Order:
        # There is one unit of work at a time.
        return self.get(order_id)

    def save(self, order: Order) -> None:
        self.get(order.id)
        self._orders[order.id] = copy.copy(order)


@dataclass
class Entry:
    event: Event
    attempts: int = 0
    claimed_until: float = 0.0


class MemoryOutbox:
    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def add(self, event: Event) -> None:
        self._entries.append(Entry(event))

    def claim(self, lease: float, attempts: int) -> Claim | None:
        now = time.monotonic()
        keys = set()
        for entry in self._entries:
            first = entry.event.key not in keys
            keys.add(entry.event.key)
            if first and entry.attempts < attempts and entry.claimed_until <= now:
                entry.attempts += 1
                entry.claimed_until = now + lease
                return Claim(entry.event, entry.attempts)
        return None

    def release(self, claim: Claim) -> None:
        for entry in self._entries:
            if entry.event == claim.event:
                entry.attempts -= 1
                entry.claimed_until = 0.0

    def remove(self, event: Event) -> None:
        self._entries = [entry for entry in self._entries if entry.event != event]


class MemoryUnitOfWork:
    def __init__(self) -> None:
        self.users = MemoryUsers()
        self.items = MemoryItems()
        self.orders = MemoryOrders()
        self.outbox = MemoryOutbox()
{% if wiring.sign_in %}
        self.identities = MemoryIdentities()
{% endif %}


class InMemoryDatabase:
    """One unit of work at a time, on a copy that replaces the original at its end."""

    def __init__(self) -> None:
        self._committed = MemoryUnitOfWork()
        self._lock = threading.Lock()

    @contextmanager
    def begin(self) -> Iterator[MemoryUnitOfWork]:
        with self._lock:
            work = copy.deepcopy(self._committed)
            yield work
            self._committed = work


class InMemoryCache:
    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._entries: dict[str, tuple[str, float]] = {}

    def set(self, key: str, value: Any, ttl: int | None = None) -> None:
        expiry = float("inf") if ttl is None else self._now() + ttl
        self._entries[key] = (json.dumps(value), expiry)

    def get(self, key: str) -> Any | None:
        return self._read(self._entries.get(key))

    def pop(self, key: str) -> Any | None:
        return self._read(self._entries.pop(key, None))

    def invalidate_pattern(self, pattern: str) -> None:
        for key in fnmatch.filter(list(self._entries), pattern):
            self._entries.pop(key, None)

    def _read(self, entry: tuple[str, float] | None) -> Any | None:
        text, expiry = entry or ("null", 0.0)
        return json.loads(text) if self._now() < expiry else None


class InMemoryBroker:
    def __init__(self) -> None:
        self.published: list[Event] = []
        self.dead_letters: list[Event] = []
        self._waiting: deque[Event] = deque()

    def check(self) -> None:
        """Nothing is asked: what is in memory answers."""

    def publish(self, event: Event) -> None:
        self.published.append(event)
        self._waiting.append(event)

    def process_next(self, handle: Callable[[Event], None], timeout: float) -> bool:
        """As the port says, but nothing can come while it waits, so it does not."""
        if not self._waiting:
            return False
        try:
            handle(self._waiting[0])
        except ShopError:
            self.dead_letters.append(self._waiting[0])
        self._waiting.popleft()
        return True


class InMemoryPayments:
    """Takes every payment, unless it `declines`."""

    def __init__(self) -> None:
        self.charged: dict[str, Decimal] = {}
        self.declines = False

    def charge(self, amount: Decimal, reference: str) -> None:
        if self.declines:
            raise PaymentDeclined("card_declined")
        self.charged[reference] = amount


class InMemoryMailer:
    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def send(self, to: str, subject: str, text: str) -> None:
        self.sent.append((to, text))
