"""Embedded servers: programs of this machine, started as plain processes."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from .run import private

STOP_SECONDS = 10.0
UNPRIVILEGED = ("nobody", "daemon")
"""Users whom root starts servers as. They exist everywhere, and own no server's files."""
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "TZ")
"""What such a server sees of the environment, which may hold secrets of root."""


class ServerFailed(Exception):
    """A server did not come up. The message is for a person and ends with its last log lines."""


class NotReady(Exception):
    """A server does not answer its clients, or not yet."""


def hold_port() -> socket.socket:
    """Reserve a free loopback port for a server that starts later, until the socket is closed.

    Connections to the port are refused until then, and no program gets it that asks for any free
    port. A server can listen on it, as it sets SO_REUSEADDR like this socket, which never listens.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def version_text(program: str | Path) -> str:
    """What a program prints for `--version`; nothing if it does not end within 5 s."""
    try:
        command = [program, "--version"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log file, indented; what to say if there are none."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return last_lines(text, log.parent, lines)


def last_lines(text: str, folder: Path, lines: int = 20) -> str:
    """Return the last lines of a log, indented, and say so if the disk of its folder is full."""
    last = text.splitlines()[-lines:] or ["(it wrote no log)"]
    if full := no_space(folder):
        last.append(full)
    return "\n".join(f"    {line}" for line in last)


def no_space(folder: Path) -> str:
    """Return what to do about a full disk, nothing where it has room."""
    # A full disk leaves no trace in a log on it.
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if shutil.disk_usage(existing).free > 1024 * 1024:
        return ""
    return f"No space is left on the disk of {folder}: free some, or set TMPDIR to another disk."


@dataclass
class Launcher:
    """Where one embedded server lives, and how it is started there."""

    name: str
    folder: Path
    port: int
    password: str
    program: str = ""
    """The dependency's `embedded_program`."""
    user: str | None = None
    """Who runs the server, if that is not this user: see `drop_root`."""
    process: subprocess.Popen[bytes] | None = None
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def data(self) -> Path:
        """A folder for the server's files, removed with the run; only the server's user may enter."""
        # A second attempt has another port, and needs an empty folder.
        name = f"{self.name}-{self.port}"
        path = self.folder / name
        if self.user:
            # No other user can enter the folder of the run.
            path = self.folder.with_name(f"{self.folder.name}.{name}")
        path.mkdir(mode=0o700, exist_ok=True)
        self.give(path)
        return path

    def drop_root(self) -> None:
        """Have the server run as a user without rights if this process is root's.

        Raises:
            ServerFailed: root cannot become any such user.
        """
        if os.geteuid() != 0:
            return
        for self.user in UNPRIVILEGED:
            if self.can_run(["true"]):
                return
        raise ServerFailed(
            f"root may not run it, and cannot become {' or '.join(UNPRIVILEGED)}: "
            "run the tests as another user"
        )

    def can_run(self, command: Sequence[str | Path]) -> bool:
        """Whether the server's user can run a command."""
        try:
            done = subprocess.run(
                command, capture_output=True, cwd="/", check=False, **self._identity()
            )
        except (OSError, KeyError):
            return False
        return done.returncode == 0

    def give(self, path: Path) -> None:
        """Make the server's user the owner of a file."""
        if self.user:
            shutil.chown(path, self.user)

    def prepare(self, command: Sequence[str | Path], input: bytes = b"") -> None:
        """Run a command to its end, such as initdb.

        Raises:
            ServerFailed: the command failed; the message ends with its output.
        """
        done = subprocess.run(
            command,
            input=input,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            check=False,
            **self._identity(),
        )
        if done.returncode:
            output = last_lines(done.stdout.decode(errors="replace"), self.folder)
            raise ServerFailed(f"{command[0]} failed with exit code {done.returncode}:\n{output}")

    def spawn(
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Start the server itself, and remember how to stop it."""
        self.stop_signal = stop_signal
        identity = self._identity()
        with open(self.log, "ab", opener=private) as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                **{**identity, "env": {**identity["env"], **(environment or {})}},
            )

    def _identity(self) -> dict[str, Any]:
        """Return who runs a command and what it inherits, for `subprocess`."""
        if self.user is None:
            return {"env": os.environ, "umask": 0o077}
        entry = pwd.getpwnam(self.user)
        env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        # Without the last two, it would keep the groups of root.
        return {
            "env": env,
            "umask": 0o077,
            "user": entry.pw_uid,
            "group": entry.pw_gid,
            "extra_groups": [],
        }

    def wait(self, check: Callable[[], None], timeout: float) -> None:
        """Wait until `check` no longer raises NotReady.

        Raises:
            ServerFailed: the program ended, or did not answer within `timeout` seconds.
        """
        assert self.process is not None, "spawn() comes first"
        deadline = time.monotonic() + timeout
        pause = 0.002
        while True:
            try:
                check()
                return
            except NotReady as error:
                last = error
            if (code := self.process.poll()) is not None:
                raise ServerFailed(
                    f"its program ended with exit code {code}. Its log:\n{tail(self.log)}"
                )
            if time.monotonic() > deadline:
                raise ServerFailed(
                    f"not ready after {timeout:g} s ({last}). Its log:\n{tail(self.log)}"
                )
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)


def stop(launchers: Sequence[Launcher]) -> None:
    """End servers that this process started, all at once; kill what does not obey."""
    started = [(each.process, each.stop_signal) for each in launchers if each.process]
    for process, stop_signal in started:
        process.send_signal(stop_signal)
    deadline = time.monotonic() + STOP_SECONDS
    for process, _ in started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))


def end_session(session: int, folder: Path) -> None:
    """Kill the programs of a run that are left in the session of its supervisor.

    Every program that a supervisor starts is born in its session, so none can be missed, whatever
    was killed when. A number may come back as that of another session: there, nothing knows
    the folder of the run.

    Raises:
        ServerFailed: one does not end.
    """
    deadline = time.monotonic() + STOP_SECONDS
    while found := list(_members(session, folder)):
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                for each in [*process.children(recursive=True), process]:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        each.kill()
        psutil.wait_procs(found, timeout=STOP_SECONDS)
        if time.monotonic() > deadline:
            raise ServerFailed(f"process {found[0].pid} does not end")


def _members(session: int, folder: Path) -> Iterator[psutil.Process]:
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(pid) == session and pid != os.getpid():
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE and _knows(process, folder):
                    yield process


def _knows(process: psutil.Process, folder: Path) -> bool:
    """Whether a process names a folder in its arguments or environment, or works in it."""
    looks: list[Callable[[], object]] = [process.cmdline, process.cwd, process.environ]
    for look in looks:
        # The environment of another user's process is closed even to root in many containers.
        with contextlib.suppress(psutil.AccessDenied):
            if str(folder) in str(look()):
                return True
    return False
