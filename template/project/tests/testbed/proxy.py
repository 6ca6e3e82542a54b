"""A TCP proxy in this process: it cuts, refuses, delays, throttles or holds back what passes it."""

import asyncio
import contextlib
import functools
import os
import re
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

ADDRESS = re.compile(r"((?:[\w.+-]+://)?(?:[^/?#]*@)?)(\[[^]]+]|[^][:/?#@,]+)(?::(\d+))?([/?#].*)?")
"""What stands before the host, the host, the port, what stands after."""
CONNECT_SECONDS = 10.0
CHUNK = 65536
CHUNKS_AHEAD = 16
"""How many chunks of each direction may wait in the proxy before the sender has to."""
PIECES_PER_SECOND = 20
"""In how many pieces the bytes of a throttled connection pass."""
RESET = struct.pack("ii", 1, 0)
"""Value of SO_LINGER that makes close() send RST instead of FIN."""

Result = TypeVar("Result")
Chunks = asyncio.Queue[tuple[float, bytes | None]]
"""What one side of a connection sent and when it arrived; None where it ended."""


@dataclass(frozen=True)
class _Faults:
    delay: float = 0.0
    rate: float | None = None
    black_hole: bool = False


class TcpProxy:
    """Stands on a loopback port before a server; harmless until a fault is set.

    Faults hold for open connections and new ones, and add up until `restore`.

    Attributes:
        port: where clients connect.
        url: the server's URL, with the proxy's host and port in it.
    """

    def __init__(
        self,
        url: str,
        usual_port: int | None = None,
        announcement: Callable[[int], tuple[bytes, bytes]] | None = None,
    ) -> None:
        """Stand before the server at `url`, which has to be there.

        Args:
            url: a URL, or a host and a port.
            usual_port: the server's port if `url` has none.
            announcement: `Dependency.announcement` of a server that tells its clients where it is.

        Raises:
            ValueError: no proxy can stand before this server.
        """
        parts = ADDRESS.fullmatch(url)
        port = int(parts[3] or usual_port or 0) if parts else 0
        if parts is None or port == 0:
            raise ValueError("its address does not name one host and port")
        # A name may stand for several addresses: this finds the one that answers.
        with socket.create_connection((parts[2].strip("[]"), port), CONNECT_SECONDS) as probe:
            self._family, self._server = probe.family, probe.getpeername()
        self._listener = _bound(0)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{parts[1]}127.0.0.1:{self.port}{parts[4] or ''}"
        self._links: set[asyncio.Task[bool]] = set()
        self._faults = _Faults()
        self._changed = asyncio.Event()
        try:
            self._announcement = announcement(self.port) if announcement else (b"", b"")
        except BaseException:
            self._listener.close()
            raise
        self.restore()

    def cut(self) -> None:
        """Reset all open connections; new ones work."""
        _on_loop(self._cut())

    def refuse(self) -> None:
        """Cut, and refuse new connections."""
        _on_loop(self._refuse())

    def delay(self, seconds: float) -> None:
        """Let what the server sends arrive that much later."""
        _on_loop(self._set(replace(self._faults, delay=seconds)))

    def throttle(self, bytes_per_second: float) -> None:
        """Let no more than that pass in each direction of a connection."""
        if bytes_per_second <= 0:
            raise ValueError("throttle() takes a rate above 0; black_hole() lets nothing pass")
        _on_loop(self._set(replace(self._faults, rate=bytes_per_second)))

    def black_hole(self) -> None:
        """Accept and keep connections, but let nothing pass in either direction."""
        _on_loop(self._set(replace(self._faults, black_hole=True)))

    def restore(self) -> None:
        """End all faults; what they held back goes on."""
        _on_loop(self._restore())

    def close(self) -> None:
        """Cut, and listen no more."""
        _on_loop(self._close())

    async def _cut(self) -> None:
        # A client that still waits at the listener has a connection too, as far as it knows.
        self._accept()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def _refuse(self) -> None:
        self._shut()
        # Bound and not listening: clients are refused, and no other program gets the port.
        self._listener = _bound(self.port)
        await self._cut()

    async def _restore(self) -> None:
        self._listener.listen()
        _loop().add_reader(self._listener, self._accept)
        await self._set(_Faults())

    async def _close(self) -> None:
        self._shut()
        await self._cut()

    def _shut(self) -> None:
        if self._listener.fileno() != -1:
            _loop().remove_reader(self._listener)
            self._listener.close()

    async def _set(self, faults: _Faults) -> None:
        self._faults = faults
        self._changed.set()
        self._changed = asyncio.Event()

    def _accept(self) -> None:
        """Give each client that waits at the listener a connection to the server."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # no client waits, or nobody listens
                return
            ends = [client, socket.socket(self._family, socket.SOCK_STREAM)]
            for end in ends:
                end.setblocking(False)
            link = _loop().create_task(self._link(*ends))
            self._links.add(link)
            # Not in the task: one that is cancelled before its first step runs no code at all.
            link.add_done_callback(functools.partial(self._hang_up, ends))

    def _hang_up(self, ends: list[socket.socket], link: asyncio.Task[bool]) -> None:
        self._links.discard(link)
        complete = not link.cancelled() and link.result()
        for end in ends:
            if not complete:
                with contextlib.suppress(OSError):  # some systems forbid it once the peer is gone
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.close()

    async def _link(self, client: socket.socket, server: socket.socket) -> bool:
        """Pass on what both sides send, and return whether both came to their end."""
        complete = False
        try:
            for end in (client, server):
                # Small messages go out at once, as they do without a proxy.
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await _loop().sock_connect(server, self._server)
            questions, answers = Chunks(CHUNKS_AHEAD), Chunks(CHUNKS_AHEAD)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._receive(client, questions, _Rewriter(b"", b"")))
                group.create_task(self._send(server, questions, late=False))
                group.create_task(self._receive(server, answers, _Rewriter(*self._announcement)))
                group.create_task(self._send(client, answers, late=True))
            complete = True
        except* OSError:
            pass
        return complete

    async def _receive(self, end: socket.socket, chunks: Chunks, rewriter: "_Rewriter") -> None:
        loop = _loop()
        while data := await loop.sock_recv(end, CHUNK):
            await chunks.put((loop.time(), rewriter.feed(data)))
        await chunks.put((loop.time(), rewriter.held))
        await chunks.put((loop.time(), None))

    async def _send(self, end: socket.socket, chunks: Chunks, late: bool) -> None:
        while True:
            arrived, data = await chunks.get()
            if data is None:
                await self._turn(arrived, 0, late)
                end.shutdown(socket.SHUT_WR)
                return
            while data:
                size = await self._turn(arrived, len(data), late)
                await _loop().sock_sendall(end, data[:size])
                data = data[size:]

    async def _turn(self, arrived: float, size: int, late: bool) -> int:
        """Wait until the faults, which may change meanwhile, let something pass.

        Returns:
            How many of the bytes may.
        """
        begun = _loop().time()
        while True:
            faults, changed = self._faults, self._changed
            due = arrived + faults.delay if late else arrived
            piece = size
            if faults.rate:
                piece = min(size, max(1, int(faults.rate / PIECES_PER_SECOND)))
                due = max(due, begun + piece / faults.rate)
            left = due - _loop().time()
            if left <= 0 and not faults.black_hole:
                return piece
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if faults.black_hole else left):
                    await changed.wait()


class _Rewriter:
    """Replaces some bytes in a stream by as many others, wherever its chunks end."""

    def __init__(self, old: bytes, new: bytes) -> None:
        self._old = old
        self._new = new
        self._same = len(os.path.commonprefix([old, new]))
        self._begun = b""
        """End of the stream so far that may be the beginning of `old`."""
        self._passed = 0
        """How many bytes of it went on already: where both begin alike, nothing has to wait."""

    @property
    def held(self) -> bytes:
        """What waits for the next chunk to tell whether it is to be replaced."""
        return self._begun[self._passed :]

    def feed(self, chunk: bytes) -> bytes:
        """What may go on, now that this chunk has come."""
        if not self._old:
            return chunk
        text = self._begun + chunk
        rest = text.rpartition(self._old)[2]
        length = next(n for n in range(len(self._old) - 1, -1, -1) if rest.endswith(self._old[:n]))
        held = max(0, length - self._same)
        passing = text.replace(self._old, self._new)[self._passed : len(text) - held]
        self._begun, self._passed = self._old[:length], length - held
        return passing


def _bound(port: int) -> socket.socket:
    """A socket on a loopback port; 0 chooses one."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.setblocking(False)
    return listener


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    """The loop of all proxies of this process, which runs in a thread of its own."""
    loop = asyncio.SelectorEventLoop()
    threading.Thread(target=loop.run_forever, name="tcp-proxies", daemon=True).start()
    return loop


def _on_loop(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run_coroutine_threadsafe(work, _loop()).result()
