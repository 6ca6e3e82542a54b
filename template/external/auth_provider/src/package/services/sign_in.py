import secrets
from dataclasses import dataclass

from ..domain import EmailTaken, InvalidCredentials, User
from ..identity import Identity, IdentityProvider
from ..ports import Cache, Database, UnitOfWork
from .users import Session, UserService, welcome

SIGN_IN_SECONDS = 10 * 60
NO_PASSWORD = "!"
"""A hash that no password matches."""


@dataclass(frozen=True)
class SignIn:
    """A sign-in at the identity provider that has begun."""

    state: str
    """Proves who began it: the person's browser keeps it, and shows it with the code."""
    url: str
    """Where the person logs in."""


class SignInService:
    """Logs people in whom an identity provider knows."""

    def __init__(
        self, database: Database, cache: Cache, identity: IdentityProvider, users: UserService
    ) -> None:
        self._database = database
        self._cache = cache
        self._identity = identity
        self._users = users

    def begin(self) -> SignIn:
        """Begin to log in at the identity provider. Raises Unavailable if it does not answer."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        url = self._identity.authorization_url(state, nonce, verifier)
        self._cache.set(_key(state), [nonce, verifier], ttl=SIGN_IN_SECONDS)
        return SignIn(state, url)

    def finish(self, state: str, code: str) -> Session:
        """Log in the person to whom the identity provider gave the code. Who is new becomes a user.

        Raises:
            InvalidCredentials: state or code is wrong, used or too old, or the user is deactivated.
            EmailTaken: another user has the person's e-mail address.
            Unavailable: the identity provider does not answer.
        """
        begun = self._cache.pop(_key(state))
        if begun is None:
            raise InvalidCredentials("state")
        nonce, verifier = begun
        identity = self._identity.identify(code, nonce, verifier)
        with self._database.begin() as work:
            user_id = work.identities.find(identity)
            user = _new_user(work, identity) if user_id is None else work.users.get(user_id)
            if not user.is_active:
                raise InvalidCredentials("code")
        return self._users.open_session(user)


def _new_user(work: UnitOfWork, identity: Identity) -> User:
    """Make a verified user of a person. Raises EmailTaken if another user has the e-mail address."""
    email = identity.email.lower()
    user = work.users.find_by_email(email)
    if user is None:
        user = User(email, identity.name, NO_PASSWORD)
        work.users.add(user)
    else:
        user = work.users.get_for_update(user.id)
        if user.is_verified:
            # It may have been somebody else's address when that user registered.
            raise EmailTaken(email)
        # Whoever registered with this address has not shown that it is theirs.
        user.name, user.password_hash = identity.name, NO_PASSWORD
    user.is_verified = True
    work.users.save(user)
    work.identities.add(identity, user.id)
    work.outbox.add(welcome(user))
    return user


def _key(state: str) -> str:
    return f"sign_in:{state}"
