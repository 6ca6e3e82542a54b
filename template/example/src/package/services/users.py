import secrets
from dataclasses import dataclass
from uuid import UUID

from ..domain import EmailTaken, Event, InvalidCredentials, User
from ..passwords import Passwords
from ..ports import Cache, Database, IdentityProvider, Mailer

VERIFICATION_SECONDS = 24 * 60 * 60
SESSION_SECONDS = 60 * 60
NO_PASSWORD = "!"
"""A hash that no password matches."""


@dataclass(frozen=True)
class Session:
    """A user who is logged in."""

    user_id: UUID
    access_token: str


class UserService:
    def __init__(
        self,
        database: Database,
        cache: Cache,
        identity: IdentityProvider,
        mailer: Mailer,
        passwords: Passwords,
    ) -> None:
        self._database = database
        self._cache = cache
        self._identity = identity
        self._mailer = mailer
        self._passwords = passwords

    def register(self, email: str, password: str, name: str) -> User:
        """Create a user who still has to verify the e-mail address.

        Raises:
            EmailTaken: another user has it.
        """
        user = User(email=email.lower(), name=name, password_hash=self._passwords.hash(password))
        with self._database.begin() as work:
            if work.users.find_by_email(user.email):
                raise EmailTaken(email)
            work.users.add(user)
            work.outbox.add(Event("user_registered", str(user.id), {"email": user.email}))
            # Before the commit: without a token, nobody is registered who could not verify.
            self._cache.set(
                _verification_key(user.id), secrets.token_urlsafe(), ttl=VERIFICATION_SECONDS
            )
        return user

    def verification_token(self, user_id: UUID) -> str | None:
        """The token that the verification e-mail carries, None once it was used or is too old."""
        token: str | None = self._cache.get(_verification_key(user_id))
        return token

    def send_verification(self, user_id: UUID) -> None:
        """Send the e-mail with which a user verifies the address, unless that is done or too late.

        Raises:
            NotFound: there is no such user.
        """
        with self._database.begin() as work:
            user = work.users.get(user_id)
        if token := self.verification_token(user_id):
            self._mailer.send(user.email, "Verify your e-mail address", token)

    def verify_email(self, user_id: UUID, token: str) -> User:
        """Mark a user as verified.

        Raises:
            InvalidCredentials: the token is wrong, used or too old.
        """
        expected = self.verification_token(user_id)
        if expected is None or not secrets.compare_digest(expected, token):
            raise InvalidCredentials("verification token")
        with self._database.begin() as work:
            user = work.users.get(user_id)
            user.is_verified = True
            work.users.save(user)
            work.outbox.add(_welcome(user))
        self._cache.pop(_verification_key(user_id))
        return user

    def authenticate(self, email: str, password: str) -> Session:
        """Log a verified user in.

        Raises:
            InvalidCredentials: unknown, not verified, deactivated, or a wrong password.
        """
        with self._database.begin() as work:
            user = work.users.find_by_email(email.lower())
        hashed = user.password_hash if user else None
        if (
            not self._passwords.verify(hashed, password)
            or user is None
            or not (user.is_verified and user.is_active)
        ):
            raise InvalidCredentials("e-mail address or password")
        return self._open_session(user)

    def sign_in(self, code: str) -> Session:
        """Log in who logged in at the identity provider; who is new becomes a verified user.

        Raises:
            InvalidCredentials: the code is wrong, used or too old, or the user is deactivated.
            EmailTaken: the same person has just become a user by another request.
            Unavailable: the identity provider does not answer.
        """
        identity = self._identity.identify(code)
        email = identity.email.lower()
        with self._database.begin() as work:
            user = work.users.find_by_email(email)
            if user is None:
                user = User(email, identity.name, NO_PASSWORD, is_verified=True)
                work.users.add(user)
                work.outbox.add(_welcome(user))
            elif not user.is_active:
                raise InvalidCredentials("code")
            elif not user.is_verified:
                # Whoever registered with this address has not shown that it is theirs.
                user.is_verified = True
                user.password_hash = NO_PASSWORD
                work.users.save(user)
                work.outbox.add(_welcome(user))
        return self._open_session(user)

    def _open_session(self, user: User) -> Session:
        session = Session(user.id, secrets.token_urlsafe())
        self._cache.set(_session_key(session.access_token), str(user.id), ttl=SESSION_SECONDS)
        return session

    def user_of(self, access_token: str) -> User:
        """The user who is logged in with a token.

        Raises:
            InvalidCredentials: nobody is.
        """
        user_id = self._cache.get(_session_key(access_token))
        if user_id is None:
            raise InvalidCredentials("access token")
        with self._database.begin() as work:
            user = work.users.get(UUID(user_id))
        if not user.is_active:
            raise InvalidCredentials("access token")
        return user


def _welcome(user: User) -> Event:
    return Event("user_welcomed", str(user.id), {"email": user.email, "name": user.name})


def _verification_key(user_id: UUID) -> str:
    return f"verification_token:{user_id}"


def _session_key(access_token: str) -> str:
    return f"session:{access_token}"
