"""What the fixtures of tests/fixtures/payment_gateway.py promise."""

import os
from uuid import uuid4

import httpx2
import pytest
from pytest_httpserver import HTTPServer

from tests.fixtures.payment_gateway import DECLINED, PATH

INTENT = {"amount": 1000, "currency": "usd", "confirm": True}


def pay(reference: str) -> httpx2.Response:
    """What any HTTP client gets that is told by the environment where the gateway is."""
    headers = {
        "Authorization": f"Bearer {os.environ['PAYMENT_GATEWAY_KEY']}",
        "Idempotency-Key": reference,
    }
    url = os.environ["PAYMENT_GATEWAY_URL"]
    return httpx2.post(f"{url}{PATH}", json=INTENT, headers=headers)


@pytest.mark.usefixtures("payment_gateway_server")
class TestIntegrationPaymentGatewayContract:
    def test_payment_is_taken_once_for_each_key(self) -> None:
        reference = str(uuid4())

        first, again, other = pay(reference), pay(reference), pay(str(uuid4()))

        assert first.status_code == 201
        assert (first.json()["amount"], first.json()["status"]) == (1000, "succeeded")
        assert again.json() == first.json()
        assert other.json()["id"] != first.json()["id"]

    def test_expected_answer_comes_before_the_usual_one(
        self, payment_gateway_server: HTTPServer
    ) -> None:
        payment_gateway_server.expect_oneshot_request(PATH).respond_with_json(DECLINED, 402)

        declined, taken = pay(str(uuid4())), pay(str(uuid4()))

        assert (declined.status_code, taken.status_code) == (402, 201)

    @pytest.mark.parametrize("attempt", ["first", "second"])
    def test_fake_remembers_nothing_of_another_test(
        self, payment_gateway_server: HTTPServer, attempt: str
    ) -> None:
        assert not payment_gateway_server.log

        assert pay("the same in each test").status_code == 201

    def test_wrong_key_is_refused(self, payment_gateway_url: str) -> None:
        answer = httpx2.post(f"{payment_gateway_url}{PATH}", json=INTENT)

        assert answer.status_code == 401
