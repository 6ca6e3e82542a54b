from collections.abc import Callable
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import Event
from {{ package_name }}.ports import Database

from tests.clients import PASSWORD
from tests.fixtures.rest import Headers

ADA = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"}


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
            ({"password": "short"}, "password"),
            ({"name": ""}, "name"),
            ({"name": "A\x00da"}, "name"),
            ({"is_verified": True}, "is_verified"),
        ],
    )
    def test_invalid_registration_stores_nothing(
        self, rest_client: TestClient, database: Database, change: dict[str, object], field: str
    ) -> None:
        answer = rest_client.post("/users", json=ADA | change)

        assert answer.status_code == 422
        assert [fault["loc"] for fault in answer.json()["detail"]] == [["body", field]]
        assert PASSWORD not in answer.text
        with database.begin() as work:
            assert work.users.find_by_email("ada@example.com") is None

    def test_registration_with_taken_email_leaves_the_first_alone(
        self, rest_client: TestClient, rest_buyer: Headers
    ) -> None:
        impostor = ADA | {"email": "buyer@example.com", "name": "Impostor"}

        answer = rest_client.post("/users", json=impostor)

        assert answer.status_code == 409
        assert rest_client.get("/users/me", headers=rest_buyer).json()["name"] == "Member"

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
        assert verified.json() == me.json() == user | {"is_verified": True}
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
        self, rest_client: TestClient, rest_buyer: Headers, email: str, password: str
    ) -> None:
        answer = rest_client.post("/sessions", json={"email": email, "password": password})

        assert answer.status_code == 401
        assert answer.json() == {"detail": "e-mail address or password"}
