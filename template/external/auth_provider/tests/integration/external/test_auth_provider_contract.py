"""How to test with the identity provider's fake: copy the test that is closest to yours."""

import os

import httpx2
from pytest_httpserver import HTTPServer

from tests.fixtures.auth_provider import CONFIGURATION


class TestIntegrationAuthProviderContract:
    def test_expected_answer_comes_before_the_usual_one(
        self, auth_provider_server: HTTPServer
    ) -> None:
        url = os.environ["AUTH_PROVIDER_URL"] + CONFIGURATION
        auth_provider_server.expect_oneshot_request(CONFIGURATION).respond_with_data("", 503)

        assert [httpx2.get(url).status_code for _ in range(2)] == [503, 200]
        assert httpx2.get(url).json()["issuer"] == os.environ["AUTH_PROVIDER_URL"]
