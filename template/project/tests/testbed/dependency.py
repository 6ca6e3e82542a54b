"""What the testbed knows about one dependency."""

import functools
import importlib
import pkgutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from . import dependencies
from .processes import Launcher


class Dependency(ABC):
    """One server that the service talks to.

    A module in `dependencies/` defines one subclass. Nothing else names it: fixtures
    ask for it by `name`, and docker-compose.test.yml calls its service `test-<name>`.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    address_variable: ClassVar[str]
    """Environment variable in which a developer names a server to use, e.g. TEST_DATABASE_URL."""
    service_variable: ClassVar[str]
    """Environment variable from which the code under test reads its address."""
    port_variable: ClassVar[str]
    """Variable that docker-compose.test.yml reads the published port from."""
    container_port: ClassVar[int | None] = None
    """Port inside the container; None where it has to equal the published one."""
    password_variable: ClassVar[str] = ""
    """Variable that docker-compose.test.yml reads the password from and sets in the container."""
    named_by: ClassVar[str] = "a database, user or host"
    """Where an address can say `test`: what `names` looks at, for the message that refuses one."""

    @property
    def service(self) -> str:
        return f"test-{self.name}"

    @abstractmethod
    def url(self, port: int, password: str) -> str:
        """Return the address of a server on a loopback port; an empty password means none."""

    @abstractmethod
    def check(self, url: str) -> None:
        """Return if the server answers a client, raise NotReady if not."""

    @abstractmethod
    def names(self, url: str) -> list[str]:
        """Names in an address that can tell a test server from a real one."""

    def embedded_program(self) -> str | None:
        """Path of a server program on PATH or in an installed wheel, None if there is none."""
        return None

    def launch(self, launcher: Launcher) -> None:
        """Start the embedded program on `launcher.port` and return without waiting for it."""
        raise NotImplementedError(f"{self.label} has no embedded server")

    def check_embedded(self, launcher: Launcher) -> None:
        """As `check`, for the program that `launch` started.

        A dependency whose client takes longer to import than its server to start asks without it.
        """
        self.check(self.url(launcher.port, launcher.password))

    def announcement(self, url: str, port: int) -> tuple[bytes, bytes]:
        """What the server at `url` tells its clients to connect to, and the same for `port`.

        Most servers tell nothing. The clients of one that does would go there, round a proxy on
        loopback `port`, so the proxy sends the second bytes, which are as many, for the first.

        Raises:
            ValueError: no proxy can stand before this server.
        """
        return b"", b""

    def remove_traces(self, data: Path) -> None:
        """Remove what a killed embedded server leaves outside `data`, its folder."""

    def contents(self, url: str) -> dict[str, str]:
        """What a test can leave at the address that tests get: each thing and its state."""
        return {}

    def discard(self, url: str, prefix: str) -> None:
        """Remove what a run made on a server that outlives it: all that begins with `prefix`.

        Raises:
            NotReady: the server does not answer, or refuses.
        """


@functools.cache
def known() -> dict[str, Dependency]:
    """Every dependency of this project by its name, in the order of the names."""
    found: dict[str, Dependency] = {}
    for module in sorted(pkgutil.iter_modules(dependencies.__path__), key=lambda m: m.name):
        importlib.import_module(f"{dependencies.__name__}.{module.name}")
    for kind in Dependency.__subclasses__():
        found[kind.name] = kind()
    return found
