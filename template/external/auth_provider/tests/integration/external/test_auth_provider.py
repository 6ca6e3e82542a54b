import os
import time
from typing import Any

import jwt
import pytest
from pytest_httpserver import HTTPServer

from {{ package_name }}.adapters.auth_provider import AuthProvider
from {{ package_name }}.domain import (
    Identity,
    InvalidCredentials,
    Unavailable,
)

from tests.fixtures.auth_provider import (
    CONFIGURATION,
    KEYS,
    TOKEN,
    AuthProviderDouble,
    new_key,
)

ADA = Identity("ada@example.com", "Ada")


@pytest.fixture(params=["client", pytest.param("sandbox", marks=pytest.mark.network)])
def provider(request: pytest.FixtureRequest) -> AuthProvider:
    """The provider's double, then its real sandbox: what holds for one has to hold for the other."""
    found: AuthProvider = request.getfixturevalue(f"auth_provider_{request.param}")
    return found


def paths(server: HTTPServer) -> list[str]:
    """The path of each request."""
    return [request.path for request, _ in server.log]


class TestIntegrationAuthProvider:
    def test_discovery_finds_the_endpoints(self, provider: AuthProvider) -> None:
        configuration = provider.configuration

        assert configuration.token_endpoint.startswith("http")
        assert configuration.jwks_uri.startswith("http")

    def test_unknown_code_identifies_nobody(self, provider: AuthProvider) -> None:
        with pytest.raises(InvalidCredentials):
            provider.identify("guess")

    def test_token_that_somebody_else_signed_identifies_nobody(
        self, provider: AuthProvider
    ) -> None:
        token = AuthProviderDouble(provider.configuration.issuer).token()

        with pytest.raises(InvalidCredentials):
            provider.verify(token)

    def test_code_identifies_a_person_once(
        self, auth_provider_client: AuthProvider, auth_provider_double: AuthProviderDouble
    ) -> None:
        code = auth_provider_double.code("ada@example.com", "Ada")

        assert auth_provider_client.identify(code) == ADA
        with pytest.raises(InvalidCredentials):
            auth_provider_client.identify(code)

    def test_discovery_and_keys_are_asked_for_once(
        self,
        auth_provider_client: AuthProvider,
        auth_provider_double: AuthProviderDouble,
        auth_provider_server: HTTPServer,
    ) -> None:
        for _ in range(3):
            auth_provider_client.verify(auth_provider_double.token())

        assert sorted(paths(auth_provider_server)) == [CONFIGURATION, KEYS]

    def test_issuer_may_end_with_a_slash(
        self,
        auth_provider_client: AuthProvider,
        auth_provider_double: AuthProviderDouble,
        auth_provider_server: HTTPServer,
    ) -> None:
        issuer = f"{auth_provider_double.issuer}/"
        auth_provider_server.expect_oneshot_request(CONFIGURATION).respond_with_json(
            {"issuer": issuer, "token_endpoint": "any", "jwks_uri": f"{issuer[:-1]}{KEYS}"}
        )

        assert auth_provider_client.verify(auth_provider_double.token(iss=issuer)) == ADA
        with pytest.raises(InvalidCredentials):
            auth_provider_client.verify(auth_provider_double.token())

    def test_new_key_of_the_provider_is_fetched(
        self, auth_provider_client: AuthProvider, auth_provider_double: AuthProviderDouble
    ) -> None:
        old = auth_provider_double.token()
        assert auth_provider_client.verify(old) == ADA

        auth_provider_double.rotate()

        assert auth_provider_client.verify(auth_provider_double.token()) == ADA
        with pytest.raises(InvalidCredentials):
            auth_provider_client.verify(old)

    @pytest.mark.parametrize(
        "claims",
        [
            {"exp": 1},
            {"exp": None},
            {"aud": "another-service"},
            {"iss": "https://another.example.com"},
            {"email": None},
            {"email_verified": False},
            {"email_verified": None},
        ],
        ids=str,
    )
    def test_token_with_wrong_claims_identifies_nobody(
        self,
        auth_provider_client: AuthProvider,
        auth_provider_double: AuthProviderDouble,
        claims: dict[str, Any],
    ) -> None:
        token = auth_provider_double.token(**claims)

        with pytest.raises(InvalidCredentials):
            auth_provider_client.verify(token)

    def test_token_that_just_expired_is_within_the_clock_skew(
        self, auth_provider_client: AuthProvider, auth_provider_double: AuthProviderDouble
    ) -> None:
        token = auth_provider_double.token(exp=int(time.time()) - 1)

        assert auth_provider_client.verify(token) == ADA

    def test_forged_signature_under_a_known_key_id_identifies_nobody(
        self, auth_provider_client: AuthProvider, auth_provider_double: AuthProviderDouble
    ) -> None:
        forged = auth_provider_double.token(key=new_key())

        with pytest.raises(InvalidCredentials):
            auth_provider_client.verify(forged)

    def test_token_without_signature_identifies_nobody(
        self, auth_provider_client: AuthProvider, auth_provider_double: AuthProviderDouble
    ) -> None:
        claims = jwt.decode(auth_provider_double.token(), options={"verify_signature": False})
        unsigned = jwt.encode(claims, "", "none", headers={"kid": auth_provider_double.key_id})

        for token in (unsigned, "", "not.a.token"):
            with pytest.raises(InvalidCredentials):
                auth_provider_client.verify(token)

    def test_error_then_success_identifies_the_person(
        self,
        auth_provider_client: AuthProvider,
        auth_provider_double: AuthProviderDouble,
        auth_provider_server: HTTPServer,
    ) -> None:
        for path in (CONFIGURATION, KEYS):
            auth_provider_server.expect_oneshot_request(path).respond_with_data("", 503)

        assert auth_provider_client.identify(auth_provider_double.code()) == ADA

    @pytest.mark.parametrize(
        ("path", "answer"),
        [
            (CONFIGURATION, "[]"),
            (CONFIGURATION, '{"issuer": "https://another.example.com"}'),
            (TOKEN, "{}"),
            (KEYS, "{}"),
            (KEYS, '{"keys": []}'),
            (KEYS, "[]"),
            (KEYS, "<html>"),
        ],
    )
    def test_malformed_answer_is_unavailable(
        self,
        auth_provider_client: AuthProvider,
        auth_provider_double: AuthProviderDouble,
        auth_provider_server: HTTPServer,
        path: str,
        answer: str,
    ) -> None:
        auth_provider_server.expect_oneshot_request(path).respond_with_data(answer)

        with pytest.raises(Unavailable, match="that nobody documented"):
            auth_provider_client.identify(auth_provider_double.code())

    def test_code_is_sent_once_as_it_works_once(
        self,
        auth_provider_client: AuthProvider,
        auth_provider_double: AuthProviderDouble,
        auth_provider_server: HTTPServer,
    ) -> None:
        auth_provider_server.expect_oneshot_request(TOKEN).respond_with_data("", 503)

        with pytest.raises(Unavailable, match="answered 503"):
            auth_provider_client.identify(auth_provider_double.code())

        assert paths(auth_provider_server).count(TOKEN) == 1

    def test_refusal_that_is_the_services_own_fault_is_unavailable(
        self, auth_provider_client: AuthProvider, auth_provider_double: AuthProviderDouble
    ) -> None:
        environment = {**os.environ, "AUTH_PROVIDER_REDIRECT_URI": "https://elsewhere.example.com"}

        with (
            AuthProvider.connect(environment) as provider,
            pytest.raises(Unavailable, match="refused with 400"),
        ):
            provider.identify(auth_provider_double.code())

    @pytest.mark.parametrize(
        ("told", "name"), [(None, ""), ("A\x00da\n", "Ada"), ("A" * 300, "A" * 200)]
    )
    def test_name_is_one_line_of_what_the_provider_tells(
        self,
        auth_provider_client: AuthProvider,
        auth_provider_double: AuthProviderDouble,
        told: str | None,
        name: str,
    ) -> None:
        token = auth_provider_double.token(name=told)

        assert auth_provider_client.verify(token).name == name

    def test_wrong_secret_of_the_service_is_unavailable(
        self, auth_provider_client: AuthProvider, auth_provider_double: AuthProviderDouble
    ) -> None:
        environment = {**os.environ, "AUTH_PROVIDER_CLIENT_SECRET": "wrong"}

        with (
            AuthProvider.connect(environment) as provider,
            pytest.raises(Unavailable, match="refused with 401"),
        ):
            provider.identify(auth_provider_double.code())

    @pytest.mark.fault("auth_provider", black_hole=True)
    @pytest.mark.usefixtures("auth_provider_client")
    def test_no_answer_in_time_is_unavailable(self) -> None:
        with (
            AuthProvider.connect(os.environ, timeout=0.05) as provider,
            pytest.raises(Unavailable, match="timed out"),
        ):
            provider.identify("any")
