"""Sign-in in memory: for unit tests."""

from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID, uuid4

from ..domain import EmailTaken, InvalidCredentials
from ..identity import Identity


class MemoryIdentities:
    def __init__(self) -> None:
        self._users: dict[tuple[str, str], UUID] = {}

    def add(self, identity: Identity, user_id: UUID) -> None:
        key = (identity.issuer, identity.subject)
        if key in self._users:
            raise EmailTaken(identity.email)
        self._users[key] = user_id

    def find(self, identity: Identity) -> UUID | None:
        return self._users.get((identity.issuer, identity.subject))


class InMemoryIdentityProvider:
    """Knows those who `log_in` at its URL, each for one use."""

    def __init__(self) -> None:
        self._codes: dict[str, tuple[Identity, str, str]] = {}

    def authorization_url(self, state: str, nonce: str, verifier: str) -> str:
        return f"memory:?{urlencode({'state': state, 'nonce': nonce, 'verifier': verifier})}"

    def log_in(self, url: str, identity: Identity) -> str:
        """The code that a person gets who logs in at the URL."""
        query = dict(parse_qsl(urlsplit(url).query))
        code = uuid4().hex
        self._codes[code] = (identity, query["nonce"], query["verifier"])
        return code

    def identify(self, code: str, nonce: str, verifier: str) -> Identity:
        identity, *begun = self._codes.pop(code, (None, "", ""))
        if identity is None or begun != [nonce, verifier]:
            raise InvalidCredentials("code")
        return identity
