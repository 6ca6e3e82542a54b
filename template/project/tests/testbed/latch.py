"""The latch: nothing is emptied or dropped unless this run started it or its name says "test"."""

import re
from urllib.parse import urlsplit

from .dependency import Dependency

# A word that begins so: "latest" and "contest" say something else.
SAYS_TEST = re.compile(r"(?<![a-z])test", re.IGNORECASE)


def refusal(dependency: Dependency, url: str) -> str | None:
    """Why the tests may not use the server at `url`, None where they may."""
    if any(SAYS_TEST.search(name) for name in dependency.names(url)):
        return None
    return (
        f"{dependency.name}: {dependency.address_variable} is {_without_password(url)}, and nothing in that name says "
        f"`test`. The tests empty what they use: name {dependency.named_by} made for them."
    )


def _without_password(url: str) -> str:
    password = urlsplit(url).password
    return url.replace(f":{password}@", ":***@") if password else url
