"""Refuse each connection to a server that the testbed did not hand out, before it is made.

`install` is called when the testbed's plugin loads, and nothing ends it. An audit hook sees every
socket that Python opens in this process; clients.py tells the guard of clients that open theirs in
C. Other processes are not seen. hooks.py reports what was refused.
"""

import asyncio
import contextlib
import errno
import functools
import os
import re
import signal
import socket
import sys
import threading
import weakref
from contextlib import AbstractContextManager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import pytest

from .places import (
    Place,
    covers,
    is_address,
    is_local,
    listener,
    normal,
    peer,
    show,
    socket_path,
    sockets,
)

TESTBED = Path(__file__).parents[1]
TESTS = TESTBED.parent
ROOT = TESTS.parent
PATIENCE = 1.0
"""Seconds until a client that hangs or tries again after a refusal is interrupted."""
PLUMBING = {
    "asyncio",
    "concurrent",
    "contextlib",
    "selectors",
    "socket",
    "ssl",
    "threading",
    "uvloop",
}
"""Packages that connect for another one, which is their caller."""
RUNNERS = {"__main__", "_pytest", "anyio", "pluggy", "pytest", "pytest_asyncio", "runpy", "xdist"}
"""Packages that call the tests."""
CONNECTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
LOOKS_UP = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
EVENTS = {*CONNECTS, *LOOKS_UP, "socket.bind"}
"""What the guard listens to, of https://docs.python.org/3/library/audit_events.html."""
TOOLS = {"pydevd", "_pydevd_bundle", "_pydev_bundle", "debugpy", "execnet"}
"""Debuggers and pytest-xdist, which are no part of the tests."""
ENTRY = re.compile(r"(?P<host>[\w.-]+|\[[\da-fA-F:.]+\])(:(?P<port>\d+))?")


class Phase(NamedTuple):
    """The part of a run that a connection belongs to."""

    name: str
    """Node id of a test or a collector."""
    step: str = ""
    """What it does: "setup", "fixture engine", "migrations" …"""
    unguarded: bool = False
    """Whether it may connect to anything."""
    shared: bool = False
    """Whether what it starts belongs to later tests too."""

    def __str__(self) -> str:
        return f"{self.name} ({self.step})" if self.step else self.name


class _Guard:
    """The state of this process; an audit hook is called from any thread."""

    phase = Phase("the start of pytest")
    allowed: set[Place]
    own: set[Place]
    """Servers of this process tree that were found since the last test began."""
    bound: weakref.WeakSet[socket.socket]
    refused: list[tuple[str, str]]
    """Name of the phase, and the line that says what was refused."""
    early: set[Place]
    """Where connections led that were open before the guard came."""
    watched = ""
    """Name of the test or collector that runs."""
    last = ""
    """Name of the last one, also after it."""
    hanging: threading.Event | None = None
    """Made when it is refused something, and set when it ends."""
    interrupts = False
    """Whether the main thread can be interrupted."""
    process = 0
    forked = False
    pipe: tuple[int, int]
    """What forked children are refused is read from it."""


_context: ContextVar[Phase | None] = ContextVar("phase", default=None)
"""The phase that started the task which runs."""


def install() -> None:
    """Guard this process from now on. Only the first call has an effect."""
    if _Guard.process:
        return
    from .clients import guard_clients

    _Guard.process = os.getpid()
    _Guard.allowed, _Guard.own, _Guard.refused = set(), set(), []
    _Guard.bound = weakref.WeakSet()
    _Guard.pipe = os.pipe()
    for end in _Guard.pipe:
        os.set_blocking(end, False)
    os.register_at_fork(after_in_parent=lambda: setattr(_Guard, "forked", True))
    _Guard.early = _connected()
    # SIGURG is ignored by default: unlike SIGALRM, it is no time limit's. Only the main thread may
    # set a handler, and Windows has no such signal.
    with contextlib.suppress(ValueError, AttributeError):
        if signal.getsignal(signal.SIGURG) == signal.SIG_DFL:
            signal.signal(signal.SIGURG, _interrupt)
            _Guard.interrupts = True
    # An audit hook cannot be taken away again.
    sys.addaudithook(_audit)
    _mark_threads()
    guard_clients()


def allow(host: str, port: int | None = None) -> None:
    """Let the tests connect to a host, on one port or on all of them."""
    _Guard.allowed.add((normal(host), port))


def allow_socket(path: str) -> None:
    """Let the tests connect to a Unix socket, or to all in a folder."""
    _Guard.allowed.add((normal(path), None))


def allow_entry(entry: str) -> None:
    """Allow what an entry of a list says: "host", "host:port", "[::1]:port" or "/path".

    Raises:
        ValueError: it says none of these.
    """
    if entry.startswith("/"):
        allow_socket(entry)
    elif is_address(entry):
        allow(entry)
    elif match := ENTRY.fullmatch(entry):
        allow(match["host"], int(match["port"]) if match["port"] else None)
    else:
        raise ValueError(f'"{entry}" is no "host", "host:port" or "/path/of/a/socket"')


class _During:
    """A phase for as long as a block lasts."""

    def __init__(self, phase: Phase) -> None:
        self._phase = phase

    def __enter__(self) -> None:
        self._before, _Guard.phase = _Guard.phase, self._phase
        self._token = _context.set(self._phase)

    def __exit__(self, *error: object) -> None:
        _Guard.phase = self._before
        with contextlib.suppress(ValueError):  # left in another task than entered
            _context.reset(self._token)


class Watch(_During):
    """Blame a test or a collector for the connections of a block, its threads and its tasks."""

    def __init__(self, name: str, step: str, unguarded: bool = False) -> None:
        super().__init__(Phase(name, step, unguarded))

    def __enter__(self) -> None:
        name = self._phase.name
        if _Guard.last != name:
            _Guard.own.clear()
        _Guard.watched = _Guard.last = name
        super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        _Guard.watched = ""
        _calm()


def step(name: str) -> None:
    """Say in each later refusal of the watched test that it happened during this step."""
    _calm()
    phase = Phase(_Guard.watched, name, _Guard.phase.unguarded)
    _Guard.phase = phase
    _context.set(phase)


def _calm() -> None:
    """Stop interrupting: what was refused a connection has ended."""
    if _Guard.hanging:
        _Guard.hanging.set()
        _Guard.hanging = None


def phase(step: str) -> AbstractContextManager[None]:
    """Say in each refusal of a block that it happened during this step."""
    return _During(current()._replace(step=step))


def ending() -> None:
    """Say in each later refusal that the tests were over."""
    _Guard.phase = Phase("the end of pytest")


def shared(step: str) -> AbstractContextManager[None]:
    """Blame what a block starts on the test that runs when it connects: it serves several."""
    return _During(current()._replace(step=step, shared=True))


def current() -> Phase:
    """The phase that the running code belongs to."""
    started_by = _context.get() or getattr(threading.current_thread(), "testbed_phase", None)
    return _Guard.phase if started_by is None or started_by.shared else started_by


def refusals(name: str | None = None) -> list[str]:
    """Return and forget what a test or a collector was refused, or everybody."""
    if _Guard.forked:
        with contextlib.suppress(BlockingIOError):
            for line in os.read(_Guard.pipe[0], 65536).decode().splitlines():
                culprit, _, text = line.partition("\t")
                _Guard.refused.append((culprit, text))
    if not _Guard.refused:
        return []
    found = [line for culprit, line in _Guard.refused if name in (None, culprit)]
    _Guard.refused = [entry for entry in _Guard.refused if name not in (None, entry[0])]
    return list(dict.fromkeys(found))


def early_connections() -> list[str]:
    """Return and forget connections that were made before the guard came, to nothing allowed."""
    found = [place for place in _Guard.early if not _is_allowed(place)]
    _Guard.early = set()
    return [
        f"a connection to {show(place)} was open before the testbed was loaded: import the code that "
        f"makes it later, or list it in {TESTS.name}/environment.toml, [network] allow"
        for place in found
    ]


def check(host: str, port: int | None, client: str = "") -> None:
    """Return if the running code may connect there.

    Args:
        host: a name, an address or the path of a Unix socket.
        port: None for a Unix socket.
        client: the library that connects; without it, the one that is found on the stack.

    Raises:
        pytest.fail.Exception: it may not. It is no `Exception`, so few clients try again.
        ConnectionRefusedError: nothing listens there, and nothing of the test's started to yet.
    """
    place = (normal(host), port)
    phase = current()
    if phase.unguarded or _is_allowed(place):
        return
    owner = _listener(place) if is_local(place) else "other"
    if owner == "own":
        _Guard.own.add(place)
        return
    library, line = _callers()
    if library in TOOLS:
        return
    if owner == "none" and not client:
        # What the kernel would say. A test may wait for a server that it starts, or expect this.
        message = f"nothing listens on {show(place)}; for a server of the testbed, {_ADVICE}"
        raise ConnectionRefusedError(errno.ECONNREFUSED, message)
    _refuse(phase, f"{client or library or 'a socket'} tried to connect to {show(place)}", line)


def check_name(host: str) -> None:
    """Return if the running code may look a host up; raise as `check` does."""
    name, phase = normal(host), current()
    known = {allowed for allowed, _ in _Guard.allowed}
    if phase.unguarded or is_address(name) or name in known:
        return
    library, line = _callers()
    if library not in TOOLS and name not in _own_names():
        _refuse(phase, f"{library or 'a socket'} tried to look up {name}", line)


_ADVICE = (
    f"map its variable in {TESTS.name}/environment.toml, list it there in [network] allow, "
    "or mark the test @pytest.mark.network"
)


def _refuse(phase: Phase, what: str, line: str) -> None:
    text = f"{what} from {line} during {phase}: the testbed did not hand out this server; {_ADVICE}"
    if os.getpid() == _Guard.process:
        _Guard.refused.append((phase.name, text))
    else:  # a forked child, whose memory nobody reads
        with contextlib.suppress(BlockingIOError):
            os.write(_Guard.pipe[1], f"{phase.name}\t{text}\n".encode())
    if _Guard.interrupts and _Guard.hanging is None and phase.name == _Guard.watched:
        _Guard.hanging = threading.Event()
        with contextlib.suppress(RuntimeError):  # Python is about to end
            threading.Thread(target=_hurry, args=[_Guard.hanging], daemon=True).start()
    pytest.fail(text, pytrace=False)


def _hurry(ended: threading.Event) -> None:
    """Interrupt the main thread again and again until the test that it runs has ended."""
    while not ended.wait(PATIENCE):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGURG)


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Between the steps of a test, pytest itself runs, and would end.
    while frame and frame.f_code is not _CATCHES:
        frame = frame.f_back
    if _Guard.hanging and frame:
        pytest.fail("a client did not end after it was refused a connection", pytrace=False)


_CATCHES = pytest.CallInfo.from_call.__code__
"""Where pytest catches what a step of a test or a collector raises."""


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    """Called by Python for each audit event."""
    # A test has a hundred of them, and sockets hardly any: the others have to pass fast.
    if event not in EVENTS:
        return
    if event in CONNECTS:
        connection, address = arguments[:2]
        if isinstance(address, str | bytes) and address:
            check(socket_path(address), None)
        elif isinstance(address, tuple) and _is_internet(connection):
            host, port = address[:2]
            check(host if isinstance(host, str) else host.decode(), port)
    elif event in LOOKS_UP:
        if host := arguments[0]:
            check_name(host.decode() if isinstance(host, bytes) else str(host))
    else:
        with contextlib.suppress(TypeError):  # one that cannot be referred to weakly
            _Guard.bound.add(arguments[0])  # type: ignore[arg-type]


def _mark_threads() -> None:
    """Have each thread remember what started it. Before Python 3.12 no audit event tells."""
    start = threading.Thread.start

    @functools.wraps(start)
    def start_marked(thread: threading.Thread) -> None:
        target = getattr(thread, "_target", None)
        # The threads of an executor run the work of many tests.
        if getattr(target, "__module__", "") != "concurrent.futures.thread":
            thread.testbed_phase = current()  # type: ignore[attr-defined]
        start(thread)

    threading.Thread.start = start_marked  # type: ignore[assignment, method-assign]


def _is_internet(connection: object) -> bool:
    family = getattr(connection, "family", None)
    return family in (socket.AF_INET, socket.AF_INET6)


def _is_allowed(place: Place) -> bool:
    host, port = place
    if place in _Guard.allowed or place in _Guard.own or (host, None) in _Guard.allowed:
        return True
    if port is None:
        return host[0] == "/" and (os.path.dirname(host), None) in _Guard.allowed
    if not is_address(host):
        return False
    # Sockets are told addresses. Names are looked up each time, as a name may move.
    for name, its_port in list(_Guard.allowed):
        if its_port in (None, port) and not is_address(name) and name[0] not in "/@":
            with contextlib.suppress(OSError):
                if any(host == normal(str(x[4][0])) for x in socket.getaddrinfo(name, None)):
                    return True
    return False


@functools.cache
def _own_names() -> frozenset[str]:
    name = socket.gethostname().lower()
    return frozenset((name, name.partition(".")[0], f"{name}.local"))


def _listener(place: Place) -> str:
    """Whose server listens there, as `places.listener` says. What Python bound is found at once."""
    for bound in list(_Guard.bound):
        with contextlib.suppress(OSError):
            if bound.fileno() >= 0 and covers(bound.getsockname(), place):
                return "own"
    # The workers of pytest-xdist share the servers of their controller.
    return listener(place, os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else _Guard.process)


def _connected() -> set[Place]:
    """Where the connections lead that this process has; none if a debugger made them."""
    if TOOLS & sys.modules.keys() - {"execnet"}:
        return set()
    return {place for place in map(peer, sockets()) if place}


def _callers() -> tuple[str, str]:
    """The library that connects, and the innermost line of the user's code."""
    frame: FrameType | None = sys._getframe(1)
    library = ""
    while frame:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        path = frame.f_code.co_filename
        if path.startswith(f"{TESTBED}{os.sep}"):
            pass
        elif path.startswith(f"{ROOT}{os.sep}") and "site-packages" not in path:
            return library, f"{os.path.relpath(path, ROOT)}:{frame.f_lineno}"
        elif package not in PLUMBING | RUNNERS:
            library = library or package
        frame = frame.f_back
    return library, _task() or f"thread {threading.current_thread().name}"


def _task() -> str:
    """The asyncio task that runs, which has no line of the user's on its stack."""
    with contextlib.suppress(RuntimeError):
        if task := asyncio.current_task():
            return f"task {getattr(task.get_coro(), '__qualname__', task.get_name())}"
    return ""
