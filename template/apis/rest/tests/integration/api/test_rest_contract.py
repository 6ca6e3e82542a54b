import httpx2
from starlette.testclient import TestClient

NOWHERE = "/a-path-that-no-app-has"


class TestIntegrationRestContract:
    def test_app_starts_answers_and_ends(self, rest_client: TestClient) -> None:
        assert rest_client.get(NOWHERE).status_code < 500

    def test_app_answers_on_a_socket(self, rest_url: str) -> None:
        assert httpx2.get(rest_url + NOWHERE).status_code < 500
