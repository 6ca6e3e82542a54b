"""What the testbed knows about one dependency."""

import functools
import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from . import dependencies
from .address import Address
from .processes import Launcher
from .run import Run, Server


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
    container_port: ClassVar[int]
    """Port inside the container."""
    password_variable: ClassVar[str] = ""
    """Variable that docker-compose.test.yml reads the password from and sets in the container."""
    takes_account: ClassVar[bool] = False
    """Whether environment.toml may name the database and the user of a server that the run starts."""
    client_variables: ClassVar[str] = ""
    """Pattern of variables from which clients fill in what an address lacks; the tests remove them."""
    log_problem: ClassVar[str] = r"\b(WARN(ING)?|ERROR|FATAL|PANIC)\b"
    """Pattern of the lines of its log that belong below a failed test: warnings and errors."""
    named_by: ClassVar[str] = "a database, user or host"
    """Describes `Address.names` in the message that refuses an address."""

    @property
    def service(self) -> str:
        return f"test-{self.name}"

    @abstractmethod
    def url(self, port: int, password: str) -> str:
        """Return the address of a server on a loopback port; an empty password means none."""

    def own_url(self, server: Server, run: Run, worker: str, account: Mapping[str, str]) -> str:
        """Address of the part of a server that belongs to one pytest process.

        It is known before the server runs.

        Args:
            server: the server, which may not run yet.
            run: the run of the process.
            worker: name of the process in its run.
            account: names of the database and the user, where environment.toml has them.

        Raises:
            NotReady: the server has to be asked, and does not answer.
            LookupError: other processes have taken all parts.
        """
        return server.url

    @abstractmethod
    def check(self, url: str) -> None:
        """Return if the server answers a client, raise NotReady if not."""

    @abstractmethod
    def address(self, url: str) -> Address:
        """Return what a client would connect to with `url`, in any form that clients accept.

        Raises:
            ValueError: that cannot be told; the message is one line and shows no password.
        """

    def with_database(self, url: str, name: str) -> str:
        """Return `url` with another database, wherever it names one."""
        raise NotImplementedError(f"{self.label} has no databases")

    def refusal(self, address: Address) -> str | None:
        """Return why the tests may not delete what they find at an address, None if they may."""
        if address.says_test:
            return None
        return (
            "nothing in that name says `test`. The tests delete data: name "
            f"{self.named_by} with the word `test`, such as shop_test, test-1 or ShopTest"
        )

    def embedded_program(self) -> str | None:
        """Path of a server program in an installed wheel or on PATH, None if there is none."""
        return None

    def embedded_version(self, program: str) -> str:
        """What an embedded program calls itself, with its version; empty if it does not say."""
        return ""

    def launch(self, launcher: Launcher) -> None:
        """Start `launcher.program` on `launcher.port` and return without waiting for it."""
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

    def contents(self, url: str) -> dict[str, str]:
        """What a test can leave at the address that tests get: each thing and its state."""
        return {}

    def remove_traces(self, data: Path) -> None:
        """Remove what a killed embedded server leaves outside `data`, its folder."""

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
