from starlette.testclient import TestClient

from {{ package_name }}.bootstrap import Shop

from tests.clients import access_token
from tests.fixtures.shop import Person


class TestIntegrationRestSignIn:
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
        self, rest_client: TestClient, shop: Shop, person: Person
    ) -> None:
        access_token(shop, "eve@example.com")
        begun = rest_client.post("/sessions/provider/begin").json()
        code = person("eve@example.com", "Eve")(begun["url"])

        answer = rest_client.post(
            "/sessions/provider", json={"state": begun["state"], "code": code}
        )

        assert answer.status_code == 409
