{% if wiring.sign_in %}
from collections.abc import Callable, Iterator
{% else %}
from collections.abc import Iterator
{% endif %}
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx2

from {{ package_name }}.domain import OrderStatus


class RestClient:
    """Uses the REST API. What it refuses is an error, with the answer in its message."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    @classmethod
    @contextmanager
    def connect(cls, url: str) -> Iterator["RestClient"]:
        with httpx2.Client(base_url=url) as client:
            yield cls(client)

    def _send(self, method: str, path: str, **body: Any) -> Any:
        answer = self._client.request(method, path, json=body or None)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def register(self, email: str, password: str, name: str) -> UUID:
        return UUID(self._send("POST", "/users", email=email, password=password, name=name)["id"])

    def verify(self, user_id: UUID, token: str) -> bool:
        answer = self._send("POST", f"/users/{user_id}/verification", token=token)
        return bool(answer["is_verified"])

    def log_in(self, email: str, password: str) -> None:
        self._keep(self._send("POST", "/sessions", email=email, password=password))

{% if wiring.sign_in %}
    def sign_in(self, person: Callable[[str], str]) -> None:
        begun = self._send("POST", "/sessions/provider/begin")
        code = person(begun["url"])
        self._keep(self._send("POST", "/sessions/provider", state=begun["state"], code=code))

{% endif %}
    def _keep(self, session: Any) -> None:
        self._client.headers["Authorization"] = f"Bearer {session['access_token']}"

    def name(self) -> str:
        return str(self._send("GET", "/users/me")["name"])

    def order(self, sku: str, quantity: int) -> UUID:
        return UUID(self._send("POST", "/orders", sku=sku, quantity=quantity)["id"])

    def pay(self, order_id: UUID) -> None:
        self._send("POST", f"/orders/{order_id}/payment")

    def status(self, order_id: UUID) -> OrderStatus:
        return OrderStatus(self._send("GET", f"/orders/{order_id}")["status"])
