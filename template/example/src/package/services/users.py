import secrets
from dataclasses import dataclass
from uuid import UUID

from ..domain import EmailTaken, Event, Identity, InvalidCredentials, NotFound, User
from ..passwords import Passwords
from ..ports import Cache, Database, IdentityProvider, Mailer, UnitOfWork

VERIFICATION_SECONDS = 24 * 60 * 60
SESSION_SECONDS = 60 * 60
SIGN_IN_SECONDS = 10 * 60
NO_PASSWORD = "!"
"""A hash that no password matches."""


@dataclass(frozen=True)
class Session:
    """A user who is logged in."""

    user_id: UUID
    access_token: str


@dataclass(frozen=True)
class SignIn:
    """A sign-in at the identity provider that has begun."""

    state: str
    """Proves who began it: the person's browser keeps it, and shows it with the code."""
    url: str
    """Where the person logs in."""


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

    def begin_sign_in(self) -> SignIn:
        """Begin to log in at the identity provider. Raises Unavailable if it does not answer."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        url = self._identity.authorization_url(state, nonce, verifier)
        self._cache.set(_sign_in_key(state), [nonce, verifier], ttl=SIGN_IN_SECONDS)
        return SignIn(state, url)

    def sign_in(self, state: str, code: str) -> Session:
        """Log in the person to whom the identity provider gave the code. Who is new becomes a user.

        Raises:
            InvalidCredentials: state or code is wrong, used or too old, or the user is deactivated.
            EmailTaken: another user has the person's e-mail address.
            Unavailable: the identity provider does not answer.
        """
        begun = self._cache.pop(_sign_in_key(state))
        if begun is None:
            raise InvalidCredentials("state")
        nonce, verifier = begun
        identity = self._identity.identify(code, nonce, verifier)
        with self._database.begin() as work:
            user = work.users.find_by_identity(identity.issuer, identity.subject)
            if user is None:
                user = _new_user(work, identity)
            if not user.is_active:
                raise InvalidCredentials("code")
        return self._open_session(user)

    def _open_session(self, user: User) -> Session:
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
    user.issuer, user.subject = identity.issuer, identity.subject
    work.users.save(user)
    work.outbox.add(_welcome(user))
    return user


def _same(expected: str, token: str) -> bool:
    # As bytes: text that is not ASCII cannot be compared in constant time.
    return secrets.compare_digest(expected.encode(), token.encode(errors="surrogatepass"))


def _welcome(user: User) -> Event:
    return Event("user_welcomed", str(user.id), {"email": user.email, "name": user.name})


def _verification_key(user_id: UUID) -> str:
    return f"verification_token:{user_id}"


def _session_key(access_token: str) -> str:
    return f"session:{access_token}"


def _sign_in_key(state: str) -> str:
    return f"sign_in:{state}"
