"""An identity provider that speaks OpenID Connect: https://openid.net/specs/openid-connect-core-1_0.html"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx2
import jwt

from ..domain import InvalidCredentials
from ..identity import Identity
from .http import HttpApi, open_client

if TYPE_CHECKING:
    from ..settings import AuthProviderSettings

ALGORITHMS = ["ES256", "RS256"]
"""How a token may be signed. None of them takes a public key for a shared secret."""
CLOCK_SKEW = 10
"""Seconds by which the provider's clock may differ."""


@dataclass(frozen=True)
class Configuration:
    """Where the provider offers what."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class AuthProvider:
    """`client` knows the provider's address; the rest is what the service is registered with there."""

    def __init__(
        self, client: httpx2.Client, client_id: str, client_secret: str, redirect_uri: str
    ) -> None:
        self._api = HttpApi("auth provider", client)
        self._issuer = str(client.base_url).rstrip("/")
        self._client_id = client_id
        self._client_secret = client_secret
        self._redirect_uri = redirect_uri
        self._keys: dict[str, jwt.PyJWK] = {}

    @classmethod
    @contextmanager
    def connect(cls, settings: "AuthProviderSettings") -> Iterator["AuthProvider"]:
        """The provider that the settings name, and by what it knows the service."""
        with open_client(settings.url, settings.timeout_seconds) as client:
            yield cls(client, settings.client_id, settings.client_secret, settings.redirect_uri)

    @cached_property
    def configuration(self) -> Configuration:
        """What the provider says of itself, asked for once. Raises Unavailable."""
        response = self._api.send("GET", "/.well-known/openid-configuration")
        return self._api.read(response, self._configuration)

    def _configuration(self, answer: Any) -> Configuration:
        issuer = str(answer["issuer"])
        # The names of some end with a slash, which their addresses may have or not.
        if issuer.rstrip("/") != self._issuer:
            # Section 4.3 of OpenID Connect Discovery: it would vouch for somebody else's users.
            raise ValueError(f"its issuer is {issuer}")
        return Configuration(
            issuer=issuer,
            authorization_endpoint=str(answer["authorization_endpoint"]),
            token_endpoint=str(answer["token_endpoint"]),
            jwks_uri=str(answer["jwks_uri"]),
        )

    def authorization_url(self, state: str, nonce: str, verifier: str) -> str:
        query = {
            "response_type": "code",
            "scope": "openid email profile",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "state": state,
            "nonce": nonce,
            "code_challenge": code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        return f"{self.configuration.authorization_endpoint}?{urlencode(query)}"

    def identify(self, code: str, nonce: str, verifier: str) -> Identity:
        return self.verify(self.exchange(code, verifier), nonce)

    def exchange(self, code: str, verifier: str) -> str:
        """The signed identity token for a code, which works once.

        Raises:
            InvalidCredentials: the code is wrong, used or too old.
            Unavailable: the provider does not answer, or not as documented.
        """
        response = self._api.send(
            "POST",
            self.configuration.token_endpoint,
            once=True,
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._redirect_uri,
                "code_verifier": verifier,
            },
            auth=(self._client_id, self._client_secret),
        )
        if response.status_code == 400 and _error(response) == "invalid_grant":
            raise InvalidCredentials("code")
        return self._api.read(response, lambda answer: str(answer["id_token"]))

    def verify(self, token: str, nonce: str) -> Identity:
        """Who an identity token is about.

        Raises:
            InvalidCredentials: it is forged, expired, for another service or sign-in, or its e-mail
                address is not verified.
            Unavailable: the provider does not tell its keys.
        """
        try:
            key = self._key(str(jwt.get_unverified_header(token).get("kid")))
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._client_id,
                issuer=self.configuration.issuer,
                leeway=CLOCK_SKEW,
                options={"require": ["exp", "iat", "sub", "email"]},
            )
        except jwt.PyJWTError as error:
            raise InvalidCredentials("identity token") from error
        # Text such as "false" is not True either.
        if claims.get("email_verified") is not True or claims.get("nonce") != nonce:
            raise InvalidCredentials("identity token")
        name = _one_line(str(claims.get("name") or ""))
        return Identity(claims["iss"], claims["sub"], str(claims["email"]), name)

    def _key(self, key_id: str) -> jwt.PyJWK:
        if key_id not in self._keys:
            # The provider has changed its keys since.
            response = self._api.send("GET", self.configuration.jwks_uri)
            self._keys = self._api.read(response, _keys)
        if key_id not in self._keys:
            raise InvalidCredentials("identity token")
        return self._keys[key_id]


def code_challenge(verifier: str) -> str:
    """What a verifier looks like to who must not know it (RFC 7636, S256)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _error(response: httpx2.Response) -> str:
    try:
        return str(response.json()["error"])
    except (KeyError, TypeError, ValueError):
        return ""


def _one_line(name: str) -> str:
    """A name as the shop stores it: people may call themselves anything at the provider."""
    return "".join(letter for letter in name if letter.isprintable())[:200]


def _keys(answer: Any) -> dict[str, jwt.PyJWK]:
    try:
        return {str(key.key_id): key for key in jwt.PyJWKSet.from_dict(answer).keys}
    except (AttributeError, jwt.PyJWTError) as error:
        raise ValueError(str(error)) from error
