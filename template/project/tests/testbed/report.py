"""What a user sees of the testbed during a run and below its failures."""

import os
import re
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TextIO

import pytest

from . import engine
from .dependency import known
from .run import Run, Server
from .sources import Source, Unavailable
from .testbed import Testbed

LOG_LINES = 10
LOG_WIDTH = 200
SUMMARY_WIDTH = 200
"""Columns of the summary where no terminal sets a width: a name and its reason need more than 80."""
PROGRESS_AFTER = 1.0
"""Seconds of waiting before the user is told. Embedded servers take less."""
PROGRESS_INTERVAL = 0.2

Hook = Generator[None, object, object]


def widen_summary(reporter: pytest.TerminalReporter) -> None:
    """Make room for the reason of a failure behind the name of its test."""
    if not reporter.isatty and "COLUMNS" not in os.environ:
        reporter.config.get_terminal_writer().fullwidth = SUMMARY_WIDTH


def nothing_ran(config: pytest.Config) -> str:
    """Return why no test was selected and how to include more; empty if no option left any out."""
    layers, names = config.option.markexpr, config.option.keyword
    options = [f"-m {layers!r}"] * bool(layers) + [f"-k {names!r}"] * bool(names)
    if not options:
        return ""
    line = f"no test ran: none matches {' '.join(options)}"
    return f'{line}; add -m "" to include the tests of every layer' if layers else line


class LogPositions:
    """Where in the servers' logs the current test begins."""

    def __init__(self, run: Run, names: list[str]) -> None:
        self._run = run
        self._since = datetime.now(UTC).isoformat()
        self._sizes = {name: _size(run, name) for name in names}

    def problems(self, name: str) -> str:
        """Return the warnings and errors that a server logged since then, the last lines of many."""
        server = self._run.find(name)
        if server is None or server.error:
            return ""
        text = self._logged(server)
        pattern = re.compile(known()[name].log_problem)
        lines = [line.rstrip() for line in text.splitlines() if pattern.search(line)]
        shown = [
            line if len(line) <= LOG_WIDTH else f"{line[: LOG_WIDTH - 1]}…"
            for line in lines[-LOG_LINES:]
        ]
        if left_out := len(lines) - len(shown):
            shown[0] = f"({left_out + 1} more lines before these)"
        return "\n".join(shown)

    def _logged(self, server: Server) -> str:
        """Return what a server logged since then, but nothing of its start."""
        if server.project:
            since = max(self._since, datetime.fromtimestamp(server.ready, UTC).isoformat())
            return engine.log(server.project, known()[server.name].service, "--since", since)
        file = self._run.folder / f"{server.name}.log"
        if not file.exists():
            return ""
        with file.open("rb") as log:
            log.seek(max(self._sizes[server.name], server.log_size))
            return log.read().decode(errors="replace")


class Progress(threading.Thread):
    """Shows which servers a run waits for, in the line below the one that pytest writes.

    It writes to the terminal itself, so it is never in captured output.
    """

    def __init__(self, config: pytest.Config, testbed: Testbed) -> None:
        super().__init__(name="progress", daemon=True)
        self._config = config
        self._testbed = testbed
        self._over = threading.Event()
        self._writing = threading.Lock()
        self._terminal: TextIO | None = None
        self._shown = ""

    def run(self) -> None:
        since = 0.0
        while not self._over.wait(PROGRESS_INTERVAL):
            names = awaited(self._testbed.run)
            since = (since or time.monotonic()) if names else 0.0
            seconds = time.monotonic() - since
            with self._writing:
                if not names:
                    self._erase()
                elif seconds >= PROGRESS_AFTER:
                    if not self._open():
                        return
                    servers = describe(self._testbed.sources, names)
                    self._show(f"waiting for {servers} {seconds:.0f} s")

    def _open(self) -> bool:
        """Open the terminal, if there is one and a person looks at it."""
        if self._terminal:
            return True
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or not reporter.isatty or "CI" in os.environ:
            return False
        try:
            self._terminal = Path("/dev/tty").open("w")  # noqa: SIM115
        except OSError:
            return False
        return True

    def _show(self, text: str) -> None:
        assert self._terminal is not None
        if text != self._shown:
            columns = os.get_terminal_size(self._terminal.fileno()).columns or 80
            # Have a line below, write it, and go back to where pytest writes on.
            self._write(f"\x1b[K\x1bD\x1b[A\x1b7\x1b[B\r{text[: columns - 1]}\x1b[K\x1b8")
            self._shown = text

    def _erase(self) -> None:
        if self._shown:
            self._write("\x1b[K\x1b7\x1b[B\r\x1b[K\x1b8")
            self._shown = ""

    def _write(self, text: str) -> None:
        assert self._terminal is not None
        self._terminal.write(text)
        self._terminal.flush()

    def stop(self) -> None:
        self._over.set()
        self.join()
        with self._writing:
            self._erase()
            if self._terminal:
                self._terminal.close()
                self._terminal = None

    @contextmanager
    def _away(self) -> Iterator[None]:
        """Have the line away while pytest writes."""
        with self._writing:
            self._erase()
            yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Hook:
        with self._away():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self) -> Hook:
        with self._away():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self) -> Hook:
        with self._away():
            return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self.stop()


def awaited(run: Run) -> list[str]:
    """Return the servers that a process of a run waits for."""
    names = sorted(path.stem for path in run.folder.glob("*.awaited"))
    return [name for name in names if run.find(name) is None]


def describe(sources: Mapping[str, Source | Unavailable], names: list[str]) -> str:
    """Return which servers are waited for, and where they come from."""

    def origin(name: str) -> str:
        source = sources[name]
        if not isinstance(source, Source):
            return ""
        # The source is of the beginning: an image may have come since then.
        if source.detail.endswith(engine.TO_BE_PULLED):
            image = source.detail.removesuffix(engine.TO_BE_PULLED).rpartition(", ")[2]
            if not engine.has_image(image):
                return f"{source.name}: pulling {image}"
        return source.name

    groups = groupby(sorted(names, key=origin), origin)
    return ", ".join(f"{', '.join(group)} ({where})" for where, group in groups)


def _size(run: Run, name: str) -> int:
    path = run.folder / f"{name}.log"
    return path.stat().st_size if path.exists() else 0
