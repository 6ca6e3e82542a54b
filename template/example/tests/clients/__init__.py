"""Customers of the shop: what people do with it, by each of its APIs. Workflows and end-to-end tests are told in their terms."""

from __future__ import annotations

{% if wiring.sign_in %}
from collections.abc import Callable
{% endif %}
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from {{ package_name }}.domain import OrderStatus

# Fixture modules import this one, and the adapters of all servers take long to import.
if TYPE_CHECKING:
    from {{ package_name }}.bootstrap import Shop

PASSWORD = "SecurePass123!"


class ShopClient(Protocol):
    def register(self, email: str, password: str, name: str) -> UUID:
        """The new user's id."""

    def verify(self, user_id: UUID, token: str) -> bool:
        """Whether the user is verified now."""

    def log_in(self, email: str, password: str) -> None:
        """Whatever comes after this is done as that user."""

{% if wiring.sign_in %}
    def sign_in(self, person: Callable[[str], str]) -> None:
        """The same, as a person who logs in at the identity provider: its URL in, its code out."""

{% endif %}
    def name(self) -> str:
        """The name of the user who is logged in."""

    def order(self, sku: str, quantity: int) -> UUID:
        """The new order's id."""

    def pay(self, order_id: UUID) -> None: ...

    def status(self, order_id: UUID) -> OrderStatus: ...


class LibraryClient:
    """Uses the shop without an API."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._access_token = ""

    def register(self, email: str, password: str, name: str) -> UUID:
        return self._shop.users.register(email, password, name).id

    def verify(self, user_id: UUID, token: str) -> bool:
        return self._shop.users.verify_email(user_id, token).is_verified

    def log_in(self, email: str, password: str) -> None:
        self._access_token = self._shop.users.authenticate(email, password).access_token

{% if wiring.sign_in %}
    def sign_in(self, person: Callable[[str], str]) -> None:
        begun = self._shop.sign_in.begin()
        session = self._shop.sign_in.finish(begun.state, person(begun.url))
        self._access_token = session.access_token

{% endif %}
    def name(self) -> str:
        return self._shop.users.current_user(self._access_token).name

    def order(self, sku: str, quantity: int) -> UUID:
        user = self._shop.users.current_user(self._access_token)
        return self._shop.orders.place(user.id, sku, quantity).id

    def pay(self, order_id: UUID) -> None:
        self._shop.orders.pay(order_id)

    def status(self, order_id: UUID) -> OrderStatus:
        return self._shop.orders.get(order_id).status


def access_token(shop: Shop, email: str = "buyer@example.com") -> str:
    """The token of a user who is registered, verified and logged in."""
    user = shop.users.register(email, PASSWORD, "Member")
    shop.users.verify_email(user.id, shop.users.verification_token(user.id) or "")
    return shop.users.authenticate(email, PASSWORD).access_token
