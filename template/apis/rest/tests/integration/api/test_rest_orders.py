from collections.abc import Callable
from decimal import Decimal

import pytest
from starlette.testclient import TestClient

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.ports import Database

from tests.clients import access_token
from tests.factories import ItemFactory
from tests.fixtures.rest import Headers, bearer


@pytest.fixture
def mugs(database: Database) -> str:
    """SKU of an item of which ten are left."""
    with database.begin() as work:
        work.items.add(ItemFactory.build(sku="SKU-MUG", price=Decimal("7.50"), quantity=10))
    return "SKU-MUG"


def left(database: Database, sku: str) -> int:
    with database.begin() as work:
        return work.items.get(sku).quantity


def place(client: TestClient, headers: Headers, sku: str) -> str:
    """Order three; the path of the order."""
    answer = client.post("/orders", headers=headers, json={"sku": sku, "quantity": 3})
    return f"/orders/{answer.json()['id']}"


class TestIntegrationRestOrders:
    def test_item_is_shown(self, rest_client: TestClient, mugs: str) -> None:
        item = rest_client.get(f"/items/{mugs}").json()

        assert (item["price"], item["quantity"]) == ("7.50", 10)

    def test_order_reserves_stock_and_is_paid(
        self, rest_client: TestClient, database: Database, rest_buyer: Headers, mugs: str
    ) -> None:
        order = {"sku": mugs, "quantity": 3}

        placed = rest_client.post("/orders", headers=rest_buyer, json=order)
        path = f"/orders/{placed.json()['id']}"
        paid = rest_client.post(f"{path}/payment", headers=rest_buyer)

        assert placed.status_code == 201
        assert (placed.json()["total_amount"], placed.json()["status"]) == ("22.50", "pending")
        assert paid.json() == placed.json() | {"status": "paid"}
        assert rest_client.get(path, headers=rest_buyer).json() == paid.json()
        assert left(database, mugs) == 7

    def test_declined_payment_cancels_the_order(
        self,
        rest_client: TestClient,
        database: Database,
        rest_buyer: Headers,
        mugs: str,
        decline_payments: Callable[[], None],
    ) -> None:
        path = place(rest_client, rest_buyer, mugs)
        decline_payments()

        answer = rest_client.post(f"{path}/payment", headers=rest_buyer)

        assert answer.status_code == 402
        assert rest_client.get(path, headers=rest_buyer).json()["status"] == "cancelled"
        assert left(database, mugs) == 10

    def test_cancelled_order_gives_stock_back(
        self, rest_client: TestClient, database: Database, rest_buyer: Headers, mugs: str
    ) -> None:
        order = {"sku": mugs, "quantity": 3}
        placed = rest_client.post("/orders", headers=rest_buyer, json=order).json()

        answer = rest_client.post(f"/orders/{placed['id']}/cancellation", headers=rest_buyer)

        assert answer.json() == placed | {"status": "cancelled"}
        assert set(placed) == {"id", "sku", "quantity", "total_amount", "status"}
        assert left(database, mugs) == 10

    @pytest.mark.parametrize("quantity", [0, -1, 1.5, None, 10**12])
    def test_order_of_invalid_quantity_takes_nothing(
        self,
        rest_client: TestClient,
        database: Database,
        rest_buyer: Headers,
        mugs: str,
        quantity: object,
    ) -> None:
        order = {"sku": mugs, "quantity": quantity}

        answer = rest_client.post("/orders", headers=rest_buyer, json=order)

        assert answer.status_code == 422
        assert left(database, mugs) == 10

    def test_order_of_another_user_is_not_found(
        self, rest_client: TestClient, shop: Shop, rest_buyer: Headers, mugs: str
    ) -> None:
        path = place(rest_client, rest_buyer, mugs)
        other = bearer(access_token(shop, "other@example.com"))

        assert rest_client.get(path, headers=other).status_code == 404
        assert rest_client.post(f"{path}/payment", headers=other).status_code == 404
        assert rest_client.post(f"{path}/cancellation", headers=other).status_code == 404
        assert rest_client.get(path, headers=rest_buyer).json()["status"] == "pending"
