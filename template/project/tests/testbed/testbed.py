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
from .environment import FILE, Environment, WiringError, changed
from .processes import NotReady, hold_port, tail
from .run import Run, Server, is_free, is_unlocked, locked, open_lock, private, write
from .safety import guard
from .sources import Source, Unavailable, choose_source

STARTED = ("containers", "embedded")
"""Sources whose servers this run starts."""
END_SECONDS = 60.0
"""How long pytest waits at its end for the supervisor to remove everything."""


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
        self._supervisor: subprocess.Popen[bytes] | None = None

    @cached_property
    def sources(self) -> dict[str, Source | Unavailable]:
        """How each dependency is provided, or why it is not; found once for the whole run."""
        path = self.run.folder / "sources.json"
        with locked(self.run.folder / "sources.lock"):
            if not path.exists():
                engine = Engine(self.root)
                found = {
                    name: self._choose(dependency, engine) for name, dependency in known().items()
                }
                write(path, json.dumps({name: _dump(source) for name, source in found.items()}))
        return {name: _load(entry) for name, entry in json.loads(path.read_text()).items()}

    def _choose(self, dependency: Dependency, engine: Engine) -> Source | Unavailable:
        try:
            source = choose_source(dependency, self.mode, engine)
        except Unavailable as reason:
            return reason
        if source.name not in STARTED:
            return source
        # The code under test reads the address at its import, long before the server starts.
        self._held.append(held := hold_port())
        port = held.getsockname()[1]
        url = dependency.url(port, self.run.password)
        if source.name == "containers":
            url = at_published_host(url)
        return replace(source, url=url, port=port)

    def find_urls(self) -> None:
        """Find the addresses of all servers that can be had, for the environment.

        Raises:
            WiringError: environment.toml asks for what a server's source cannot give.
        """
        for name in known():
            # The fixture that needs the server says why there is none, or which package is missing.
            with suppress(Unavailable, NotReady, LookupError, ImportError):
                self.url(name)

    def url(self, name: str) -> str:
        """Address of this process's own part of a server, which may not run yet.

        Raises:
            Unavailable: nothing provides the server.
            WiringError: environment.toml asks for what its source cannot give.
            NotReady: the server has to be asked, and does not answer.
            LookupError: other processes have taken all parts.
        """
        urls = self.environment.urls
        if name not in self._found:
            source = self.sources[name]
            if isinstance(source, Unavailable):
                raise source
            account = self.environment.accounts.get(name, {})
            if account and source.name not in STARTED:
                raise WiringError(
                    f"{name}: {FILE} names a {' and a '.join(account)}, which the tests only make on a "
                    f"server that they start, and this one comes from `{source.name}`: "
                    "use --servers=containers or embedded"
                )
            allow(known()[name], source.url)
            server = Server(name, source.name, source.url)
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
        sources = {name: self.sources[name] for name in names}
        for source in sources.values():
            if isinstance(source, Unavailable):
                raise source
        for name, source in sources.items():
            assert isinstance(source, Source)
            # For the report of the progress.
            (self.run.folder / f"{name}.awaited").touch()
            self._request(known()[name], source)
        if self.run.requests():
            self.start_supervisor()

    def _request(self, dependency: Dependency, source: Source) -> None:
        if source.name not in STARTED:
            if self.run.find(dependency.name) is None:
                self.run.publish(self._existing(dependency, source))
            return
        wanted = {
            "sources": [source.name, *source.fallbacks],
            "passed_over": source.passed_over,
            "port": source.port,
        }
        self.run.request(dependency.name, wanted)

    def _existing(self, dependency: Dependency, source: Source) -> Server:
        """A server that was there before the run: it has to answer, and is left as it is."""
        url, project = source.url, source.project
        allow(dependency, url)
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                dependency.check(url)
                return Server(
                    dependency.name,
                    source.name,
                    url,
                    project=project,
                    passed_over=source.passed_over,
                )
            except NotReady as error:
                last = error
            # A container that still starts is worth waiting for, an address that is wrong is not.
            if source.name == "external" or time.monotonic() > deadline:
                message = f"{dependency.name}: {source.detail} does not answer: {last}"
                return Server(dependency.name, source.name, error=message)
            time.sleep(0.05)

    def start_supervisor(self) -> None:
        """Start the process that starts and ends the servers of this run, once."""
        with locked(self.run.folder / "start.lock"):
            if not self.run.supervisor_lock.exists():
                self._start_supervisor()

    def _start_supervisor(self) -> None:
        command = [
            sys.executable,
            "-m",
            f"{__package__}.supervisor",
            str(self.run.folder),
            str(self.timeout),
        ]
        path = (str(self.root), os.environ.get("PYTHONPATH"))
        with (
            open_lock(self.run.supervisor_lock) as lock,
            open(self.run.supervisor_log, "a", opener=private) as log,
        ):
            # The lock goes to the supervisor with the open file, and is free when the supervisor is gone.
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._supervisor = subprocess.Popen(
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
        # The supervisor minds the time: an image that is pulled for the first time may take minutes.
        while (server := self.run.find(name)) is None:
            if is_free(self.run.supervisor_lock):
                last = tail(self.run.supervisor_log)
                raise Unavailable(f"{name}: the supervisor of the servers is gone:\n{last}")
            time.sleep(0.005)
        if server.error:
            raise Unavailable(server.error)
        allow(known()[name], server.url)
        return server

    def leave(self) -> None:
        """Leave the run while other processes of it may go on."""
        self.run.leave()
        if self._supervisor:
            # It has to outlive this process, and Python warns of a child that nobody waited for.
            self._supervisor.returncode = 0

    def close(self) -> list[str]:
        """Leave the run as its last process: wait until all it started is gone.

        Returns:
            A line for each thing that could not be removed; the next run tries again.
        """
        # Opened first: the supervisor removes the file, and holds the lock until it is gone itself.
        with open_lock(self.run.supervisor_lock) as lock:
            self.run.leave()
            deadline = time.monotonic() + END_SECONDS
            while not (over := is_unlocked(lock)) and time.monotonic() < deadline:
                time.sleep(0.005)
        if not over:
            self.leave()
            return [f"the servers are still there after {END_SECONDS:g} s"]
        if self._supervisor:
            self._supervisor.wait()
        if self.run.problems.exists():
            return self.run.problems.read_text().splitlines()
        return tear_down(self.run) if self.run.folder.exists() else []


@contextmanager
def user_code(step: str) -> Iterator[None]:
    """Run a step of the user's code that all tests rely on, such as its migrations.

    Raises:
        Unavailable: a connection was refused, even if the code caught the error.
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


def _dump(source: Source | Unavailable) -> dict[str, Any]:
    return asdict(source) if isinstance(source, Source) else {"unavailable": str(source)}


def _load(entry: dict[str, Any]) -> Source | Unavailable:
    return Unavailable(entry["unavailable"]) if "unavailable" in entry else Source(**entry)
