"""How to test with the payment gateway's fake: copy the test that is closest to yours."""

import os

import httpx2
from pytest_httpserver import HTTPServer

from tests.fixtures.payment_gateway import DECLINED, PATH


def pay() -> httpx2.Response:
    """Pay as your client does, with what the environment says."""
    headers = {
        "Authorization": f"Bearer {os.environ['PAYMENT_GATEWAY_KEY']}",
        "Idempotency-Key": "order-1",
    }
    intent = {"amount": 1000, "currency": "usd", "confirm": True}
    return httpx2.post(os.environ["PAYMENT_GATEWAY_URL"] + PATH, json=intent, headers=headers)


class TestIntegrationPaymentGatewayContract:
    def test_expected_answer_comes_before_the_usual_one(
        self, payment_gateway_server: HTTPServer
    ) -> None:
        payment_gateway_server.expect_oneshot_request(PATH).respond_with_json(DECLINED, 402)

        assert [pay().status_code for _ in range(2)] == [402, 201]
        assert len(payment_gateway_server.log) == 2
