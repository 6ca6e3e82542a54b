"""The testbed of one run: which server each dependency gets, asked for and waited for."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from .cleanup import tear_down
from .dependency import Dependency, known
from .engine import Engine, at_published_host
from .environment import FILE, Environment, changed
from .ladder import Rung, Unavailable, choose
from .processes import NotReady, hold_port, tail
from .run import Run, Server, is_free, is_unlocked, locked, open_lock, private, write
from .safety import guard

STARTED = ("containers", "embedded")
"""Sources whose servers this run starts."""
END_SECONDS = 60.0
"""How long pytest waits at its end for the keeper to remove everything."""


class Testbed:
    """What the fixtures and hooks of one pytest process know of the run's servers."""

    __test__ = False

    def __init__(
        self,
        run: Run,
        root: Path,
        mode: str,
        timeout: float,
        environment: Environment | None = None,
        worker: str = "main",
    ) -> None:
        self.run = run
        self.root = root
        self.mode = mode
        self.timeout = timeout
        self.environment = environment or Environment()
        self.worker = worker
        self._held: list[socket.socket] = []
        self._found: set[str] = set()
        self._keeper: subprocess.Popen[bytes] | None = None

    @cached_property
    def rungs(self) -> dict[str, Rung | Unavailable]:
        """How each dependency is provided, or why it is not; found once for the whole run."""
        path = self.run.folder / "rungs.json"
        with locked(self.run.folder / "rungs.lock"):
            if not path.exists():
                engine = Engine(self.root)
                found = {
                    name: self._choose(dependency, engine) for name, dependency in known().items()
                }
                write(path, json.dumps({name: _dump(rung) for name, rung in found.items()}))
        return {name: _load(entry) for name, entry in json.loads(path.read_text()).items()}

    def _choose(self, dependency: Dependency, engine: Engine) -> Rung | Unavailable:
        try:
            rung = choose(dependency, self.mode, engine)
        except Unavailable as reason:
            return reason
        if rung.how not in STARTED:
            return rung
        # The code under test reads the address at its import, long before the server starts.
        self._held.append(held := hold_port())
        port = held.getsockname()[1]
        url = dependency.url(port, self.run.password)
        if rung.how == "containers":
            url = at_published_host(url)
        return replace(rung, url=url, port=port)

    def find_urls(self) -> None:
        """Find the addresses of all servers that can be had, for the environment."""
        for name in known():
            # The fixture that needs the server says why there is none, or which package is missing.
            with suppress(Unavailable, NotReady, LookupError, ImportError):
                self.url(name)

    def url(self, name: str) -> str:
        """Address of this process's own part of a server, which may not run yet.

        Raises:
            Unavailable: nothing provides the server.
            NotReady: the server has to be asked, and does not answer.
            LookupError: other processes have taken all parts.
        """
        urls = self.environment.urls
        if name not in self._found:
            rung = self.rungs[name]
            if isinstance(rung, Unavailable):
                raise rung
            account = self.environment.accounts.get(name, {})
            if account and rung.how not in STARTED:
                raise Unavailable(
                    f"{name}: {FILE} names a {' and a '.join(account)}, which the tests only make on a "
                    f"server that they start, and this one comes from `{rung.how}`: "
                    "use --services=containers or embedded"
                )
            allow(known()[name], rung.url)
            server = Server(name, rung.how, rung.url)
            urls[name] = known()[name].own_url(server, self.run, self.worker, account)
            self._found.add(name)
        return urls[name]

    def variables(self, name: str, url: str) -> AbstractContextManager[None]:
        """Have the variables of the code under test name a server at this address."""
        return changed(self.environment.variables(name, url))

    def start(self, names: Iterable[str]) -> None:
        """Ask for the servers of some dependencies, and return before they are ready.

        Raises:
            Unavailable: nothing provides one of them.
        """
        rungs = {name: self.rungs[name] for name in names}
        for rung in rungs.values():
            if isinstance(rung, Unavailable):
                raise rung
        with locked(self.run.folder / "start.lock"):
            for name, rung in rungs.items():
                assert isinstance(rung, Rung)
                self._request(known()[name], rung)
            if any(self.run.folder.glob("*.requested")):
                self._start_keeper()

    def _request(self, dependency: Dependency, rung: Rung) -> None:
        if rung.how not in STARTED:
            if self.run.find(dependency.name) is None:
                self.run.publish(self._existing(dependency, rung))
            return
        request = self.run.folder / f"{dependency.name}.requested"
        if request.exists():
            return
        wanted = {
            "sources": [rung.how, *rung.fallbacks],
            "passed_over": rung.passed_over,
            "port": rung.port,
        }
        write(request, json.dumps(wanted))

    def _existing(self, dependency: Dependency, rung: Rung) -> Server:
        """A server that was there before the run: it has to answer, and is left as it is."""
        url, project = rung.url, rung.project
        allow(dependency, url)
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                dependency.check(url)
                return Server(
                    dependency.name, rung.how, url, project=project, passed_over=rung.passed_over
                )
            except NotReady as error:
                last = error
            # A container that still starts is worth waiting for, an address that is wrong is not.
            if rung.how == "address" or time.monotonic() > deadline:
                message = f"{dependency.name}: {rung.detail} does not answer: {last}"
                return Server(dependency.name, rung.how, error=message)
            time.sleep(0.05)

    def start_keeper(self) -> None:
        """Have a keeper clean up after this run, whether it needs one for its servers or not."""
        with locked(self.run.folder / "start.lock"):
            self._start_keeper()

    def _start_keeper(self) -> None:
        """Start the process that starts and ends the servers of this run, once."""
        if self.run.keeper_lock.exists():
            return
        command = [
            sys.executable,
            "-m",
            f"{__package__}.keeper",
            str(self.run.folder),
            str(self.timeout),
        ]
        path = (str(self.root), os.environ.get("PYTHONPATH"))
        with (
            open_lock(self.run.keeper_lock) as lock,
            open(self.run.folder / "keeper.log", "a", opener=private) as log,
        ):
            # The lock goes to the keeper with the open file, and is free when the keeper is gone.
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._keeper = subprocess.Popen(
                command,
                cwd=self.root,
                # PYTHONSAFEPATH keeps this folder off the path of `python -m`.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
                stdin=lock,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def server(self, name: str) -> Server:
        """The server of a dependency, as soon as it is ready.

        Raises:
            Unavailable: it did not come up; the message ends with its last log lines.
        """
        self.start([name])
        # The keeper minds the time: an image that is pulled for the first time may take minutes.
        while (server := self.run.find(name)) is None:
            if is_free(self.run.keeper_lock):
                raise Unavailable(
                    f"{name}: the keeper of the servers is gone:\n{tail(self.run.folder / 'keeper.log')}"
                )
            time.sleep(0.005)
        if server.error:
            raise Unavailable(server.error)
        allow(known()[name], server.url)
        return server

    def leave(self) -> None:
        """Leave the run while other processes of it may go on."""
        self.run.leave()
        if self._keeper:
            # It has to outlive this process, and Python warns of a child that nobody waited for.
            self._keeper.returncode = 0

    def close(self) -> list[str]:
        """Leave the run as its last process: wait until all it started is gone.

        Returns:
            A line for each thing that could not be removed; the next run tries again.
        """
        # Opened first: the keeper removes the file, and holds the lock until it is gone itself.
        with open_lock(self.run.keeper_lock) as lock:
            self.run.leave()
            deadline = time.monotonic() + END_SECONDS
            while not (over := is_unlocked(lock)) and time.monotonic() < deadline:
                time.sleep(0.005)
        if not over:
            self.leave()
            return [f"the servers are still there after {END_SECONDS:g} s"]
        if self._keeper:
            self._keeper.wait()
        problems = self.run.folder / "problems"
        if problems.exists():
            return problems.read_text().splitlines()
        return tear_down(self.run) if self.run.folder.exists() else []


@contextmanager
def user_code(step: str) -> Iterator[None]:
    """Run a step of the user's code that all tests rely on, such as its migrations.

    Raises:
        Unavailable: it was refused a connection, whatever it made of that.
    """
    try:
        with guard.phase(step):
            yield
    finally:
        if refused := guard.refusals(guard.current().name):
            raise Unavailable(refused[0])


def allow(dependency: Dependency, url: str) -> None:
    """Let the tests connect to each host of a server."""
    for host, port in dependency.address(url).hosts:
        if port is None:
            guard.allow_socket(host)
        else:
            guard.allow(host, port)


def _dump(rung: Rung | Unavailable) -> dict[str, Any]:
    return asdict(rung) if isinstance(rung, Rung) else {"unavailable": str(rung)}


def _load(entry: dict[str, Any]) -> Rung | Unavailable:
    return Unavailable(entry["unavailable"]) if "unavailable" in entry else Rung(**entry)
