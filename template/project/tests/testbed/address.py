"""Addresses of servers, as their drivers understand them."""

import re
from dataclasses import dataclass, field

UNREADABLE = (
    "it cannot be read; in a user or a password write %40 for @, %3A for :, %2F for /, %3F for ?, "
    "%23 for # and %25 for %"
)
"""Quotes nothing of the address: what was misread may be a piece of its password."""

_TEST = re.compile(
    # A letter is [^\W\d_]. In camel case a capital begins the next word.
    r"(?<![^\W\d_])test(?![^\W\d_A-Z])|(?<![A-Z])Test(?![^\W\d_A-Z])|(?<![^\W\d_])TEST(?![^\W\d_])"
)
_PASSWORD = re.compile(r"(//[^/?#@:]*:)[^/?#@]+@")


class Url(str):
    """A URL whose `repr()`, which pytest prints below a failed test, has no password."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(without_password(self))


@dataclass(frozen=True)
class Address:
    """Where a driver would connect to, and as whom. `str()` shows it to people, without password."""

    url: Url = field(repr=False)
    """The address in one form: it names each part once, and every client reads it alike."""
    hosts: tuple[tuple[str, int | None], ...]
    """Host and port of each server that the driver may try; a Unix socket is ("/path", None)."""
    database: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    names: tuple[str, ...] = ()
    """Parts that may say that the server is for tests."""

    def __str__(self) -> str:
        return without_password(self.url)

    @property
    def says_test(self) -> bool:
        return any(says_test(name) for name in self.names)


def says_test(name: str) -> bool:
    """Return whether `test` is a word of a name: test_1, shop-test or ShopTest, not latest or testimonials."""
    return bool(_TEST.search(name))


def without_password(url: str) -> str:
    """Return an `Address.url` without its password and options, some of which are secrets too."""
    return _PASSWORD.sub(r"\1***@", url).partition("?")[0]
