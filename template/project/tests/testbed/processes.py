"""Embedded servers: programs of this machine, started as plain processes."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

STOP_SECONDS = 10.0


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


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log file, indented; what to say if there are none."""
    text = log.read_text(errors="replace") if log.exists() else ""
    last = text.splitlines()[-lines:] or ["(it wrote no log)"]
    return "\n".join(f"    {line}" for line in last)


@dataclass
class Launcher:
    """Where one embedded server lives, and how it is started there."""

    name: str
    folder: Path
    port: int
    password: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def data(self) -> Path:
        """A folder for the server's files, removed with the run."""
        path = self.folder / self.name
        path.mkdir(exist_ok=True)
        return path

    def prepare(self, command: Sequence[str | Path], user: str | None = None) -> None:
        """Run a command to its end, such as initdb; its output goes to the server's log.

        Raises:
            ServerFailed: the command failed.
        """
        with self.log.open("ab") as log:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                user=user,
                check=False,
            )
        if done.returncode:
            raise ServerFailed(
                f"{command[0]} failed with exit code {done.returncode}:\n{tail(self.log)}"
            )

    def spawn(
        self,
        command: Sequence[str | Path],
        *,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Start the server itself and write down how to end it."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                env={**os.environ, **(environment or {})},
                user=user,
                start_new_session=True,
            )
        # The time of its start tells this process from a later one with the same number.
        started = psutil.Process(self.process.pid).create_time()
        record = {"pid": self.process.pid, "started": started, "signal": int(stop_signal)}
        (self.folder / f"{self.name}.process").write_text(json.dumps(record))

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


def stop(records: Sequence[Path]) -> None:
    """End the servers written down in `records`, all at once; kill what does not obey."""
    processes = []
    for record in records:
        entry = json.loads(record.read_text())
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(entry["pid"])
            if process.create_time() == entry["started"]:
                process.send_signal(entry["signal"])
                processes.append(process)
    _, stubborn = psutil.wait_procs(processes, timeout=STOP_SECONDS)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in [*process.children(recursive=True), process]:
                each.kill()
            process.wait(STOP_SECONDS)
