from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import grpc
import pytest

from {{ package_name }}.domain import OrderStatus
from {{ package_name }}.generated import (
    order_pb2,
    order_pb2_grpc,
{% if wiring.sign_in %}
    sign_in_pb2,
    sign_in_pb2_grpc,
{% endif %}
    user_pb2,
    user_pb2_grpc,
)

SECONDS = 10
"""How long a call may take."""
Metadata = list[tuple[str, str]]


def metadata(token: str) -> Metadata:
    """The metadata of a user who is logged in with a token."""
    return [("authorization", f"Bearer {token}")]


def refused(call: Callable[..., Any], request: object, **options: object) -> grpc.StatusCode:
    """The status code with which a call is refused."""
    with pytest.raises(grpc.RpcError) as error:
        call(request, **{"timeout": SECONDS, **options})
    return error.value.code()


class GrpcClient:
    """Uses the gRPC API. What it refuses is a grpc.RpcError."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._users = user_pb2_grpc.UserServiceStub(channel)
        self._orders = order_pb2_grpc.OrderServiceStub(channel)
{% if wiring.sign_in %}
        self._sign_in = sign_in_pb2_grpc.SignInServiceStub(channel)
{% endif %}
        self._session = user_pb2.Session()

    @classmethod
    @contextmanager
    def connect(cls, address: str) -> Iterator["GrpcClient"]:
        with grpc.insecure_channel(address) as channel:
            yield cls(channel)

    @property
    def _metadata(self) -> Metadata:
        return metadata(self._session.access_token)

    def register(self, email: str, password: str, name: str) -> UUID:
        request = user_pb2.CreateUserRequest(email=email, password=password, name=name)
        return UUID(self._users.CreateUser(request, timeout=SECONDS).id)

    def verify(self, user_id: UUID, token: str) -> bool:
        request = user_pb2.VerifyUserRequest(id=str(user_id), token=token)
        return bool(self._users.VerifyUser(request, timeout=SECONDS).is_verified)

    def log_in(self, email: str, password: str) -> None:
        request = user_pb2.AuthenticateRequest(email=email, password=password)
        self._session = self._users.Authenticate(request, timeout=SECONDS)

{% if wiring.sign_in %}
    def sign_in(self, person: Callable[[str], str]) -> None:
        begun = self._sign_in.BeginSignIn(sign_in_pb2.BeginSignInRequest(), timeout=SECONDS)
        request = sign_in_pb2.SignInRequest(state=begun.state, code=person(begun.url))
        self._session = self._sign_in.SignIn(request, timeout=SECONDS)

{% endif %}
    def name(self) -> str:
        request = user_pb2.GetUserRequest(id=self._session.user_id)
        return str(self._users.GetUser(request, metadata=self._metadata, timeout=SECONDS).name)

    def order(self, sku: str, quantity: int) -> UUID:
        request = order_pb2.PlaceOrderRequest(sku=sku, quantity=quantity)
        order = self._orders.PlaceOrder(request, metadata=self._metadata, timeout=SECONDS)
        return UUID(order.id)

    def pay(self, order_id: UUID) -> None:
        request = order_pb2.PayOrderRequest(id=str(order_id))
        self._orders.PayOrder(request, metadata=self._metadata, timeout=SECONDS)

    def status(self, order_id: UUID) -> OrderStatus:
        request = order_pb2.GetOrderRequest(id=str(order_id))
        order = self._orders.GetOrder(request, metadata=self._metadata, timeout=SECONDS)
        return OrderStatus(order.status)
