"""Ends a run whose server no longer answers: its clients might wait for ever."""

import threading
import time
from collections.abc import Callable

from .dependency import known
from .processes import NotReady
from .run import Run
from .testbed import allow

CHECKS = 4
"""How often a server is asked before it is given up."""


class Watch(threading.Thread):
    """Asks each server of a run now and then, as a container may be paused or an engine end."""

    def __init__(self, run: Run, timeout: float, end: Callable[[str], None]) -> None:
        super().__init__(name="watch", daemon=True)
        self._run = run
        self._timeout = timeout
        self._end = end
        self._over = threading.Event()

    def run(self) -> None:
        answered: dict[str, float] = {}
        while not self._over.wait(self._timeout / CHECKS):
            for name, dependency in known().items():
                server = self._run.find(name)
                if server is None or server.error:
                    continue
                if name not in answered:
                    # Of an xdist run, this process has asked for no server itself.
                    allow(dependency, server.url)
                now = time.monotonic()
                last = answered.setdefault(name, now)
                try:
                    dependency.check(server.url)
                    answered[name] = now
                except NotReady as error:
                    if now - last >= self._timeout and not self._over.is_set():
                        reason = " ".join(str(error).split())
                        self._end(f"{name}: no answer for {self._timeout:g} s: {reason}")

    def stop(self) -> None:
        """Do not look any longer."""
        self._over.set()
