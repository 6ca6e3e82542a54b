{% if wiring.separable %}
"""The shop over HTTP: `uvicorn --factory {{ package_name }}.entrypoints.rest:create_app`."""
{% else %}
"""The shop over HTTP. `python -m {{ package_name }}` runs it: one process, as some of the shop is in memory."""
{% endif %}

import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp

from ..bootstrap import Shop, bootstrap
from ..domain import (
    EmailTaken,
    InvalidCredentials,
    InvalidOrder,
    NotFound,
    Order,
    OrderStatus,
    OutOfStock,
    PaymentDeclined,
    ShopError,
    SkuTaken,
    Unavailable,
    User,
)
from ..settings import Settings

STATUS_CODES: dict[type[ShopError], int] = {
    InvalidCredentials: 401,
    PaymentDeclined: 402,
    NotFound: 404,
    EmailTaken: 409,
    SkuTaken: 409,
    InvalidOrder: 409,
    OutOfStock: 409,
}

STOP_SECONDS = 5

log = logging.getLogger(__name__)

# One line of text. A database may refuse control characters: PostgreSQL has no NUL.
ONE_LINE = r"^[^\x00-\x1f\x7f]+$"
EMAIL = r"^[A-Za-z0-9_.+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"

Email = Annotated[str, Field(max_length=254, pattern=EMAIL, examples=["ada@example.com"])]
Password = Annotated[str, Field(min_length=12, max_length=200)]
Sku = Annotated[str, Field(max_length=64, pattern=ONE_LINE)]


class Body(BaseModel):
    # A misspelt field is an error, not a default.
    model_config = ConfigDict(extra="forbid")


class Registration(Body):
    email: Email
    password: Password
    name: Annotated[str, Field(max_length=200, pattern=ONE_LINE)]


class Verification(Body):
    token: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_-]+$")]


class Credentials(Body):
    email: Email
    password: Annotated[str, Field(max_length=200)]


class NewOrder(Body):
    sku: Sku
    quantity: Annotated[int, Field(ge=1, le=1_000)]


class Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class UserAnswer(Answer):
    id: UUID
    email: str
    name: str
    is_verified: bool


class TokenAnswer(Answer):
    user_id: UUID
    access_token: str
    token_type: str = "bearer"


class ItemAnswer(Answer):
    sku: str
    name: str
    price: Decimal
    quantity: int


class OrderAnswer(Answer):
    id: UUID
    sku: str
    quantity: int
    total_amount: Decimal
    status: OrderStatus


class Problem(BaseModel):
    detail: str


class HealthAnswer(BaseModel):
    unavailable: list[str]
    """Which dependencies do not answer."""


class Fault(BaseModel):
    loc: list[str | int]
    msg: str


class Faults(BaseModel):
    detail: list[Fault]


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of an endpoint, for its documentation."""
    return {code: {"model": Problem} for code in codes}


def the_shop(request: Request) -> Shop:
    shop: Shop = request.app.state.shop
    return shop


TheShop = Annotated[Shop, Depends(the_shop)]
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


def logged_in(shop: TheShop, bearer: Bearer) -> User:
    if bearer is None:
        raise InvalidCredentials("access token")
    return shop.users.current_user(bearer.credentials)


LoggedIn = Annotated[User, Depends(logged_in)]


def own_order(order_id: UUID, shop: TheShop, user: LoggedIn) -> Order:
    order = shop.orders.get(order_id)
    if order.user_id != user.id:
        # Nobody learns which orders others have.
        raise NotFound(f"order {order_id}")
    return order


OwnOrder = Annotated[Order, Depends(own_order)]

# Endpoints are plain functions, as the shop waits for its servers: FastAPI runs them in threads.
# 400 is FastAPI's answer to a body that is no JSON in UTF-8.
router = APIRouter(
    responses={400: {"model": Problem}, 422: {"model": Faults}, 503: {"model": Problem}}
)


@router.get("/health", responses={503: {"model": HealthAnswer}})
def health(shop: TheShop, response: Response) -> HealthAnswer:
    """Say whether all that the shop cannot do without answers. The reasons are in the log.

    APIs of third parties are not asked: the shop goes on without them.
    """
    checks: dict[str, Callable[[], object]] = {
        "database": lambda: check_database(shop),
        "cache": lambda: shop.cache.get("health"),
        "broker": shop.broker.check,
    }
    unavailable = []
    for name, check in checks.items():
        try:
            check()
        except Unavailable as error:
            log.warning("%s", error)
            unavailable.append(name)
    response.status_code = 503 if unavailable else 200
    return HealthAnswer(unavailable=unavailable)


def check_database(shop: Shop) -> None:
    with shop.database.begin() as work:
        work.users.find_by_email("")


@router.post("/users", status_code=201, response_model=UserAnswer, responses=refusals(409))
def register(registration: Registration, shop: TheShop) -> User:
    """Register a user, who then has to verify the e-mail address."""
    return shop.users.register(registration.email, registration.password, registration.name)


@router.post("/users/{user_id}/verification", response_model=UserAnswer, responses=refusals(401))
def verify_email(user_id: UUID, verification: Verification, shop: TheShop) -> User:
    """Verify an e-mail address with the token that was sent to it."""
    return shop.users.verify_email(user_id, verification.token)


@router.post("/sessions", status_code=201, responses=refusals(401))
def log_in(credentials: Credentials, shop: TheShop) -> TokenAnswer:
    """Log in: the access token goes into the `Authorization` header of other requests."""
    session = shop.users.authenticate(credentials.email, credentials.password)
    return TokenAnswer.model_validate(session)


@router.get("/users/me", response_model=UserAnswer, responses=refusals(401))
def who_am_i(user: LoggedIn) -> User:
    return user


@router.get("/items/{sku}", responses=refusals(404))
def get_item(sku: Annotated[Sku, Path()], shop: TheShop) -> ItemAnswer:
    return ItemAnswer.model_validate(shop.inventory.get_item(sku))


@router.post(
    "/orders", status_code=201, response_model=OrderAnswer, responses=refusals(401, 404, 409)
)
def place_order(order: NewOrder, shop: TheShop, user: LoggedIn) -> Order:
    """Reserve stock; the order is still to be paid."""
    return shop.orders.place(user.id, order.sku, order.quantity)


@router.get("/orders/{order_id}", response_model=OrderAnswer, responses=refusals(401, 404))
def get_order(order: OwnOrder) -> Order:
    return order


@router.post(
    "/orders/{order_id}/payment",
    response_model=OrderAnswer,
    responses=refusals(401, 402, 404, 409),
)
def pay_order(order: OwnOrder, shop: TheShop) -> Order:
    """Charge the buyer. A declined payment cancels the order; after a 503 it may be tried again."""
    return shop.orders.pay(order.id)


@router.post(
    "/orders/{order_id}/cancellation", response_model=OrderAnswer, responses=refusals(401, 404, 409)
)
def cancel_order(order: OwnOrder, shop: TheShop) -> Order:
    """Cancel an order that is not paid yet; its stock is free again."""
    return shop.orders.cancel(order.id)
{% if wiring.sign_in %}


class SignIn(Body):
    state: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_-]+$")]
    code: Annotated[str, Field(min_length=1, max_length=2_000)]


class SignInAnswer(Answer):
    state: str
    url: str


@router.post("/sessions/provider/begin", status_code=201)
def begin_sign_in(shop: TheShop) -> SignInAnswer:
    """Begin to log in at the identity provider: send the person to `url`, and keep `state`."""
    return SignInAnswer.model_validate(shop.sign_in.begin())


@router.post("/sessions/provider", status_code=201, responses=refusals(401, 409))
def sign_in(request: SignIn, shop: TheShop) -> TokenAnswer:
    """Log in with the code that the identity provider gave the person, and the `state` that you kept."""
    return TokenAnswer.model_validate(shop.sign_in.finish(request.state, request.code))
{% endif %}


def refuse(_: Request, error: Exception) -> JSONResponse:
    """Answer what the shop refuses: here, and nowhere else, errors become status codes."""
    code = next((code for kind, code in STATUS_CODES.items() if isinstance(error, kind)), 400)
    headers = {"WWW-Authenticate": "Bearer"} if code == 401 else None
    return JSONResponse({"detail": str(error)}, code, headers)


def handle_unavailable(_: Request, error: Exception) -> JSONResponse:
    """Something that the shop relies on is away; what it is concerns nobody outside."""
    log.warning("%s", error, exc_info=error)
    return JSONResponse({"detail": "try again later"}, 503, {"Retry-After": "5"})


def refuse_input(_: Request, error: Exception) -> JSONResponse:
    """Say what is wrong, without the input: it may hold a password."""
    assert isinstance(error, RequestValidationError)
    detail = [{"loc": fault["loc"], "msg": fault["msg"]} for fault in error.errors()]
    return JSONResponse({"detail": detail}, 422)


def bootstrapped(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """A lifespan in which an app has the shop on the servers that the settings name."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with bootstrap(settings) as app.state.shop:
            yield

    return lifespan


def create_app(shop: Shop | None = None) -> FastAPI:
    """The API of a shop; without one, of the shop on the servers that the environment names."""
    app = FastAPI(title="Shop", lifespan=None if shop else bootstrapped(Settings.load()))
    app.state.shop = shop
    app.include_router(router)
    app.add_exception_handler(ShopError, refuse)
    app.add_exception_handler(Unavailable, handle_unavailable)
    app.add_exception_handler(RequestValidationError, refuse_input)
    return app


def serve(shop: Shop, address: str) -> AbstractContextManager[str]:
    """Serve the API of a shop: see `serve_app`."""
    return serve_app(create_app(shop), address)


@contextmanager
def serve_app(
    app: ASGIApp, address: str, lifespan: Literal["auto", "off"] = "auto"
) -> Iterator[str]:
    """Serve an app at `host:port` for as long as the block lasts. Port 0 is any free one.

    Yields:
        Its URL.

    Raises:
        RuntimeError: it did not start; the log says why.
    """
    host, _, port = address.rpartition(":")
    config = uvicorn.Config(
        app,
        host=host,
        port=int(port),
        lifespan=lifespan,
        log_config=None,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="rest", daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.005)
        if not server.started:
            raise RuntimeError(f"nothing can be served at {address}")
        bound = server.servers[0].sockets[0].getsockname()
        yield f"http://{bound[0]}:{bound[1]}"
    finally:
        server.should_exit = True
        thread.join(2 * STOP_SECONDS)
