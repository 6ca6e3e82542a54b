from collections.abc import Callable
from decimal import Decimal
from uuid import uuid4

import httpx2
import pytest
from pytest_httpserver import HTTPServer

from {{ package_name }}.adapters.http import HttpApi, open_client
from {{ package_name }}.adapters.payment_gateway import PaymentGateway
from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import (
    OrderStatus,
    PaymentDeclined,
    Unavailable,
)
from {{ package_name }}.settings import PaymentGatewaySettings

from tests.contracts import PaymentsContract
from tests.factories import UserFactory
from tests.fixtures.payment_gateway import DECLINED, PATH, FakePaymentGateway
from tests.testbed.faults import Faults


@pytest.fixture(params=["client", pytest.param("sandbox", marks=pytest.mark.network)])
def gateway(request: pytest.FixtureRequest) -> PaymentGateway:
    """The gateway's fake, then its real sandbox: what holds for one has to hold for the other."""
    found: PaymentGateway = request.getfixturevalue(f"payment_gateway_{request.param}")
    return found


def reference() -> str:
    return f"order-{uuid4()}"


def keys(server: HTTPServer) -> list[str]:
    """The idempotency key of each request."""
    return [request.headers["Idempotency-Key"] for request, _ in server.log]


class TestIntegrationPaymentGatewayPayments(PaymentsContract):
    @pytest.fixture
    def payments(self, payment_gateway_adapter: PaymentGateway) -> PaymentGateway:
        return payment_gateway_adapter

    @pytest.fixture
    def charged(self, payment_gateway_fake: FakePaymentGateway) -> Callable[[], dict[str, Decimal]]:
        def charged() -> dict[str, Decimal]:
            intents = payment_gateway_fake.intents.items()
            return {reference: Decimal(intent["amount"]) / 100 for reference, intent in intents}

        return charged

    @pytest.fixture
    def decline_payments(self, payment_gateway_declines: Callable[[], None]) -> Callable[[], None]:
        return payment_gateway_declines


class TestIntegrationPaymentGateway:
    def test_create_intent_returns_the_payment(self, gateway: PaymentGateway) -> None:
        intent = gateway.create_intent(1000, "usd", reference())

        assert intent.id
        assert (intent.amount, intent.currency, intent.status) == (1000, "usd", "succeeded")

    def test_same_reference_is_one_payment(self, gateway: PaymentGateway) -> None:
        same = reference()

        first, again = (gateway.create_intent(1000, "usd", same) for _ in range(2))

        assert again == first
        assert gateway.create_intent(1000, "usd", reference()).id != first.id

    def test_declined_card_is_payment_declined(
        self, payment_gateway_client: PaymentGateway, payment_gateway_server: HTTPServer
    ) -> None:
        payment_gateway_server.expect_oneshot_request(PATH).respond_with_json(DECLINED, 402)

        with pytest.raises(PaymentDeclined, match="card_declined"):
            payment_gateway_client.create_intent(1000, "usd", reference())

        assert len(payment_gateway_server.log) == 1

    def test_refusal_without_a_reason_is_payment_declined(
        self, payment_gateway_client: PaymentGateway, payment_gateway_server: HTTPServer
    ) -> None:
        payment_gateway_server.expect_oneshot_request(PATH).respond_with_data("no", 402)

        with pytest.raises(PaymentDeclined, match="without a reason"):
            payment_gateway_client.create_intent(1000, "usd", reference())

    def test_error_then_success_is_one_payment_under_one_key(
        self,
        payment_gateway_client: PaymentGateway,
        payment_gateway_server: HTTPServer,
        payment_gateway_fake: FakePaymentGateway,
    ) -> None:
        for status in (429, 500):
            payment_gateway_server.expect_oneshot_request(PATH).respond_with_data("", status)

        intent = payment_gateway_client.create_intent(1000, "usd", "order-1")

        assert keys(payment_gateway_server) == ["order-1"] * 3
        assert [each["id"] for each in payment_gateway_fake.intents.values()] == [intent.id]

    def test_error_every_time_is_unavailable(
        self, payment_gateway_client: PaymentGateway, payment_gateway_server: HTTPServer
    ) -> None:
        for _ in range(3):
            payment_gateway_server.expect_oneshot_request(PATH).respond_with_data("", 503)

        with pytest.raises(Unavailable, match="answered 503"):
            payment_gateway_client.create_intent(1000, "usd", reference())

        assert len(payment_gateway_server.log) == 3

    @pytest.mark.fault("payment_gateway", black_hole=True)
    @pytest.mark.usefixtures("payment_gateway_client")
    def test_no_answer_in_time_is_unavailable(self) -> None:
        with (
            PaymentGateway.connect(PaymentGatewaySettings.load(timeout_seconds=0.05)) as gateway,
            pytest.raises(Unavailable, match="timed out"),
        ):
            gateway.create_intent(1000, "usd", reference())

    def test_attempt_waits_as_long_as_the_settings_say(self) -> None:
        with open_client("http://127.0.0.1", timeout=0.05) as client:
            assert client.timeout == httpx2.Timeout(0.05)

    def test_error_without_a_message_is_named(self) -> None:
        def fail(_: httpx2.Request) -> httpx2.Response:
            raise httpx2.PoolTimeout("")

        with (
            httpx2.Client(transport=httpx2.MockTransport(fail)) as client,
            pytest.raises(Unavailable, match="gateway: PoolTimeout"),
        ):
            HttpApi("gateway", client).send("GET", "http://127.0.0.1", once=True)

    @pytest.mark.fault("payment_gateway", refuse=True)
    @pytest.mark.usefixtures("payment_gateway_client")
    def test_refused_connection_is_unavailable(self) -> None:
        with (
            PaymentGateway.connect(PaymentGatewaySettings.load()) as gateway,
            pytest.raises(Unavailable, match="^payment gateway: .*refused"),
        ):
            gateway.create_intent(1000, "usd", reference())

    @pytest.mark.parametrize(
        "answer", ["", "{", "[]", "null", '{"id": "pi_1"}', '{"id": "pi_1", "amount": "many"}']
    )
    def test_malformed_answer_is_unavailable(
        self,
        payment_gateway_client: PaymentGateway,
        payment_gateway_server: HTTPServer,
        answer: str,
    ) -> None:
        payment_gateway_server.expect_oneshot_request(PATH).respond_with_data(answer, 201)

        with pytest.raises(Unavailable, match="that nobody documented"):
            payment_gateway_client.create_intent(1000, "usd", reference())

    def test_payment_that_is_not_decided_is_unavailable(
        self, payment_gateway_client: PaymentGateway, payment_gateway_server: HTTPServer
    ) -> None:
        intent = {"id": "pi_1", "amount": 1000, "currency": "usd", "status": "processing"}
        payment_gateway_server.expect_oneshot_request(PATH).respond_with_json(intent, 201)

        with pytest.raises(Unavailable, match="pi_1 is processing"):
            payment_gateway_client.charge(Decimal(10), reference())

    @pytest.mark.usefixtures("payment_gateway_client")
    def test_wrong_key_is_unavailable_and_not_declined(self) -> None:
        with (
            PaymentGateway.connect(PaymentGatewaySettings.load(key="wrong")) as gateway,
            pytest.raises(Unavailable, match="refused with 401"),
        ):
            gateway.create_intent(1000, "usd", reference())

    @pytest.mark.fault("payment_gateway", refuse=True)
    @pytest.mark.usefixtures("payment_gateway_client")
    def test_order_can_be_paid_when_the_gateway_is_back(
        self, shop_from_env: Shop, payment_gateway_fake: FakePaymentGateway, fault: Faults
    ) -> None:
        shop_from_env.inventory.create_item("SKU-MUG", quantity=1, price=Decimal("7.50"))
        buyer = UserFactory.build(verified=True)
        with shop_from_env.database.begin() as work:
            work.users.add(buyer)
        order = shop_from_env.orders.place(buyer.id, "SKU-MUG", 1)

        with pytest.raises(Unavailable):
            shop_from_env.orders.pay(order.id)
        assert shop_from_env.orders.get(order.id).status is OrderStatus.PAYING
        fault("payment_gateway").restore()

        assert shop_from_env.orders.pay(order.id).status is OrderStatus.PAID
        assert list(payment_gateway_fake.intents) == [str(order.id)]
