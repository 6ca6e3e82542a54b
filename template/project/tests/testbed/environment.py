"""The environment variables of the code under test, as `environment.toml` maps them.

They are set before any of the user's code is imported: settings are often read at import.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from .dependency import known
from .safety import guard

TESTS = Path(__file__).parents[1]
FILE = f"{TESTS.name}/environment.toml"
PLACEHOLDER = re.compile(r"\{(\w+)\.(\w+)(?::([^{}]*))?\}")
PARTS = ("url", "host", "port", "user", "password", "database")
ACCOUNT = ("database", "user")
"""Names that a section such as `[postgres]` may give to a server of the run."""

SERVER_URL = re.compile(
    r"(?:postgres|mysql|mariadb|mongodb|redis|valkey|memcached|kafka|amqp|nats)\w*(?:\+\w+)?://",
    re.IGNORECASE,
)
SERVER_VARIABLE = re.compile(
    r"(?:\w+_)?(?:DB|DATABASE|POSTGRES(?:QL)?|MYSQL|MARIADB|MONGO(?:DB)?|REDIS|VALKEY|CACHE|KAFKA|BROKER|RABBITMQ|AMQP|NATS)"
    r"_(?:HOST|PORT|URL|URI|DSN|SERVERS?|BOOTSTRAP_SERVERS)"
)


class WiringError(Exception):
    """`environment.toml` is wrong. The message names the file and the key, in one line."""


@dataclass
class Environment:
    """What `environment.toml` says, and the addresses that are known so far."""

    mapped: dict[str, str] = field(default_factory=dict)
    """By variable, its value; `{postgres.url}` stands for a part of an address."""
    accounts: dict[str, dict[str, str]] = field(default_factory=dict)
    """By server, the names of the database and the user that the code under test has fixed."""
    urls: dict[str, str] = field(default_factory=dict)
    """By server, its address for this pytest process."""

    @classmethod
    def load(cls, root: Path) -> "Environment":
        """Read `environment.toml`; without it, each server has its usual variable.

        Raises:
            WiringError: the file is wrong.
        """
        path = root / FILE
        if not path.exists():
            return cls()._with_usual_variables()
        try:
            content = tomllib.loads(path.read_text())
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise WiringError(f"{FILE}: {error}") from error
        found = cls()
        for name, section in content.items():
            if not isinstance(section, dict):
                raise WiringError(f"{FILE}: {name} is in no section: put it below [environment]")
            found._read(name, section)
        return found._with_usual_variables()

    def _read(self, name: str, section: dict[str, Any]) -> None:
        if name == "environment":
            for variable, value in section.items():
                _check_value(variable, value)
            self.mapped = dict(section)
        elif name == "network":
            _check_keys(name, section, ("allow",))
            _allow(section.get("allow", []))
        elif name in known():
            keys = tuple(ACCOUNT) if known()[name].takes_account else ()
            _check_keys(name, section, keys)
            for key, value in section.items():
                if not isinstance(value, str) or not value:
                    raise WiringError(f'{FILE}: [{name}] {key} has to be a name, as "app"')
            self.accounts[name] = dict(section)
        else:
            sections = _join(("environment", "network", *known()))
            raise WiringError(f"{FILE}: there is no section [{name}], but {sections}")

    def _with_usual_variables(self) -> "Environment":
        """Map the usual variable of each server that no value names."""
        named = {
            match[1] for value in self.mapped.values() for match in PLACEHOLDER.finditer(value)
        }
        usual = {
            dependency.service_variable: f"{{{name}.url}}"
            for name, dependency in known().items()
            if name not in named
        }
        self.mapped = {"TESTING": "true", **usual, **self.mapped}
        return self

    def variables(self, name: str, url: str) -> dict[str, str]:
        """The variables that name a server, with the values for one at this URL."""
        urls = {**self.urls, name: url}
        return {
            variable: _filled(value, urls)
            for variable, value in self.mapped.items()
            if name in (needed := _servers(value)) and needed <= urls.keys()
        }

    def all_variables(self) -> dict[str, str]:
        """All variables whose servers have an address by now, constants included."""
        return {
            variable: _filled(value, self.urls)
            for variable, value in self.mapped.items()
            if _servers(value) <= self.urls.keys()
        }

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Set the variables, and remove all others that name a server, as long as the block lasts."""
        before = dict(os.environ)
        try:
            for variable, value in before.items():
                if names_a_server(variable, value):
                    del os.environ[variable]
            os.environ.update(self.all_variables())
            yield
        finally:
            restore(before)


@contextmanager
def changed(variables: Mapping[str, str]) -> Iterator[None]:
    """Set some variables as long as the block lasts."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in variables.items():
            patch.setenv(variable, value)
        yield


def restore(environment: Mapping[str, str]) -> None:
    """Give the process the variables that it had before."""
    for variable in os.environ.keys() - environment.keys():
        del os.environ[variable]
    for variable, value in environment.items():
        if os.environ.get(variable) != value:
            os.environ[variable] = value


def names_a_server(variable: str, value: str) -> bool:
    """Whether code under test could find a server, a real one perhaps, by this variable."""
    if variable.startswith("TEST_"):
        return False  # a server for tests
    dependencies = known().values()
    if any(variable == each.port_variable for each in dependencies):
        return False  # docker-compose.test.yml reads it
    return (
        any(
            variable == each.service_variable or re.fullmatch(each.client_variables, variable)
            for each in dependencies
        )
        or bool(SERVER_VARIABLE.fullmatch(variable))
        or bool(SERVER_URL.match(value))
    )


def _servers(value: str) -> set[str]:
    return {match[1] for match in PLACEHOLDER.finditer(value)}


def _filled(value: str, urls: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: _part(match[1], urls[match[1]], match[2], match[3]), value)


def _part(name: str, url: str, part: str, driver: str | None) -> str:
    if part == "url":
        return url if driver is None else f"{driver}://{url.partition('://')[2]}"
    # Kafka's address has no scheme, and may have several brokers.
    parts = urlsplit(url if "://" in url else f"//{url.partition(',')[0]}")
    found = {
        # A Unix socket has no place of its own in a URL.
        "host": parts.hostname or known()[name].address(url).hosts[0][0],
        "port": parts.port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path.lstrip("/")),
    }
    return str(found[part] or "")


def _check_value(variable: str, value: object) -> None:
    if not isinstance(value, str):
        raise WiringError(f'{FILE}: {variable} has to be a string, such as "{value}"')
    for match in PLACEHOLDER.finditer(value):
        name, part, driver = match.groups()
        if name not in known():
            raise WiringError(
                f"{FILE}: {variable}: there is no server {name}, but {_join(known()) or 'none'}"
            )
        if part not in PARTS:
            raise WiringError(f"{FILE}: {variable}: {name} has no part {part}, but {_join(PARTS)}")
        if driver is not None and part != "url":
            raise WiringError(f"{FILE}: {variable}: only {{{name}.url}} takes a driver")


def _check_keys(name: str, section: Mapping[str, object], allowed: tuple[str, ...]) -> None:
    for key in section:
        if key not in allowed:
            what = f"it has {_join(allowed)}" if allowed else "it takes none"
            raise WiringError(f"{FILE}: [{name}] has no key {key}: {what}")


def _allow(entries: object) -> None:
    """Let the tests connect to these besides the servers of the testbed."""
    if not isinstance(entries, list):
        raise WiringError(f'{FILE}: [network] allow has to be a list, such as ["127.0.0.1:5000"]')
    for entry in entries:
        try:
            guard.allow_entry(str(entry))
        except ValueError as error:
            raise WiringError(f"{FILE}: [network] allow: {error}") from error


def _join(words: Iterable[str]) -> str:
    return ", ".join(words)
