"""How to test with the API's fake: copy the test that is closest to yours."""

import os

import httpx2
from pytest_httpserver import HTTPServer

from tests.fixtures.{{ api.name }} import PATH


def ask() -> httpx2.Response:
    """Ask as your client does, with what the environment says."""
    headers = {"Authorization": f"Bearer {os.environ['{{ api.variable }}_KEY']}"}
    return httpx2.get(os.environ["{{ api.variable }}_URL"] + PATH, headers=headers)


class TestIntegration{{ api.adapter }}Contract:
    def test_expected_answer_comes_before_the_usual_one(
        self,
        {{ api.name }}_server: HTTPServer,
    ) -> None:
        server = {{ api.name }}_server
        server.expect_oneshot_request(PATH).respond_with_data("", 503)

        assert [ask().status_code for _ in range(2)] == [503, 200]
        assert len(server.log) == 2
