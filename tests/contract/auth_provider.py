"""What the fixtures of tests/fixtures/auth_provider.py promise."""

import os
from typing import Any

import httpx2
import jwt
import pytest
from pytest_httpserver import HTTPServer

from tests.fixtures.auth_provider import CONFIGURATION, KEYS, FakeAuthProvider

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
AUTHORIZATION = "?nonce=any&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def discover() -> dict[str, Any]:
    """What any client gets that is told by the environment where the provider is."""
    found: dict[str, Any] = httpx2.get(os.environ["AUTH_PROVIDER_URL"] + CONFIGURATION).json()
    return found


def exchange(code: str) -> httpx2.Response:
    client = (os.environ["AUTH_PROVIDER_CLIENT_ID"], os.environ["AUTH_PROVIDER_CLIENT_SECRET"])
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": os.environ["AUTH_PROVIDER_REDIRECT_URI"],
        "code_verifier": VERIFIER,
    }
    return httpx2.post(discover()["token_endpoint"], data=form, auth=client)


def key_ids() -> list[str]:
    return [key["kid"] for key in httpx2.get(discover()["jwks_uri"]).json()["keys"]]


@pytest.mark.usefixtures("auth_provider_server")
class TestIntegrationAuthProviderContract:
    def test_configuration_names_the_issuer_that_was_asked(self) -> None:
        assert discover()["issuer"] == os.environ["AUTH_PROVIDER_URL"]

    def test_code_is_exchanged_once_for_a_token_that_its_keys_verify(
        self, auth_provider_fake: FakeAuthProvider
    ) -> None:
        code = auth_provider_fake.log_in(AUTHORIZATION)

        token = exchange(code).json()["id_token"]

        key = jwt.PyJWKClient(discover()["jwks_uri"]).get_signing_key_from_jwt(token)
        audience = os.environ["AUTH_PROVIDER_CLIENT_ID"]
        claims = jwt.decode(token, key, algorithms=["ES256"], audience=audience)
        assert claims["email"] == "ada@example.com"
        assert exchange(code).status_code == 400

    def test_rotation_replaces_the_key(self, auth_provider_fake: FakeAuthProvider) -> None:
        before = key_ids()

        auth_provider_fake.rotate()

        assert len(key_ids()) == 1
        assert key_ids() != before

    def test_expected_answer_comes_before_the_usual_one(
        self, auth_provider_server: HTTPServer
    ) -> None:
        keys = discover()["jwks_uri"]
        auth_provider_server.expect_oneshot_request(KEYS).respond_with_data("", 503)

        assert [httpx2.get(keys).status_code for _ in range(2)] == [503, 200]

    def test_unknown_client_gets_no_token(self, auth_provider_fake: FakeAuthProvider) -> None:
        code = auth_provider_fake.log_in(AUTHORIZATION)
        form = {"grant_type": "authorization_code", "code": code}

        answer = httpx2.post(discover()["token_endpoint"], data=form, auth=("test-client", "guess"))

        assert answer.status_code == 401
