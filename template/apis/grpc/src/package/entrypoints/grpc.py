{% if wiring.separable %}
"""Users and orders of the shop over gRPC: `python -m {{ package_name }}.entrypoints.grpc`."""
{% else %}
"""Users and orders of the shop over gRPC. `python -m {{ package_name }}` runs it: one process, as some of the shop is in memory."""
{% endif %}

import logging
import re
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import wraps
from typing import NoReturn, TypeVar
from uuid import UUID

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ..bootstrap import Shop, bootstrap
from ..domain import (
    EmailTaken,
    InvalidCredentials,
    InvalidOrder,
    NotFound,
    Order,
    OutOfStock,
    PaymentDeclined,
    ShopError,
    SkuTaken,
    Unavailable,
    User,
)
{% if wiring.sign_in %}
from ..generated import (
    order_pb2,
    order_pb2_grpc,
    sign_in_pb2,
    sign_in_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
)
{% else %}
from ..generated import order_pb2, order_pb2_grpc, user_pb2, user_pb2_grpc
{% endif %}
from ..services.users import Session
from ..settings import Settings

{% if wiring.sign_in %}
SERVICES = ("shop.v1.UserService", "shop.v1.OrderService", "shop.v1.SignInService")
{% else %}
SERVICES = ("shop.v1.UserService", "shop.v1.OrderService")
{% endif %}
THREADS = 10
STOP_SECONDS = 10

STATUS_CODES: dict[type[ShopError], grpc.StatusCode] = {
    InvalidCredentials: grpc.StatusCode.UNAUTHENTICATED,
    NotFound: grpc.StatusCode.NOT_FOUND,
    EmailTaken: grpc.StatusCode.ALREADY_EXISTS,
    SkuTaken: grpc.StatusCode.ALREADY_EXISTS,
    InvalidOrder: grpc.StatusCode.FAILED_PRECONDITION,
    OutOfStock: grpc.StatusCode.FAILED_PRECONDITION,
    PaymentDeclined: grpc.StatusCode.FAILED_PRECONDITION,
}

EMAIL = re.compile(r"[A-Za-z0-9_.+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
# One line of text. A database may refuse control characters: PostgreSQL has no NUL.
NAME = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
SKU = re.compile(r"[^\x00-\x1f\x7f]{1,64}")

log = logging.getLogger(__name__)

Request = TypeVar("Request")
Response = TypeVar("Response")
Servicer = TypeVar("Servicer")
Method = Callable[[Servicer, Request, grpc.ServicerContext], Response]


class InvalidRequest(Exception):
    """A field of a request is not what it should be."""


def refusing(method: Method[Servicer, Request, Response]) -> Method[Servicer, Request, Response]:
    """Answer what the shop refuses: here, and nowhere else, errors become status codes."""

    @wraps(method)
    def refuse(servicer: Servicer, request: Request, context: grpc.ServicerContext) -> Response:
        try:
            return method(servicer, request, context)
        except InvalidRequest as error:
            abort(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except ShopError as error:
            codes = (code for kind, code in STATUS_CODES.items() if isinstance(error, kind))
            abort(context, next(codes, grpc.StatusCode.UNKNOWN), str(error))
        except Unavailable as error:
            # What it is that is away concerns nobody outside.
            log.warning("%s", error, exc_info=error)
            abort(context, grpc.StatusCode.UNAVAILABLE, "try again later")
        except Exception:
            # gRPC would send the text of the error, and that may hold anything.
            log.exception("%s failed", method.__name__)
            abort(context, grpc.StatusCode.INTERNAL, "internal error")

    return refuse


def abort(context: grpc.ServicerContext, code: grpc.StatusCode, details: str) -> NoReturn:
    context.abort(code, details)
    raise AssertionError("abort does not return")


def require(met: object, problem: str) -> None:
    if not met:
        raise InvalidRequest(problem)


def uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidRequest("id: not a UUID") from None


def access_token(context: grpc.ServicerContext) -> str:
    metadata = {entry[0]: entry[1] for entry in context.invocation_metadata()}
    scheme, _, token = str(metadata.get("authorization", "")).partition(" ")
    if scheme.lower() != "bearer":
        raise InvalidCredentials("access token")
    return token


def message(user: User) -> user_pb2.User:
    return user_pb2.User(
        id=str(user.id), email=user.email, name=user.name, is_verified=user.is_verified
    )


def session_message(session: Session) -> user_pb2.Session:
    return user_pb2.Session(user_id=str(session.user_id), access_token=session.access_token)


class UserServicer(user_pb2_grpc.UserServiceServicer):
    def __init__(self, shop: Shop) -> None:
        self._users = shop.users

    @refusing
    def CreateUser(
        self, request: user_pb2.CreateUserRequest, context: grpc.ServicerContext
    ) -> user_pb2.User:
        email_fits = len(request.email) <= 254 and EMAIL.fullmatch(request.email)
        require(email_fits, "email: not an e-mail address")
        require(12 <= len(request.password) <= 200, "password: 12 to 200 characters")
        require(NAME.fullmatch(request.name), "name: 1 to 200 characters on one line")
        return message(self._users.register(request.email, request.password, request.name))

    @refusing
    def GetUser(
        self, request: user_pb2.GetUserRequest, context: grpc.ServicerContext
    ) -> user_pb2.User:
        user = self._users.current_user(access_token(context))
        if user.id != uuid(request.id):
            # Nobody learns who else is registered.
            raise NotFound(f"user {request.id}")
        return message(user)

    @refusing
    def VerifyUser(
        self, request: user_pb2.VerifyUserRequest, context: grpc.ServicerContext
    ) -> user_pb2.User:
        return message(self._users.verify_email(uuid(request.id), request.token))

    @refusing
    def Authenticate(
        self, request: user_pb2.AuthenticateRequest, context: grpc.ServicerContext
    ) -> user_pb2.Session:
        require(EMAIL.fullmatch(request.email), "email: not an e-mail address")
        return session_message(self._users.authenticate(request.email, request.password))


class OrderServicer(order_pb2_grpc.OrderServiceServicer):
    def __init__(self, shop: Shop) -> None:
        self._users = shop.users
        self._orders = shop.orders

    @refusing
    def PlaceOrder(
        self, request: order_pb2.PlaceOrderRequest, context: grpc.ServicerContext
    ) -> order_pb2.Order:
        user = self._users.current_user(access_token(context))
        require(SKU.fullmatch(request.sku), "sku: 1 to 64 characters on one line")
        require(1 <= request.quantity <= 1_000, "quantity: 1 to 1000")
        return order_message(self._orders.place(user.id, request.sku, request.quantity))

    @refusing
    def GetOrder(
        self, request: order_pb2.GetOrderRequest, context: grpc.ServicerContext
    ) -> order_pb2.Order:
        return order_message(self._own_order(request.id, context))

    @refusing
    def PayOrder(
        self, request: order_pb2.PayOrderRequest, context: grpc.ServicerContext
    ) -> order_pb2.Order:
        return order_message(self._orders.pay(self._own_order(request.id, context).id))

    def _own_order(self, order_id: str, context: grpc.ServicerContext) -> Order:
        user = self._users.current_user(access_token(context))
        order = self._orders.get(uuid(order_id))
        if order.user_id != user.id:
            # Nobody learns which orders others have.
            raise NotFound(f"order {order_id}")
        return order


def order_message(order: Order) -> order_pb2.Order:
    return order_pb2.Order(
        id=str(order.id),
        sku=order.sku,
        quantity=order.quantity,
        total_amount=str(order.total_amount),
        status=order.status,
    )


{% if wiring.sign_in %}
class SignInServicer(sign_in_pb2_grpc.SignInServiceServicer):
    def __init__(self, shop: Shop) -> None:
        self._sign_in = shop.sign_in

    @refusing
    def BeginSignIn(
        self, request: sign_in_pb2.BeginSignInRequest, context: grpc.ServicerContext
    ) -> sign_in_pb2.SignInPage:
        begun = self._sign_in.begin()
        return sign_in_pb2.SignInPage(state=begun.state, url=begun.url)

    @refusing
    def SignIn(
        self, request: sign_in_pb2.SignInRequest, context: grpc.ServicerContext
    ) -> user_pb2.Session:
        require(1 <= len(request.code) <= 2_000, "code: 1 to 2000 characters")
        return session_message(self._sign_in.finish(request.state, request.code))


{% endif %}
def create_server(
    shop: Shop, servicer: health.HealthServicer, threads: ThreadPoolExecutor
) -> grpc.Server:
    """The server of a shop and of its health; it has no port yet."""
    # Without this, two servers could have one port and share its calls.
    server = grpc.server(threads, options=[("grpc.so_reuseport", 0)])
    user_pb2_grpc.add_UserServiceServicer_to_server(UserServicer(shop), server)
    order_pb2_grpc.add_OrderServiceServicer_to_server(OrderServicer(shop), server)
{% if wiring.sign_in %}
    sign_in_pb2_grpc.add_SignInServiceServicer_to_server(SignInServicer(shop), server)
{% endif %}
    for service in (*SERVICES, health.OVERALL_HEALTH):
        servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    return server


@contextmanager
def serve(shop: Shop, address: str) -> Iterator[str]:
    """Serve the API of a shop at `host:port` for as long as the block lasts. Port 0 is any free one.

    Yields:
        Its address.

    Raises:
        RuntimeError: the address cannot be had.
    """
    # The pool ends last: no call is at work after the block.
    with ThreadPoolExecutor(THREADS) as threads:
        servicer = health.HealthServicer()
        server = create_server(shop, servicer, threads)
        port = server.add_insecure_port(address)
        server.start()
        try:
            yield f"{address.rpartition(':')[0]}:{port}"
        finally:
            # Who watches the health sends no more calls here while the last ones are answered.
            servicer.enter_graceful_shutdown()
            server.stop(STOP_SECONDS).wait()


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    settings = Settings.load()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with bootstrap(settings) as shop, serve(shop, settings.service.grpc_address):
        stop.wait()


if __name__ == "__main__":
    main()
