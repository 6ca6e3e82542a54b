import time
from typing import Any
from urllib.parse import parse_qsl

import jwt
import pytest
from pytest_httpserver import HTTPServer

from {{ package_name }}.adapters.auth_provider import (
    AuthProvider,
    code_challenge,
)
from {{ package_name }}.domain import InvalidCredentials, Unavailable
from {{ package_name }}.identity import Identity
from {{ package_name }}.settings import AuthProviderSettings

from tests.fixtures.auth_provider import (
    CLIENT_ID,
    CONFIGURATION,
    KEYS,
    REDIRECT_URI,
    TOKEN,
    FakeAuthProvider,
    new_key,
)

NONCE, VERIFIER = "a nonce", "a verifier"


def ada(provider: AuthProvider) -> Identity:
    return Identity(provider.configuration.issuer, "ada", "ada@example.com", "Ada")


def identify(provider: AuthProvider, fake: FakeAuthProvider) -> Identity:
    """The person who begins a sign-in, logs in and comes back with the code."""
    code = fake.log_in(provider.authorization_url("a state", NONCE, VERIFIER))
    return provider.identify(code, NONCE, VERIFIER)


@pytest.fixture(params=["client", pytest.param("sandbox", marks=pytest.mark.network)])
def provider(request: pytest.FixtureRequest) -> AuthProvider:
    """The provider's fake, then its real sandbox: what holds for one has to hold for the other."""
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
            provider.identify("guess", NONCE, VERIFIER)

    def test_code_identifies_its_person_once(
        self, auth_provider_client: AuthProvider, auth_provider_fake: FakeAuthProvider
    ) -> None:
        code = auth_provider_fake.log_in(
            auth_provider_client.authorization_url("a state", NONCE, VERIFIER)
        )

        assert auth_provider_client.identify(code, NONCE, VERIFIER) == ada(auth_provider_client)
        with pytest.raises(InvalidCredentials):
            auth_provider_client.identify(code, NONCE, VERIFIER)

    @pytest.mark.parametrize(("nonce", "verifier"), [("other", VERIFIER), (NONCE, "other")])
    def test_code_of_another_sign_in_identifies_nobody(
        self,
        auth_provider_client: AuthProvider,
        auth_provider_fake: FakeAuthProvider,
        nonce: str,
        verifier: str,
    ) -> None:
        code = auth_provider_fake.log_in(
            auth_provider_client.authorization_url("a state", NONCE, VERIFIER)
        )

        with pytest.raises(InvalidCredentials):
            auth_provider_client.identify(code, nonce, verifier)

    def test_token_that_somebody_else_signed_identifies_nobody(
        self, provider: AuthProvider
    ) -> None:
        token = FakeAuthProvider(provider.configuration.issuer).token(nonce=NONCE)

        with pytest.raises(InvalidCredentials):
            provider.verify(token, NONCE)

    def test_discovery_and_keys_are_asked_for_once(
        self,
        auth_provider_client: AuthProvider,
        auth_provider_fake: FakeAuthProvider,
        auth_provider_server: HTTPServer,
    ) -> None:
        for _ in range(3):
            auth_provider_client.verify(auth_provider_fake.token(nonce=NONCE), NONCE)

        assert sorted(paths(auth_provider_server)) == [CONFIGURATION, KEYS]

    def test_issuer_may_end_with_a_slash(
        self,
        auth_provider_client: AuthProvider,
        auth_provider_fake: FakeAuthProvider,
        auth_provider_server: HTTPServer,
    ) -> None:
        issuer = f"{auth_provider_fake.issuer}/"
        auth_provider_server.expect_oneshot_request(CONFIGURATION).respond_with_json(
            {
                "issuer": issuer,
                "authorization_endpoint": "any",
                "token_endpoint": "any",
                "jwks_uri": f"{issuer[:-1]}{KEYS}",
            }
        )
        token = auth_provider_fake.token(iss=issuer, nonce=NONCE)

        assert auth_provider_client.verify(token, NONCE) == ada(auth_provider_client)
        with pytest.raises(InvalidCredentials):
            auth_provider_client.verify(auth_provider_fake.token(nonce=NONCE), NONCE)

    def test_new_key_of_the_provider_is_fetched(
        self, auth_provider_client: AuthProvider, auth_provider_fake: FakeAuthProvider
    ) -> None:
        old = auth_provider_fake.token(nonce=NONCE)
        assert auth_provider_client.verify(old, NONCE) == ada(auth_provider_client)

        auth_provider_fake.rotate()

        new = auth_provider_fake.token(nonce=NONCE)
        assert auth_provider_client.verify(new, NONCE) == ada(auth_provider_client)
        with pytest.raises(InvalidCredentials):
            auth_provider_client.verify(old, NONCE)

    @pytest.mark.parametrize(
        "claims",
        [
            {"exp": 1},
            {"exp": None},
            {"aud": "another-service"},
            {"iss": "https://another.example.com"},
            {"email": None},
            {"sub": None},
            {"email_verified": False},
            {"email_verified": "false"},
            {"email_verified": "true"},
            {"email_verified": None},
            {"nonce": "another"},
            {"nonce": None},
        ],
        ids=str,
    )
    def test_token_with_wrong_claims_identifies_nobody(
        self,
        auth_provider_client: AuthProvider,
        auth_provider_fake: FakeAuthProvider,
        claims: dict[str, Any],
    ) -> None:
        token = auth_provider_fake.token(**{"nonce": NONCE, **claims})

        with pytest.raises(InvalidCredentials):
            auth_provider_client.verify(token, NONCE)

    def test_token_that_just_expired_is_within_the_clock_skew(
        self, auth_provider_client: AuthProvider, auth_provider_fake: FakeAuthProvider
    ) -> None:
        token = auth_provider_fake.token(exp=int(time.time()) - 1, nonce=NONCE)

        assert auth_provider_client.verify(token, NONCE) == ada(auth_provider_client)

    def test_forged_signature_under_a_known_key_id_identifies_nobody(
        self, auth_provider_client: AuthProvider, auth_provider_fake: FakeAuthProvider
    ) -> None:
        forged = auth_provider_fake.token(key=new_key(), nonce=NONCE)

        with pytest.raises(InvalidCredentials):
            auth_provider_client.verify(forged, NONCE)

    def test_token_without_signature_identifies_nobody(
        self, auth_provider_client: AuthProvider, auth_provider_fake: FakeAuthProvider
    ) -> None:
        token = auth_provider_fake.token(nonce=NONCE)
        claims = jwt.decode(token, options={"verify_signature": False})
        unsigned = jwt.encode(claims, "", "none", headers={"kid": auth_provider_fake.key_id})

        for token in (unsigned, "", "not.a.token"):
            with pytest.raises(InvalidCredentials):
                auth_provider_client.verify(token, NONCE)

    def test_error_then_success_identifies_the_person(
        self,
        auth_provider_client: AuthProvider,
        auth_provider_fake: FakeAuthProvider,
        auth_provider_server: HTTPServer,
    ) -> None:
        for path in (CONFIGURATION, KEYS):
            auth_provider_server.expect_oneshot_request(path).respond_with_data("", 503)

        assert identify(auth_provider_client, auth_provider_fake) == ada(auth_provider_client)

    @pytest.mark.parametrize(
        ("path", "answer"),
        [
            (CONFIGURATION, "[]"),
            (CONFIGURATION, "{}"),
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
        auth_provider_fake: FakeAuthProvider,
        auth_provider_server: HTTPServer,
        path: str,
        answer: str,
    ) -> None:
        auth_provider_server.expect_oneshot_request(path).respond_with_data(answer)

        with pytest.raises(Unavailable, match="that nobody documented"):
            identify(auth_provider_client, auth_provider_fake)

    def test_configuration_of_another_issuer_is_unavailable(
        self, auth_provider_client: AuthProvider, auth_provider_server: HTTPServer
    ) -> None:
        usual = auth_provider_client.configuration
        other = {**vars(usual), "issuer": "https://another.example.com"}
        auth_provider_server.expect_oneshot_request(CONFIGURATION).respond_with_json(other)

        with (
            AuthProvider.connect(AuthProviderSettings.load()) as provider,
            pytest.raises(Unavailable, match="its issuer is https://another.example.com"),
        ):
            provider.authorization_url("a state", NONCE, VERIFIER)

    def test_authorization_url_has_state_nonce_and_challenge(
        self, auth_provider_client: AuthProvider
    ) -> None:
        url = auth_provider_client.authorization_url("a state", NONCE, VERIFIER)

        page, _, query = url.partition("?")
        assert page == auth_provider_client.configuration.authorization_endpoint
        assert dict(parse_qsl(query)) == {
            "response_type": "code",
            "scope": "openid email profile",
            "client_id": CLIENT_ID,
            "redirect_uri": REDIRECT_URI,
            "state": "a state",
            "nonce": NONCE,
            "code_challenge": code_challenge(VERIFIER),
            "code_challenge_method": "S256",
        }

    def test_challenge_is_that_of_the_standard(self) -> None:
        verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

        assert code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

    def test_code_is_sent_once_as_it_works_once(
        self,
        auth_provider_client: AuthProvider,
        auth_provider_fake: FakeAuthProvider,
        auth_provider_server: HTTPServer,
    ) -> None:
        auth_provider_server.expect_oneshot_request(TOKEN).respond_with_data("", 503)

        with pytest.raises(Unavailable, match="answered 503"):
            identify(auth_provider_client, auth_provider_fake)

        assert paths(auth_provider_server).count(TOKEN) == 1

    def test_refusal_that_is_the_services_own_fault_is_unavailable(
        self, auth_provider_client: AuthProvider, auth_provider_fake: FakeAuthProvider
    ) -> None:
        settings = AuthProviderSettings.load(redirect_uri="https://elsewhere.example.com")

        with (
            AuthProvider.connect(settings) as provider,
            pytest.raises(Unavailable, match="refused with 400"),
        ):
            identify(provider, auth_provider_fake)

    @pytest.mark.parametrize(
        ("told", "name"), [(None, ""), ("A\x00da\n", "Ada"), ("A" * 300, "A" * 200)]
    )
    def test_name_is_one_line_of_what_the_provider_tells(
        self,
        auth_provider_client: AuthProvider,
        auth_provider_fake: FakeAuthProvider,
        told: str | None,
        name: str,
    ) -> None:
        token = auth_provider_fake.token(name=told, nonce=NONCE)

        assert auth_provider_client.verify(token, NONCE).name == name

    def test_wrong_secret_of_the_service_is_unavailable(
        self, auth_provider_client: AuthProvider, auth_provider_fake: FakeAuthProvider
    ) -> None:
        settings = AuthProviderSettings.load(client_secret="wrong")

        with (
            AuthProvider.connect(settings) as provider,
            pytest.raises(Unavailable, match="refused with 401"),
        ):
            identify(provider, auth_provider_fake)

    @pytest.mark.fault("auth_provider", black_hole=True)
    @pytest.mark.usefixtures("auth_provider_client")
    def test_no_answer_in_time_is_unavailable(self) -> None:
        settings = AuthProviderSettings.load(timeout_seconds=0.05)

        with (
            AuthProvider.connect(settings) as provider,
            pytest.raises(Unavailable, match="timed out"),
        ):
            provider.identify("any", NONCE, VERIFIER)
