"""Passwords are kept as Argon2 hashes only."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


class Passwords:
    """Hashes and verifies passwords; `hasher` sets what one hash costs."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobody = self._hasher.hash("")

    def hash(self, password: str) -> str:
        return self._hasher.hash(password)

    def verify(self, hashed: str | None, password: str) -> bool:
        """Whether the password is the right one.

        Without a hash it takes as long and is False, so that an answer's time
        does not tell which users exist.
        """
        usable = hashed if hashed and hashed.startswith("$argon2") else None
        try:
            self._hasher.verify(usable or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return usable is not None
