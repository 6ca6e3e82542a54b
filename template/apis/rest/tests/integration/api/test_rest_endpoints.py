from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from starlette.testclient import TestClient

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import (
    Event,
    NotFound,
    OrderStatus,
    ShopError,
    Unavailable,
)
from {{ package_name }}.entrypoints.rest import STATUS_CODES, create_app
from {{ package_name }}.ports import Database, Payments

from tests.factories import ItemFactory, UserFactory
from tests.factories.users import PASSWORD as FACTORY_PASSWORD
from tests.fixtures.shop import Person

PASSWORD = "SecurePass123!"
ADA = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"}
Headers = dict[str, str]


def member(shop: Shop, email: str) -> Headers:
    """The headers of a user who is registered, verified and logged in."""
    user = shop.users.register(email, PASSWORD, "Member")
    shop.users.verify_email(user.id, shop.users.verification_token(user.id) or "")
    return {"Authorization": f"Bearer {shop.users.authenticate(email, PASSWORD).access_token}"}


@pytest.fixture
def buyer(shop: Shop) -> Headers:
    """Headers of a user who may order."""
    return member(shop, "buyer@example.com")


@pytest.fixture
def mugs(database: Database) -> str:
    """SKU of an item of which ten are left."""
    with database.begin() as work:
        work.items.add(ItemFactory.build(sku="SKU-MUG", price=Decimal("7.50"), quantity=10))
    return "SKU-MUG"


def left(database: Database, sku: str) -> int:
    with database.begin() as work:
        return work.items.get(sku).quantity


class TestIntegrationRestUsers:
    def test_registration_stores_an_unverified_user(
        self, rest_client: TestClient, database: Database
    ) -> None:
        answer = rest_client.post("/users", json=ADA)

        assert answer.status_code == 201
        with database.begin() as work:
            user = work.users.find_by_email("ada@example.com")
        assert user is not None and not user.is_verified
        assert answer.json() == {
            "id": str(user.id),
            "email": "ada@example.com",
            "name": "Ada",
            "is_verified": False,
        }

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"email": "ada"}, "email"),
            ({"email": None}, "email"),
            ({"password": "short"}, "password"),
            ({"name": ""}, "name"),
            ({"name": "A\x00da"}, "name"),
            ({"is_verified": True}, "is_verified"),
        ],
    )
    def test_invalid_registration_stores_nothing(
        self,
        rest_client: TestClient,
        database: Database,
        change: dict[str, object],
        field: str,
    ) -> None:
        answer = rest_client.post("/users", json=ADA | change)

        assert answer.status_code == 422
        assert [fault["loc"] for fault in answer.json()["detail"]] == [["body", field]]
        assert PASSWORD not in answer.text
        with database.begin() as work:
            assert work.users.find_by_email("ada@example.com") is None

    def test_registration_with_taken_email_leaves_the_first_alone(
        self, rest_client: TestClient, buyer: Headers
    ) -> None:
        impostor = ADA | {"email": "buyer@example.com", "name": "Impostor"}

        answer = rest_client.post("/users", json=impostor)

        assert answer.status_code == 409
        assert rest_client.get("/users/me", headers=buyer).json()["name"] == "Member"

    def test_verified_user_logs_in_and_is_recognised(
        self, rest_client: TestClient, shop: Shop, published: Callable[[int], list[Event]]
    ) -> None:
        user = rest_client.post("/users", json=ADA).json()
        token = shop.users.verification_token(UUID(user["id"]))
        credentials = {"email": ADA["email"], "password": PASSWORD}

        verified = rest_client.post(f"/users/{user['id']}/verification", json={"token": token})
        session = rest_client.post("/sessions", json=credentials).json()
        headers = {"Authorization": f"Bearer {session['access_token']}"}
        me = rest_client.get("/users/me", headers=headers)

        # Nothing else that the shop knows about a user is told.
        assert verified.json() == user | {"is_verified": True}
        assert me.json() == user | {"is_verified": True}
        shop.events.relay()
        assert [event.type for event in published(2)] == ["user_registered", "user_welcomed"]

    def test_wrong_verification_token_verifies_nobody(
        self, rest_client: TestClient, database: Database
    ) -> None:
        user = rest_client.post("/users", json=ADA).json()

        answer = rest_client.post(f"/users/{user['id']}/verification", json={"token": "guess"})

        assert answer.status_code == 401
        with database.begin() as work:
            stored = work.users.find_by_email("ada@example.com")
        assert stored is not None and not stored.is_verified

    @pytest.mark.parametrize(
        ("email", "password"),
        [("buyer@example.com", "wrong"), ("nobody@example.com", PASSWORD)],
    )
    def test_wrong_credentials_open_no_session(
        self, rest_client: TestClient, buyer: Headers, email: str, password: str
    ) -> None:
        answer = rest_client.post("/sessions", json={"email": email, "password": password})

        assert answer.status_code == 401
        assert answer.json() == {"detail": "e-mail address or password"}

    @pytest.mark.parametrize("kind", ["unverified", "deactivated"])
    def test_user_who_may_not_log_in_is_refused(
        self, rest_client: TestClient, database: Database, kind: str
    ) -> None:
        user = UserFactory.build(is_verified=kind != "unverified", is_active=kind != "deactivated")
        with database.begin() as work:
            work.users.add(user)

        answer = rest_client.post(
            "/sessions", json={"email": user.email, "password": FACTORY_PASSWORD}
        )

        assert answer.status_code == 401

    def test_sign_in_with_the_state_of_another_one_opens_no_session(
        self, rest_client: TestClient, person: Person
    ) -> None:
        begun, other = (rest_client.post("/sessions/provider/begin").json() for _ in range(2))
        code = person("eve@example.com", "Eve")(begun["url"])

        answer = rest_client.post(
            "/sessions/provider", json={"state": other["state"], "code": code}
        )

        assert answer.status_code == 401

    def test_sign_in_with_the_address_of_another_user_is_a_conflict(
        self, rest_client: TestClient, buyer: Headers, person: Person
    ) -> None:
        begun = rest_client.post("/sessions/provider/begin").json()
        code = person("buyer@example.com", "Eve")(begun["url"])

        answer = rest_client.post(
            "/sessions/provider", json={"state": begun["state"], "code": code}
        )

        assert answer.status_code == 409

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


class TestIntegrationRestOrders:
    def test_item_is_shown(self, rest_client: TestClient, mugs: str) -> None:
        item = rest_client.get(f"/items/{mugs}").json()

        assert (item["price"], item["quantity"]) == ("7.50", 10)

    def test_unknown_item_is_not_found(self, rest_client: TestClient) -> None:
        assert rest_client.get("/items/SKU-NONE").status_code == 404

    def test_order_reserves_stock_and_is_paid(
        self, rest_client: TestClient, database: Database, buyer: Headers, mugs: str
    ) -> None:
        order = {"sku": mugs, "quantity": 3}

        placed = rest_client.post("/orders", headers=buyer, json=order)
        path = f"/orders/{placed.json()['id']}"
        paid = rest_client.post(f"{path}/payment", headers=buyer)

        assert placed.status_code == 201
        assert (placed.json()["total_amount"], placed.json()["status"]) == ("22.50", "pending")
        assert paid.json() == placed.json() | {"status": "paid"}
        assert rest_client.get(path, headers=buyer).json() == paid.json()
        assert left(database, mugs) == 7

    def test_declined_payment_cancels_the_order(
        self,
        rest_client: TestClient,
        database: Database,
        buyer: Headers,
        mugs: str,
        decline_payments: Callable[[], None],
    ) -> None:
        order = {"sku": mugs, "quantity": 3}
        path = f"/orders/{rest_client.post('/orders', headers=buyer, json=order).json()['id']}"
        decline_payments()

        answer = rest_client.post(f"{path}/payment", headers=buyer)

        assert answer.status_code == 402
        assert rest_client.get(path, headers=buyer).json()["status"] == "cancelled"
        assert left(database, mugs) == 10

    def test_payment_that_is_not_decided_may_be_tried_again(
        self,
        rest_client: TestClient,
        payments: Payments,
        buyer: Headers,
        mugs: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        order = {"sku": mugs, "quantity": 3}
        path = f"/orders/{rest_client.post('/orders', headers=buyer, json=order).json()['id']}"

        def away(amount: Decimal, reference: str) -> None:
            raise Unavailable("the internal name of the gateway")

        with monkeypatch.context() as patch:
            patch.setattr(payments, "charge", away)
            handle_unavailable = rest_client.post(f"{path}/payment", headers=buyer)
        paid = rest_client.post(f"{path}/payment", headers=buyer)

        assert handle_unavailable.status_code == 503
        assert handle_unavailable.json() == {"detail": "try again later"}
        assert handle_unavailable.headers["Retry-After"]
        assert paid.json()["status"] == "paid"

    def test_cancelled_order_gives_stock_back(
        self, rest_client: TestClient, database: Database, buyer: Headers, mugs: str
    ) -> None:
        order = {"sku": mugs, "quantity": 3}
        placed = rest_client.post("/orders", headers=buyer, json=order).json()

        answer = rest_client.post(f"/orders/{placed['id']}/cancellation", headers=buyer)

        assert answer.json() == placed | {"status": "cancelled"}
        assert set(placed) == {"id", "sku", "quantity", "total_amount", "status"}
        assert left(database, mugs) == 10

    def test_cancelling_a_paid_order_is_a_conflict(
        self, rest_client: TestClient, database: Database, buyer: Headers, mugs: str
    ) -> None:
        order = {"sku": mugs, "quantity": 3}
        path = f"/orders/{rest_client.post('/orders', headers=buyer, json=order).json()['id']}"
        rest_client.post(f"{path}/payment", headers=buyer)

        answer = rest_client.post(f"{path}/cancellation", headers=buyer)

        assert answer.status_code == 409
        assert rest_client.get(path, headers=buyer).json()["status"] == "paid"
        assert left(database, mugs) == 7

    def test_order_beyond_stock_is_a_conflict_and_takes_nothing(
        self, rest_client: TestClient, database: Database, buyer: Headers, mugs: str
    ) -> None:
        order = {"sku": mugs, "quantity": 11}

        answer = rest_client.post("/orders", headers=buyer, json=order)

        assert answer.status_code == 409
        assert left(database, mugs) == 10

    @pytest.mark.parametrize("quantity", [0, -1, 1.5, "many", None, 10**12])
    def test_order_of_invalid_quantity_takes_nothing(
        self,
        rest_client: TestClient,
        database: Database,
        buyer: Headers,
        mugs: str,
        quantity: object,
    ) -> None:
        order = {"sku": mugs, "quantity": quantity}

        answer = rest_client.post("/orders", headers=buyer, json=order)

        assert answer.status_code == 422
        assert left(database, mugs) == 10

    def test_order_of_unknown_item_is_not_found(
        self, rest_client: TestClient, buyer: Headers
    ) -> None:
        order = {"sku": "SKU-NONE", "quantity": 1}

        assert rest_client.post("/orders", headers=buyer, json=order).status_code == 404

    def test_order_of_another_user_is_not_found(
        self, rest_client: TestClient, shop: Shop, buyer: Headers, mugs: str
    ) -> None:
        order = {"sku": mugs, "quantity": 1}
        path = f"/orders/{rest_client.post('/orders', headers=buyer, json=order).json()['id']}"
        other = member(shop, "other@example.com")

        assert rest_client.get(path, headers=other).status_code == 404
        assert rest_client.post(f"{path}/payment", headers=other).status_code == 404
        assert rest_client.post(f"{path}/cancellation", headers=other).status_code == 404
        assert rest_client.get(path, headers=buyer).json()["status"] == "pending"


class TestIntegrationRestService:
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
        headers = member(committed_shop, "buyer@example.com")

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
        headers = member(committed_shop, "buyer@example.com")

        answer = httpx2.post(
            f"{rest_url}/orders", headers=headers, json={"sku": "SKU-MUG", "quantity": 1}
        )

        with committed_database.begin() as work:
            assert work.orders.get(UUID(answer.json()["id"])).status is OrderStatus.PENDING

    def test_every_refusal_of_the_shop_has_a_status_code(self) -> None:
        assert set(STATUS_CODES) == set(ShopError.__subclasses__())
        assert STATUS_CODES[NotFound] == 404


Fields = dict[str, str]


class TestIntegrationRestSchema:
    """Requests that Schemathesis makes up from the schema, the same ones in each run."""

    @pytest.fixture
    def existing(
        self,
        database: Database,
        shop: Shop,
        buyer: Headers,
        person: Person,
    ) -> dict[str, Callable[[], tuple[Fields, Fields]]]:
        """By operation, what lets it succeed: path parameters and fields of the body."""
        sku = "SKU-PEN"
        with database.begin() as work:
            work.items.add(ItemFactory.build(sku=sku, quantity=1_000_000))
        eve = person("eve@example.com", "Eve")
        user = shop.users.current_user(buyer["Authorization"].removeprefix("Bearer "))

        def unverified() -> tuple[Fields, Fields]:
            new = shop.users.register(f"{uuid4()}@example.com", PASSWORD, "New")
            return {"user_id": str(new.id)}, {"token": shop.users.verification_token(new.id) or ""}

        def pending() -> tuple[Fields, Fields]:
            return {"order_id": str(shop.orders.place(user.id, sku, 1).id)}, {}

        def signed_in() -> tuple[Fields, Fields]:
            begun = shop.users.begin_sign_in()
            return {}, {"state": begun.state, "code": eve(begun.url)}

        return {
            "POST /users/{user_id}/verification": unverified,
            "POST /sessions": lambda: ({}, {"email": user.email, "password": PASSWORD}),
            "POST /sessions/provider": signed_in,
            "GET /items/{sku}": lambda: ({"sku": sku}, {}),
            "POST /orders": lambda: ({}, {"sku": sku}),
            "GET /orders/{order_id}": pending,
            "POST /orders/{order_id}/payment": pending,
            "POST /orders/{order_id}/cancellation": pending,
        }

    @pytest.mark.slow
    @pytest.mark.parametrize(("mode", "expected"), [("positive", "2xx"), ("negative", "4xx")])
    def test_any_request_is_answered_as_the_schema_says(
        self,
        shop: Shop,
        buyer: Headers,
        existing: dict[str, Callable[[], tuple[Fields, Fields]]],
        mode: str,
        expected: str,
    ) -> None:
        # Imported here, as that takes a second and every start of pytest reads this module.
        import schemathesis
        from hypothesis import HealthCheck, Phase, given, settings
        from hypothesis import strategies as st

        schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(shop))
        answered: dict[str, set[str]] = {}

        for operation in [each for path in schema for each in schema[path].values()]:
            if mode == "negative" and not (operation.body or any(operation.iter_parameters())):
                continue  # without input, none can be wrong

            @settings(
                max_examples=20,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(
                exists=st.booleans(),
                case=operation.as_strategy(schemathesis.GenerationMode(mode)),
            )
            def check(exists: bool, case: schemathesis.Case[Any]) -> None:
                label = case.operation.label
                if mode == "positive" and exists and label in existing:
                    parameters, fields = existing[label]()
                    case.path_parameters |= parameters
                    if fields:
                        assert isinstance(case.body, dict)
                        case.body |= fields
                answer = case.call_and_validate(headers=buyer)
                answered.setdefault(label, set()).add(f"{answer.status_code // 100}xx")

            check()

        # Without one success of each operation, no answer of it was compared with the schema.
        assert [label for label, codes in answered.items() if expected not in codes] == []
