"""The payment gateway: its HTTP API, and the shop's payments on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx2

from ..domain import PaymentDeclined, Unavailable
from .http import HttpApi, open_client

if TYPE_CHECKING:
    from ..settings import PaymentGatewaySettings

CURRENCY = "usd"


@dataclass(frozen=True)
class PaymentIntent:
    """A payment as the gateway sees it; the amount is in cents."""

    id: str
    amount: int
    currency: str
    status: str


class PaymentGateway:
    """`client` knows the gateway's address and its key."""

    def __init__(self, client: httpx2.Client) -> None:
        self._api = HttpApi("payment gateway", client)

    @classmethod
    @contextmanager
    def connect(cls, settings: "PaymentGatewaySettings") -> Iterator["PaymentGateway"]:
        """The gateway that the settings name."""
        headers = {"Authorization": f"Bearer {settings.key}"}
        with open_client(settings.url, settings.timeout_seconds, headers) as client:
            yield cls(client)

    def create_intent(self, amount: int, currency: str, reference: str) -> PaymentIntent:
        """Ask for a payment of so many cents; with the same reference again, it is the same payment.

        Raises:
            PaymentDeclined: the bank says no.
            Unavailable: the gateway does not answer, or not as documented.
        """
        response = self._api.send(
            "POST",
            "/v1/payment_intents",
            json={"amount": amount, "currency": currency, "confirm": True},
            # The same in every attempt: the gateway sees that it is one payment.
            headers={"Idempotency-Key": reference},
        )
        if response.status_code == 402:
            raise PaymentDeclined(_refusal(response))
        return self._api.read(response, _intent)

    def charge(self, amount: Decimal, reference: str) -> None:
        intent = self.create_intent(int(amount * 100), CURRENCY, reference)
        if intent.status != "succeeded":
            raise Unavailable(f"payment gateway: payment {intent.id} is {intent.status}")


def _intent(answer: Any) -> PaymentIntent:
    return PaymentIntent(
        id=str(answer["id"]),
        amount=int(answer["amount"]),
        currency=str(answer["currency"]),
        status=str(answer["status"]),
    )


def _refusal(response: httpx2.Response) -> str:
    try:
        return str(response.json()["error"]["code"])
    except (KeyError, TypeError, ValueError):
        return "declined, without a reason"
