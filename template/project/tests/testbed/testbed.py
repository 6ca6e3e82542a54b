"""The testbed of one run: which server each dependency gets, asked for and waited for."""

import fcntl
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from .cleanup import tear_down
from .dependency import Dependency, known
from .engine import Engine
from .ladder import Rung, Unavailable, choose
from .processes import NotReady, tail
from .run import Run, Server, is_free, is_unlocked, locked
from .safety import guard

END_SECONDS = 60.0
"""How long pytest waits at its end for the keeper to remove everything."""


class Testbed:
    """What the fixtures and hooks of one pytest process know of the run's servers."""

    __test__ = False

    def __init__(self, run: Run, root: Path, mode: str, timeout: float) -> None:
        self.run = run
        self.root = root
        self.mode = mode
        self.timeout = timeout

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
                path.write_text(json.dumps({name: _dump(rung) for name, rung in found.items()}))
        return {name: _load(entry) for name, entry in json.loads(path.read_text()).items()}

    def _choose(self, dependency: Dependency, engine: Engine) -> Rung | Unavailable:
        try:
            return choose(dependency, self.mode, engine)
        except Unavailable as reason:
            return reason

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
            if any(self.run.folder.glob("*.want")):
                self._start_keeper()

    def _request(self, dependency: Dependency, rung: Rung) -> None:
        mark = self.run.folder / f"{dependency.name}.requested"
        if mark.exists():
            return
        mark.touch()
        if rung.how in ("containers", "embedded"):
            (self.run.folder / f"{dependency.name}.want").write_text(rung.how)
        else:
            self.run.publish(self._existing(dependency, rung))

    def _existing(self, dependency: Dependency, rung: Rung) -> Server:
        """A server that was there before the run: it has to answer, and is left as it is."""
        url, project = rung.url, rung.project
        _allow(dependency, url)
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                dependency.check(url)
                return Server(dependency.name, rung.how, url, project=project)
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
        with (
            self.run.keeper_lock.open("a") as lock,
            (self.run.folder / "keeper.log").open("a") as log,
        ):
            # The lock goes to the keeper with the open file, and is free when the keeper is gone.
            fcntl.flock(lock, fcntl.LOCK_EX)
            subprocess.Popen(
                command, cwd=self.root, stdin=lock, stdout=log, stderr=log, start_new_session=True
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
        _allow(known()[name], server.url)
        return server

    def close(self) -> None:
        """Leave the run as its last process: wait until all it started is gone."""
        # Opened first: the keeper removes the file, and holds the lock until it is gone itself.
        with self.run.keeper_lock.open("a") as lock:
            self.run.leave()
            deadline = time.monotonic() + END_SECONDS
            while not is_unlocked(lock) and time.monotonic() < deadline:
                time.sleep(0.005)
            if self.run.folder.exists():
                tear_down(self.run)


def _allow(dependency: Dependency, url: str) -> None:
    """Let the tests connect to each host of a server."""
    hosts = re.split("[/?#]", url.partition("://")[2] or url)[0].rpartition("@")[2]
    for host in hosts.split(","):
        parts = urlsplit(f"//{host}")
        # Without a port, every server of this machine would be allowed.
        if port := parts.port or dependency.container_port:
            guard.allow(parts.hostname or "localhost", port)


def _dump(rung: Rung | Unavailable) -> dict[str, str]:
    return asdict(rung) if isinstance(rung, Rung) else {"unavailable": str(rung)}


def _load(entry: dict[str, str]) -> Rung | Unavailable:
    return Unavailable(entry["unavailable"]) if "unavailable" in entry else Rung(**entry)
