import importlib.util
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import (
    InvalidCredentials,
    ShopError,
    Unavailable,
)
from {{ package_name }}.entrypoints.grpc import SERVICES, STATUS_CODES, serve
from {{ package_name }}.generated import (
    order_pb2,
    order_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
)
from {{ package_name }}.ports import Database

from tests.clients import PASSWORD
from tests.clients.grpc import SECONDS, Metadata, refused

ROOT = Path(__file__).parents[3]
CREDENTIALS = user_pb2.AuthenticateRequest(email="ada@example.com", password=PASSWORD)


@pytest.fixture
def users(grpc_channel: grpc.Channel) -> user_pb2_grpc.UserServiceStub:
    """Stub of the user service."""
    return user_pb2_grpc.UserServiceStub(grpc_channel)


class TestIntegrationGrpcServer:
    @pytest.mark.parametrize(
        "sent",
        [[], [("authorization", "Bearer guess")], [("authorization", "Basic YTpi")]],
        ids=["none", "unknown", "basic"],
    )
    def test_call_without_valid_token_is_unauthenticated(
        self, grpc_channel: grpc.Channel, sent: Metadata
    ) -> None:
        users = user_pb2_grpc.UserServiceStub(grpc_channel)
        orders = order_pb2_grpc.OrderServiceStub(grpc_channel)
        order_id = str(uuid4())

        for call, request in (
            (users.GetUser, user_pb2.GetUserRequest(id=order_id)),
            (orders.PlaceOrder, order_pb2.PlaceOrderRequest(sku="SKU-MUG", quantity=1)),
            (orders.GetOrder, order_pb2.GetOrderRequest(id=order_id)),
            (orders.PayOrder, order_pb2.PayOrderRequest(id=order_id)),
        ):
            assert refused(call, request, metadata=sent) is grpc.StatusCode.UNAUTHENTICATED

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

        code = refused(users.Authenticate, CREDENTIALS, timeout=0.1)
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

    @pytest.mark.parametrize(
        ("error", "code", "details"),
        [
            (Unavailable("postgres: refused"), grpc.StatusCode.UNAVAILABLE, "try again later"),
            (RuntimeError("SELECT *"), grpc.StatusCode.INTERNAL, "internal error"),
        ],
        ids=["away", "bug"],
    )
    def test_error_of_the_service_is_not_told_to_clients(
        self,
        users: user_pb2_grpc.UserServiceStub,
        committed_shop: Shop,
        monkeypatch: pytest.MonkeyPatch,
        error: Exception,
        code: grpc.StatusCode,
        details: str,
    ) -> None:
        def fail(email: str, password: str) -> None:
            raise error

        monkeypatch.setattr(committed_shop.users, "authenticate", fail)

        with pytest.raises(grpc.RpcError) as refusal:
            users.Authenticate(CREDENTIALS, timeout=SECONDS)

        assert (refusal.value.code(), refusal.value.details()) == (code, details)

    async def test_asynchronous_client_gets_the_same_answers(
        self, grpc_async_channel: grpc.aio.Channel, committed_database: Database
    ) -> None:
        users = user_pb2_grpc.UserServiceStub(grpc_async_channel)

        request = user_pb2.CreateUserRequest(email="ada@example.com", password=PASSWORD, name="Ada")
        answer = await users.CreateUser(request, timeout=SECONDS)

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
        assert [path.name for path in made] == sorted(
            path.name for path in module.GENERATED.glob("*_pb2*")
        )
        for path in made:
            assert path.read_text() == (module.GENERATED / path.name).read_text(), path.name
