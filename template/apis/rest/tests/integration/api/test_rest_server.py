import socket
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import httpx2
import pytest
from starlette.testclient import TestClient

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import OrderStatus, ShopError, Unavailable
from {{ package_name }}.entrypoints import rest
from {{ package_name }}.ports import Database

from tests.clients import access_token
from tests.fixtures.rest import Headers, bearer


class TestIntegrationRestServer:
    def test_server_is_gone_when_its_block_ends(self, shop: Shop) -> None:
        with rest.serve_app(rest.create_app(shop), "127.0.0.1:0") as url:
            assert httpx2.get(f"{url}/health").status_code == 200

        host, _, port = url.removeprefix("http://").partition(":")
        # An HTTP client takes so long to begin that a server which is late would be gone too.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))

    def test_shop_whose_servers_answer_is_healthy(self, rest_client: TestClient) -> None:
        answer = rest_client.get("/health")

        assert (answer.status_code, answer.json()) == (200, {"unavailable": []})

    @pytest.mark.parametrize(
        ("name", "method"), [("database", "begin"), ("cache", "get"), ("broker", "check")]
    )
    def test_health_names_what_does_not_answer_and_nothing_else_of_it(
        self,
        rest_client: TestClient,
        shop: Shop,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        method: str,
    ) -> None:
        def away(*_: object) -> None:
            raise Unavailable("connection to user:password@internal refused")

        monkeypatch.setattr(getattr(shop, name), method, away)
        answer = rest_client.get("/health")

        assert (answer.status_code, answer.json()) == (503, {"unavailable": [name]})

    def test_server_that_is_away_is_unavailable_for_now(
        self, rest_client: TestClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(sku: str) -> None:
            raise Unavailable("connection to user:password@internal refused")

        monkeypatch.setattr(shop.inventory, "get_item", away)
        answer = rest_client.get("/items/SKU-MUG")

        assert (answer.status_code, answer.json()) == (503, {"detail": "try again later"})
        assert answer.headers["Retry-After"]

    @pytest.mark.parametrize(
        "headers",
        [{}, {"Authorization": "Bearer guess"}, {"Authorization": "Basic YTpi"}],
        ids=["none", "unknown", "basic"],
    )
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/users/me"),
            ("POST", "/orders"),
            ("GET", f"/orders/{uuid4()}"),
            ("POST", f"/orders/{uuid4()}/payment"),
            ("POST", f"/orders/{uuid4()}/cancellation"),
        ],
        ids=["me", "place", "get", "pay", "cancel"],
    )
    def test_request_without_valid_token_is_refused(
        self, rest_client: TestClient, method: str, path: str, headers: Headers
    ) -> None:
        order = {"sku": "SKU-MUG", "quantity": 1}

        answer = rest_client.request(
            method, path, headers=headers, json=order if path == "/orders" else None
        )

        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_service_starts_on_the_servers_that_the_environment_names(
        self, rest_service: TestClient
    ) -> None:
        answer = rest_service.get("/items/SKU-NONE")

        assert answer.status_code == 404
        assert "SKU-NONE" in answer.json()["detail"]

    def test_buyers_at_the_same_time_get_the_stock_and_no_more(
        self, rest_url: str, committed_shop: Shop
    ) -> None:
        committed_shop.inventory.create_item("SKU-MUG", quantity=10)
        headers = bearer(access_token(committed_shop))

        with (
            httpx2.Client(base_url=rest_url, headers=headers) as client,
            ThreadPoolExecutor(max_workers=5) as buyers,
        ):
            order = {"sku": "SKU-MUG", "quantity": 3}
            codes = list(
                buyers.map(lambda _: client.post("/orders", json=order).status_code, range(5))
            )

        assert sorted(codes) == [201, 201, 201, 409, 409]
        assert committed_shop.inventory.get_item("SKU-MUG").quantity == 1

    def test_order_is_stored_when_its_answer_arrives(
        self, rest_url: str, committed_shop: Shop, committed_database: Database
    ) -> None:
        committed_shop.inventory.create_item("SKU-MUG", quantity=10)
        headers = bearer(access_token(committed_shop))

        answer = httpx2.post(
            f"{rest_url}/orders", headers=headers, json={"sku": "SKU-MUG", "quantity": 1}
        )

        with committed_database.begin() as work:
            assert work.orders.get(UUID(answer.json()["id"])).status is OrderStatus.PENDING

    def test_every_refusal_of_the_shop_has_a_status_code(self) -> None:
        assert set(rest.STATUS_CODES) == set(ShopError.__subclasses__())
