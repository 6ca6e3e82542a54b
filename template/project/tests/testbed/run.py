"""The folder that all processes of one pytest run share: locks, addresses and logs.

A run is alive as long as one of its processes holds `run.lock`. The kernel lets go of a
lock when its process ends, however it ends, so a folder whose lock is free is a dead run's.

Only this user can read what is in the folder: addresses have passwords in them.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

SHARED_MEMORY = Path("/dev/shm")
ROOM_NEEDED = 512 * 1024 * 1024


@dataclass(frozen=True)
class Server:
    """A server that is ready, or that could not be had."""

    name: str
    source: str
    url: str = field(default="", repr=False)
    error: str = ""
    project: str = ""
    """Compose project of its container, if it has one."""
    started: float = 0.0
    """Seconds from the request until its program or container ran; 0 where it ran before."""
    seconds: float = 0.0
    """From the request to the first answer to a client."""
    ready: float = 0.0
    """When a server of this run answered its first client, as `time.time()`."""
    log_size: int = 0
    """Bytes that an embedded server had logged by then."""
    passed_over: list[str] = field(default_factory=list)
    """The sources that were tried before, each with the reason why it is not used."""

    @property
    def outlives_the_run(self) -> bool:
        return self.source in ("external", "running")


def write(path: Path, text: str) -> None:
    """Write a file that only this user can read; a reader sees all of it or none."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with open(partial, "w", opener=private) as file:
        file.write(text)
    partial.rename(path)


def private(path: str, flags: int) -> int:
    """Open a file for `open`: if it is new, only this user can read it."""
    return os.open(path, flags, 0o600)


def open_lock(path: Path) -> IO[str]:
    """Open a file to lock, and make it if need be."""
    return open(path, "a", opener=private)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that no other process holds, and wait for it as long as needed."""
    with open_lock(path) as file:
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


def homes() -> list[Path]:
    """Return this user's folders for runs, the best first. Only lock files stay in them.

    Raises:
        PermissionError: there is none.
    """
    name = f"testbed-{os.getuid()}"
    places = [SHARED_MEMORY / name, Path(tempfile.gettempdir()) / name]
    found = [folder for folder in dict.fromkeys(places) if _is_own(folder)]
    # Somebody else may have made folders of these names: nobody can in a home folder.
    if found or _is_own(last := Path(os.path.expanduser("~")) / f".{name}"):
        return found or [last]
    raise PermissionError(f"set TMPDIR to a folder of your own: {places[-1]} is not yours")


def _is_own(folder: Path) -> bool:
    """Make a folder, and return whether it is this user's and closed to others."""
    try:
        folder.mkdir(exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return False
        # A server that root starts as another user passes through this folder to its own.
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    except OSError:
        return False
    return True


def home() -> Path:
    """Return the folder for a new run: in memory where there is room."""
    found = homes()
    roomy = (folder for folder in found if shutil.disk_usage(folder).free >= ROOM_NEEDED)
    return next(roomy, found[-1])


def sweep_lock() -> Path:
    """Return the lock that is held while a run is made or removed: one for all homes."""
    return homes()[0] / "sweep.lock"


def runs_of(root: Path) -> list["Run"]:
    """All runs of a checkout that left a folder, alive or not."""
    # The dot is before the name of a server: its folder may be all that is left of a run.
    folders = {
        path.with_name(path.name.partition(".")[0])
        for home in homes()
        for path in home.glob(f"{_checkout(root)}-*")
    }
    return [Run(folder) for folder in sorted(folders)]


def _checkout(root: Path) -> str:
    return hashlib.sha256(bytes(root)).hexdigest()[:12]


class Run:
    """One run of pytest, as each of its processes sees it.

    In its folder are, for each server:

    <name>.requested     which sources the supervisor is to try, and the port
    <name>.server        what became of it: a `Server`
    <name>.log           what its embedded program writes
    <name>-<port>/       the data of that program; beside the folder if another user runs it
    <name>.leftovers     what has to be removed from it if it outlives the run

    and for all of them:

    run.lock             held by each pytest process of the run
    supervisor.lock      held by the supervisor; supervisor.session and supervisor.log are its own too
    sources.json         how each server is provided
    password             of all servers that the run starts
    unavailable          why an xdist worker has no server
    <project>.project    marks a Compose project that has to be removed
    problems             what could not be removed

    Other `.lock` and `.done` files say who does something, and that it was done.
    """

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
        with locked(sweep_lock()):
            name = f"{_checkout(root)}-{name}"
            # Another worker may have chosen a home before: they all have to be in one.
            made = (home / name for home in homes() if (home / name).exists())
            run = cls(next(made, home() / name))
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
    def supervisor_lock(self) -> Path:
        """Held by the supervisor, if there is one, until all that it started is gone."""
        return self.folder / "supervisor.lock"

    @property
    def supervisor_log(self) -> Path:
        return self.folder / "supervisor.log"

    @property
    def problems(self) -> Path:
        """What could not be removed at the end of the run, in lines."""
        return self.folder / "problems"

    @property
    def session(self) -> Path:
        """Number of the supervisor's session, in which every program stays that it starts."""
        return self.folder / "supervisor.session"

    def data(self, name: str = "*") -> list[Path]:
        """Return the folders of embedded servers; another user than the run's has his beside it."""
        beside = self.folder.parent.glob(f"{self.folder.name}.{name}")
        return [path for path in (*self.folder.glob(name), *beside) if path.is_dir()]

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
        self._alive = open_lock(self.lock)
        fcntl.flock(self._alive, fcntl.LOCK_SH)

    def leave(self) -> None:
        while self._claims:
            self._claims.pop().close()
        if self._alive is not None:
            self._alive.close()
            self._alive = None

    def request(self, name: str, wanted: Mapping[str, Any]) -> None:
        """Ask the supervisor for a server; only the first request counts."""
        path = self.folder / f"{name}.requested"
        if not path.exists():
            write(path, json.dumps(wanted))

    def requests(self) -> dict[str, dict[str, Any]]:
        """By server, what the supervisor was asked for."""
        found = self.folder.glob("*.requested")
        return {path.stem: json.loads(path.read_text()) for path in found}

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

    @contextlib.contextmanager
    def once(self, name: str) -> Iterator[bool]:
        """A block that one process of the run enters with True, and all others, after it, with False."""
        mark = self.folder / f"{name}.done"
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
        folder = homes()[0] if server.outlives_the_run else self.folder
        key = hashlib.sha256(server.url.encode()).hexdigest()[:12]
        for number in numbers:
            file = open_lock(folder / f"claim-{key}-{number}.lock")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
            else:
                self._claims.append(file)
                return number
        raise LookupError("all are taken")
