"""Who people are to an identity provider, and what the shop needs from one."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True)
class Identity:
    """A person, as an identity provider knows them.

    Only issuer and subject identify: an e-mail address may get another owner.
    """

    issuer: str
    subject: str
    email: str
    name: str


class IdentityRepository(Protocol):
    """Which user each person is."""

    def add(self, identity: Identity, user_id: UUID) -> None:
        """Raises EmailTaken if it is a user's already."""

    def find(self, identity: Identity) -> UUID | None:
        """The id of the user whom a person logs in as."""


class IdentityProvider(Protocol):
    def authorization_url(self, state: str, nonce: str, verifier: str) -> str:
        """The provider's page where a person logs in. It hands out a code for this sign-in only.

        Raises:
            Unavailable: the provider does not answer.
        """

    def identify(self, code: str, nonce: str, verifier: str) -> Identity:
        """The person who logged in at the provider and got the code.

        Raises:
            InvalidCredentials: the code is wrong, used, too old, or of another sign-in.
            Unavailable: the provider does not answer.
        """
