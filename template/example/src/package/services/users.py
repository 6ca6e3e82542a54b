import secrets
from dataclasses import dataclass
from uuid import UUID

from ..domain import EmailTaken, Event, InvalidCredentials, NotFound, User
from ..passwords import Passwords
from ..ports import Cache, Database, Mailer

VERIFICATION_SECONDS = 24 * 60 * 60
SESSION_SECONDS = 60 * 60


@dataclass(frozen=True)
class Session:
    """A user who is logged in."""

    user_id: UUID
    access_token: str


class UserService:
    def __init__(
        self, database: Database, cache: Cache, mailer: Mailer, passwords: Passwords
    ) -> None:
        self._database = database
        self._cache = cache
        self._mailer = mailer
        self._passwords = passwords

    def register(self, email: str, password: str, name: str) -> User:
        """Create a user who still has to verify the e-mail address.

        Until somebody has verified it, an address is nobody's: who registers with it again replaces
        password and token, so a token never verifies the password of another registration.

        Raises:
            EmailTaken: another user has it.
        """
        password_hash = self._passwords.hash(password)
        with self._database.begin() as work:
            user = work.users.find_by_email(email.lower())
            if user is None:
                user = User(email.lower(), name, password_hash)
                work.users.add(user)
            else:
                # Nobody verifies it in the meantime.
                user = work.users.get_for_update(user.id)
                if user.is_verified:
                    raise EmailTaken(email)
                user.name, user.password_hash = name, password_hash
                work.users.save(user)
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
        with self._database.begin() as work:
            try:
                # Nobody registers with the address again in the meantime.
                user = work.users.get_for_update(user_id)
            except NotFound:
                raise InvalidCredentials("verification token") from None
            expected = self.verification_token(user_id)
            if user.is_verified or expected is None or not _same(expected, token):
                raise InvalidCredentials("verification token")
            user.is_verified = True
            work.users.save(user)
            work.outbox.add(welcome(user))
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
        return self.open_session(user)

    def open_session(self, user: User) -> Session:
        """Log in a user who has shown who they are."""
        session = Session(user.id, secrets.token_urlsafe())
        self._cache.set(_session_key(session.access_token), str(user.id), ttl=SESSION_SECONDS)
        return session

    def current_user(self, access_token: str) -> User:
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


def _same(expected: str, token: str) -> bool:
    # As bytes: text that is not ASCII cannot be compared in constant time.
    return secrets.compare_digest(expected.encode(), token.encode(errors="surrogatepass"))


def welcome(user: User) -> Event:
    """What is told of a user whose e-mail address is verified."""
    return Event("user_welcomed", str(user.id), {"email": user.email, "name": user.name})


def _verification_key(user_id: UUID) -> str:
    return f"verification_token:{user_id}"


def _session_key(access_token: str) -> str:
    return f"session:{access_token}"
