"""The folder that all processes of one pytest run share: locks, addresses and logs.

A run is alive as long as one of its processes holds `run.lock`. The kernel lets go of a
lock when its process ends, however it ends, so a folder whose lock is free is a dead run's.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO

SHARED_MEMORY = Path("/dev/shm")
ROOM_NEEDED = 512 * 1024 * 1024


@dataclass(frozen=True)
class Server:
    """A server that is ready, or that could not be had."""

    name: str
    how: str
    url: str = field(default="", repr=False)
    error: str = ""
    project: str = ""
    """Compose project of its container, if it has one."""
    started: float = 0.0
    """Seconds from the request until its program or container ran; 0 where it ran before."""
    seconds: float = 0.0
    """From the request to the first answer to a client."""
    passed_over: list[str] = field(default_factory=list)
    """The sources that were tried before, each with the reason why it is not used."""

    @property
    def outlives_the_run(self) -> bool:
        return self.how in ("address", "running")


def write(path: Path, text: str) -> None:
    """Write a file that only this user can read; a reader sees all of it or none."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with open(partial, "w", opener=private) as file:
        file.write(text)
    partial.rename(path)


def private(path: str, flags: int) -> int:
    """Open a file for `open`: if it is new, only this user can read it."""
    return os.open(path, flags, 0o600)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that no other process holds, and wait for it as long as needed."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_free(path: Path) -> bool:
    """Whether no living process holds the lock; also if the file is gone, with all its folder."""
    try:
        with path.open() as file:
            return is_unlocked(file)
    except FileNotFoundError:
        return True


def is_unlocked(file: IO[str]) -> bool:
    """Whether no other process holds the lock of an open file; it is then held until that is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def home() -> Path:
    """The folder for this user's runs: in memory where there is room. Only lock files stay in it."""
    base = Path(tempfile.gettempdir())
    if (
        SHARED_MEMORY.is_dir()
        and os.access(SHARED_MEMORY, os.W_OK)
        and shutil.disk_usage(SHARED_MEMORY).free >= ROOM_NEEDED
    ):
        base = SHARED_MEMORY
    folder = base / f"testbed-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(
            f"{folder} belongs to somebody else: set TMPDIR to a folder of your own"
        )
    return folder


def runs_of(root: Path) -> list["Run"]:
    """All runs of a checkout that left a folder, alive or not."""
    return [
        Run(folder) for folder in sorted(home().glob(f"{_checkout(root)}-*")) if folder.is_dir()
    ]


def _checkout(root: Path) -> str:
    return hashlib.sha256(bytes(root)).hexdigest()[:12]


class Run:
    """One run of pytest, as each of its processes sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._alive: IO[str] | None = None
        self._claims: list[IO[str]] = []

    @classmethod
    def create(cls, root: Path) -> "Run":
        """A new run of a checkout, joined."""
        return cls._join(root, secrets.token_hex(4))

    @classmethod
    def shared(cls, root: Path, uid: str) -> "Run":
        """The run of xdist workers whose controller did not load the testbed, joined."""
        return cls._join(root, uid[:8])

    @classmethod
    def _join(cls, root: Path, name: str) -> "Run":
        # No sweep may come between the folder and its lock.
        with locked(home() / "sweep.lock"):
            run = cls(home() / f"{_checkout(root)}-{name}")
            run.join()
        return run

    @property
    def id(self) -> str:
        """Short name, unique on this machine: part of the names of databases, topics and containers."""
        return self.folder.name.rpartition("-")[2]

    @property
    def lock(self) -> Path:
        return self.folder / "run.lock"

    @property
    def keeper_lock(self) -> Path:
        """Held by the keeper, if there is one, until all that it started is gone."""
        return self.folder / "keeper.lock"

    @cached_property
    def password(self) -> str:
        """The password of the servers that this run starts."""
        path = self.folder / "password"
        with locked(path.with_suffix(".lock")):
            if not path.exists():
                write(path, secrets.token_hex(16))
        return path.read_text()

    def join(self) -> None:
        """Keep the run alive until `leave`, or until this process ends."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._alive = self.lock.open("a")
        fcntl.flock(self._alive, fcntl.LOCK_SH)

    def leave(self) -> None:
        while self._claims:
            self._claims.pop().close()
        if self._alive is not None:
            self._alive.close()
            self._alive = None

    def publish(self, server: Server) -> None:
        """Tell every process of the run about a server."""
        write(self.folder / f"{server.name}.server", json.dumps(asdict(server)))

    def find(self, name: str) -> Server | None:
        """The server of a dependency, None as long as it is not ready."""
        try:
            return Server(**json.loads((self.folder / f"{name}.server").read_text()))
        except FileNotFoundError:
            return None

    def remember(self, server: Server, prefix: str) -> None:
        """Have all names with this prefix removed from a server that outlives the run."""
        record = {"name": server.name, "url": server.url, "prefix": prefix}
        write(self.folder / f"{server.name}.leftovers", json.dumps(record))

    def once(self, name: str) -> contextlib.AbstractContextManager[bool]:
        """A block that one process of the run enters with True, and all others, after it, with False."""
        return self._once(self.folder / f"{name}.done")

    @contextlib.contextmanager
    def _once(self, mark: Path) -> Iterator[bool]:
        with locked(mark.with_suffix(".lock")):
            yield not mark.exists()
            mark.touch()

    def claim(self, server: Server, numbers: Iterable[int]) -> int:
        """The first of these numbers that no other process uses with this server.

        It is taken until `leave`, or until this process ends.

        Raises:
            LookupError: all numbers are taken.
        """
        # Other runs of this user may use a server that outlives this one.
        folder = home() if server.outlives_the_run else self.folder
        key = hashlib.sha256(server.url.encode()).hexdigest()[:12]
        for number in numbers:
            file = (folder / f"claim-{key}-{number}.lock").open("a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
            else:
                self._claims.append(file)
                return number
        raise LookupError("all are taken")
