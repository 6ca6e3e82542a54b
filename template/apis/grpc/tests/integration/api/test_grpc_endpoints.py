import importlib.util
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import (
    Event,
    InvalidCredentials,
    OrderStatus,
    ShopError,
    Unavailable,
)
from {{ package_name }}.entrypoints.grpc import (
    SERVICES,
    STATUS_CODES,
    serve,
)
from {{ package_name }}.generated import (
    order_pb2,
    order_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
)
from {{ package_name }}.ports import Database

from tests.factories import UserFactory
from tests.factories.users import PASSWORD as FACTORY_PASSWORD
from tests.fixtures.shop import Person

ROOT = Path(__file__).parents[3]
PASSWORD = "SecurePass123!"
ADA = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"}
# How long a call may take that is expected to succeed.
SECONDS = 10


@pytest.fixture
def users(grpc_channel: grpc.Channel) -> user_pb2_grpc.UserServiceStub:
    """Stub of the user service."""
    return user_pb2_grpc.UserServiceStub(grpc_channel)


def refused(call: Callable[..., Any], request: object, **options: object) -> grpc.StatusCode:
    """The status code with which a call is refused."""
    with pytest.raises(grpc.RpcError) as error:
        call(request, **{"timeout": SECONDS, **options})
    return error.value.code()


def verified(users: user_pb2_grpc.UserServiceStub, shop: Shop) -> user_pb2.User:
    """A user who has registered and verified the e-mail address."""
    user = users.CreateUser(user_pb2.CreateUserRequest(**ADA), timeout=SECONDS)
    token = shop.users.verification_token(UUID(user.id))
    request = user_pb2.VerifyUserRequest(id=user.id, token=token)
    answer: user_pb2.User = users.VerifyUser(request, timeout=SECONDS)
    return answer


class TestIntegrationGrpcUsers:
    def test_create_user_stores_the_row_and_tells_the_others(
        self,
        users: user_pb2_grpc.UserServiceStub,
        committed_shop: Shop,
        committed_database: Database,
        published: Callable[[int], list[Event]],
    ) -> None:
        answer = users.CreateUser(user_pb2.CreateUserRequest(**ADA), timeout=SECONDS)

        with committed_database.begin() as work:
            stored = work.users.get(UUID(answer.id))
        assert (stored.email, stored.name, stored.is_verified) == ("ada@example.com", "Ada", False)
        assert stored.password_hash != PASSWORD
        committed_shop.events.relay()
        assert [event.type for event in published(1)] == ["user_registered"]

    @pytest.mark.parametrize(
        "change",
        [{"email": ""}, {"email": "ada"}, {"password": "short"}, {"name": ""}, {"name": "A\x00"}],
        ids=str,
    )
    def test_create_user_with_invalid_field_stores_nothing(
        self,
        users: user_pb2_grpc.UserServiceStub,
        committed_database: Database,
        change: dict[str, str],
    ) -> None:
        code = refused(users.CreateUser, user_pb2.CreateUserRequest(**ADA | change))

        assert code is grpc.StatusCode.INVALID_ARGUMENT
        with committed_database.begin() as work:
            assert work.users.find_by_email("ada@example.com") is None

    def test_create_user_with_taken_email_leaves_the_first_alone(
        self,
        users: user_pb2_grpc.UserServiceStub,
        committed_shop: Shop,
        committed_database: Database,
    ) -> None:
        verified(users, committed_shop)

        code = refused(users.CreateUser, user_pb2.CreateUserRequest(**ADA | {"name": "Impostor"}))

        assert code is grpc.StatusCode.ALREADY_EXISTS
        with committed_database.begin() as work:
            stored = work.users.find_by_email("ada@example.com")
        assert stored is not None and stored.name == "Ada"

    def test_verified_user_logs_in_and_is_shown(
        self,
        users: user_pb2_grpc.UserServiceStub,
        committed_shop: Shop,
        committed_database: Database,
    ) -> None:
        user = verified(users, committed_shop)

        credentials = user_pb2.AuthenticateRequest(email=ADA["email"], password=PASSWORD)
        session = users.Authenticate(credentials, timeout=SECONDS)
        shown = users.GetUser(
            user_pb2.GetUserRequest(id=user.id),
            metadata=[("authorization", f"Bearer {session.access_token}")],
            timeout=SECONDS,
        )

        assert shown == user
        with committed_database.begin() as work:
            assert work.users.get(UUID(user.id)).is_verified

    @pytest.mark.parametrize("token", ["guess", "gänsefüßchen"])
    def test_wrong_verification_token_verifies_nobody(
        self, users: user_pb2_grpc.UserServiceStub, committed_database: Database, token: str
    ) -> None:
        user = users.CreateUser(user_pb2.CreateUserRequest(**ADA), timeout=SECONDS)

        code = refused(users.VerifyUser, user_pb2.VerifyUserRequest(id=user.id, token=token))

        assert code is grpc.StatusCode.UNAUTHENTICATED
        with committed_database.begin() as work:
            assert not work.users.get(UUID(user.id)).is_verified

    def test_wrong_password_is_unauthenticated(
        self, users: user_pb2_grpc.UserServiceStub, committed_shop: Shop
    ) -> None:
        verified(users, committed_shop)
        request = user_pb2.AuthenticateRequest(email=ADA["email"], password="wrong")

        assert refused(users.Authenticate, request) is grpc.StatusCode.UNAUTHENTICATED

    @pytest.mark.parametrize("kind", ["unverified", "deactivated"])
    def test_user_who_may_not_log_in_is_unauthenticated(
        self, users: user_pb2_grpc.UserServiceStub, committed_database: Database, kind: str
    ) -> None:
        user = UserFactory.build(is_verified=kind != "unverified", is_active=kind != "deactivated")
        with committed_database.begin() as work:
            work.users.add(user)
        request = user_pb2.AuthenticateRequest(email=user.email, password=FACTORY_PASSWORD)

        assert refused(users.Authenticate, request) is grpc.StatusCode.UNAUTHENTICATED

    def test_sign_in_with_the_state_of_another_one_is_unauthenticated(
        self, users: user_pb2_grpc.UserServiceStub, person: Person
    ) -> None:
        begun, other = (
            users.BeginSignIn(user_pb2.BeginSignInRequest(), timeout=SECONDS) for _ in range(2)
        )
        code = person("eve@example.com", "Eve")(begun.url)
        request = user_pb2.SignInRequest(state=other.state, code=code)

        assert refused(users.SignIn, request) is grpc.StatusCode.UNAUTHENTICATED

    def test_sign_in_with_the_address_of_another_user_already_exists(
        self, users: user_pb2_grpc.UserServiceStub, committed_shop: Shop, person: Person
    ) -> None:
        verified(users, committed_shop)
        begun = users.BeginSignIn(user_pb2.BeginSignInRequest(), timeout=SECONDS)
        code = person(ADA["email"], "Eve")(begun.url)
        request = user_pb2.SignInRequest(state=begun.state, code=code)

        assert refused(users.SignIn, request) is grpc.StatusCode.ALREADY_EXISTS

    @pytest.mark.parametrize(
        "metadata",
        [[], [("authorization", "Bearer guess")], [("authorization", "Basic YTpi")]],
        ids=["none", "unknown", "basic"],
    )
    def test_call_without_valid_token_is_unauthenticated(
        self, users: user_pb2_grpc.UserServiceStub, metadata: list[tuple[str, str]]
    ) -> None:
        request = user_pb2.GetUserRequest(id=str(uuid4()))

        code = refused(users.GetUser, request, metadata=metadata)

        assert code is grpc.StatusCode.UNAUTHENTICATED

    def test_unknown_user_is_not_found(
        self, users: user_pb2_grpc.UserServiceStub, committed_shop: Shop
    ) -> None:
        verified(users, committed_shop)
        token = committed_shop.users.authenticate(ADA["email"], PASSWORD).access_token
        metadata = [("authorization", f"Bearer {token}")]

        unknown = refused(
            users.GetUser, user_pb2.GetUserRequest(id=str(uuid4())), metadata=metadata
        )
        invalid = refused(users.GetUser, user_pb2.GetUserRequest(id="1"), metadata=metadata)

        assert unknown is grpc.StatusCode.NOT_FOUND
        assert invalid is grpc.StatusCode.INVALID_ARGUMENT


def metadata_of(shop: Shop, email: str) -> list[tuple[str, str]]:
    """The metadata of a user who is registered, verified and logged in."""
    user = shop.users.register(email, PASSWORD, "Member")
    shop.users.verify_email(user.id, shop.users.verification_token(user.id) or "")
    return [("authorization", f"Bearer {shop.users.authenticate(email, PASSWORD).access_token}")]


class TestIntegrationGrpcOrders:
    @pytest.fixture
    def orders(self, grpc_channel: grpc.Channel) -> order_pb2_grpc.OrderServiceStub:
        """Stub of the order service."""
        return order_pb2_grpc.OrderServiceStub(grpc_channel)

    @pytest.fixture
    def mugs(self, committed_shop: Shop) -> str:
        """SKU of an item of which ten are left."""
        return committed_shop.inventory.create_item("SKU-MUG", 10, price=Decimal("7.50")).sku

    def test_order_reserves_stock_and_is_paid(
        self, orders: order_pb2_grpc.OrderServiceStub, committed_shop: Shop, mugs: str
    ) -> None:
        buyer = metadata_of(committed_shop, "buyer@example.com")

        request = order_pb2.PlaceOrderRequest(sku=mugs, quantity=3)
        placed = orders.PlaceOrder(request, metadata=buyer, timeout=SECONDS)
        paid = orders.PayOrder(
            order_pb2.PayOrderRequest(id=placed.id), metadata=buyer, timeout=SECONDS
        )
        shown = orders.GetOrder(
            order_pb2.GetOrderRequest(id=placed.id), metadata=buyer, timeout=SECONDS
        )

        assert (placed.total_amount, placed.status) == ("22.50", "pending")
        assert (paid.status, shown) == ("paid", paid)
        assert committed_shop.inventory.get_item(mugs).quantity == 7

    def test_declined_payment_cancels_the_order(
        self,
        orders: order_pb2_grpc.OrderServiceStub,
        committed_shop: Shop,
        mugs: str,
        decline_payments: Callable[[], None],
    ) -> None:
        buyer = metadata_of(committed_shop, "buyer@example.com")
        request = order_pb2.PlaceOrderRequest(sku=mugs, quantity=3)
        order = orders.PlaceOrder(request, metadata=buyer, timeout=SECONDS)
        decline_payments()

        code = refused(orders.PayOrder, order_pb2.PayOrderRequest(id=order.id), metadata=buyer)

        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert committed_shop.orders.get(UUID(order.id)).status is OrderStatus.CANCELLED
        assert committed_shop.inventory.get_item(mugs).quantity == 10

    @pytest.mark.parametrize("change", [{"sku": ""}, {"quantity": 0}, {"quantity": -1}], ids=str)
    def test_order_with_invalid_field_takes_nothing(
        self,
        orders: order_pb2_grpc.OrderServiceStub,
        committed_shop: Shop,
        mugs: str,
        change: dict[str, Any],
    ) -> None:
        buyer = metadata_of(committed_shop, "buyer@example.com")
        request = order_pb2.PlaceOrderRequest(**{"sku": mugs, "quantity": 1, **change})

        code = refused(orders.PlaceOrder, request, metadata=buyer)

        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert committed_shop.inventory.get_item(mugs).quantity == 10

    def test_order_of_another_user_is_not_found(
        self, orders: order_pb2_grpc.OrderServiceStub, committed_shop: Shop, mugs: str
    ) -> None:
        request = order_pb2.PlaceOrderRequest(sku=mugs, quantity=1)
        buyer = metadata_of(committed_shop, "buyer@example.com")
        order = orders.PlaceOrder(request, metadata=buyer, timeout=SECONDS)
        other = metadata_of(committed_shop, "other@example.com")

        for call, asked in (
            (orders.GetOrder, order_pb2.GetOrderRequest(id=order.id)),
            (orders.PayOrder, order_pb2.PayOrderRequest(id=order.id)),
        ):
            assert refused(call, asked, metadata=other) is grpc.StatusCode.NOT_FOUND

        assert committed_shop.orders.get(UUID(order.id)).status is OrderStatus.PENDING

    def test_call_without_token_is_unauthenticated(
        self, orders: order_pb2_grpc.OrderServiceStub
    ) -> None:
        order_id = str(uuid4())

        for call, request in (
            (orders.PlaceOrder, order_pb2.PlaceOrderRequest(sku="SKU-MUG", quantity=1)),
            (orders.GetOrder, order_pb2.GetOrderRequest(id=order_id)),
            (orders.PayOrder, order_pb2.PayOrderRequest(id=order_id)),
        ):
            assert refused(call, request) is grpc.StatusCode.UNAUTHENTICATED


class TestIntegrationGrpcServer:
    def test_call_that_takes_too_long_exceeds_its_deadline(
        self,
        users: user_pb2_grpc.UserServiceStub,
        committed_shop: Shop,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        release = threading.Event()

        def hang(*_: object) -> None:
            release.wait(SECONDS)
            raise InvalidCredentials("too late")

        monkeypatch.setattr(committed_shop.users, "authenticate", hang)
        request = user_pb2.AuthenticateRequest(email=ADA["email"], password=PASSWORD)

        code = refused(users.Authenticate, request, timeout=0.1)
        release.set()

        assert code is grpc.StatusCode.DEADLINE_EXCEEDED

    @pytest.mark.parametrize("service", ["", *SERVICES])
    def test_health_service_says_that_it_serves(
        self, grpc_channel: grpc.Channel, service: str
    ) -> None:
        # Its type stubs leave the methods out.
        stub: Any = health_pb2_grpc.HealthStub(grpc_channel)

        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)

        assert answer.status == health_pb2.HealthCheckResponse.SERVING

    def test_health_service_says_that_the_server_stops(self, committed_shop: Shop) -> None:
        with ThreadPoolExecutor(1) as stopping, ExitStack() as served:
            address = served.enter_context(serve(committed_shop, "127.0.0.1:0"))
            # The server waits for the call that watches, which ends with the channel.
            with grpc.insecure_channel(address) as channel:
                stub: Any = health_pb2_grpc.HealthStub(channel)
                answers = stub.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
                before = next(answers).status
                stopping.submit(served.close)
                after = next(answers).status

        assert before == health_pb2.HealthCheckResponse.SERVING
        assert after == health_pb2.HealthCheckResponse.NOT_SERVING

    def test_provider_that_is_away_is_unavailable(
        self,
        users: user_pb2_grpc.UserServiceStub,
        committed_shop: Shop,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def away(state: str, code: str) -> None:
            raise Unavailable("the internal name of the provider")

        monkeypatch.setattr(committed_shop.users, "sign_in", away)

        with pytest.raises(grpc.RpcError) as error:
            users.SignIn(user_pb2.SignInRequest(state="any", code="any"), timeout=SECONDS)

        assert error.value.code() is grpc.StatusCode.UNAVAILABLE
        assert error.value.details() == "try again later"

    def test_error_of_the_service_is_not_told_to_clients(
        self,
        users: user_pb2_grpc.UserServiceStub,
        committed_shop: Shop,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(state: str, code: str) -> None:
            raise RuntimeError("SELECT password_hash FROM users")

        monkeypatch.setattr(committed_shop.users, "sign_in", fail)

        with pytest.raises(grpc.RpcError) as error:
            users.SignIn(user_pb2.SignInRequest(state="any", code="any"), timeout=SECONDS)

        assert error.value.code() is grpc.StatusCode.INTERNAL
        assert error.value.details() == "internal error"

    async def test_asynchronous_client_gets_the_same_answers(
        self, grpc_async_channel: grpc.aio.Channel, committed_database: Database
    ) -> None:
        users = user_pb2_grpc.UserServiceStub(grpc_async_channel)

        answer = await users.CreateUser(user_pb2.CreateUserRequest(**ADA), timeout=SECONDS)

        with committed_database.begin() as work:
            assert work.users.get(UUID(answer.id)).email == "ada@example.com"

    def test_every_refusal_of_the_shop_has_a_status_code(self) -> None:
        assert set(STATUS_CODES) == set(ShopError.__subclasses__())

    @pytest.mark.slow
    def test_generated_code_is_what_the_protocol_says(self, tmp_path: Path) -> None:
        """If it fails: `python proto/generate.py`."""
        script = ROOT / "proto" / "generate.py"
        spec = importlib.util.spec_from_file_location("generate", script)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)

        module.generate(tmp_path)

        made = sorted(tmp_path.iterdir())
        assert [path.name for path in made] == [
            "order_pb2.py",
            "order_pb2.pyi",
            "order_pb2_grpc.py",
            "user_pb2.py",
            "user_pb2.pyi",
            "user_pb2_grpc.py",
        ]
        for path in made:
            assert path.read_text() == (module.GENERATED / path.name).read_text(), path.name
