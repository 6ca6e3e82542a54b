"""Places that a socket can be connected to, and who listens there."""

import contextlib
import functools
import ipaddress
import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

Place = tuple[str, int | None]
"""A host and its port; the path of a Unix socket has no port. Without one, a host stands for all of its ports."""


@functools.lru_cache(maxsize=1024)
def normal(host: str) -> str:
    """Return one spelling for each host or path: all that reaches the loopback's first address is 127.0.0.1."""
    if host.startswith("/"):
        return os.path.realpath(host)
    if host.startswith("@"):
        return host
    host = host.strip("[]").partition("%")[0].lower().rstrip(".")
    if host in ("", "localhost", "ip6-localhost", "localhost.localdomain"):
        return "127.0.0.1"
    try:
        # The second reads "127.1" and "2130706433", as clients do.
        ip = ipaddress.ip_address(host if ":" in host else socket.inet_aton(host))
    except (OSError, ValueError):
        return host
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_unspecified or (ip.version == 6 and ip.is_loopback):
        return "127.0.0.1"
    return str(ip)


def socket_path(address: str | bytes) -> str:
    """Return the path of a Unix socket; "@" begins the name of one without a file."""
    path = os.fsdecode(address)
    return "@" + path[1:] if path[0] in "\0@" else os.path.abspath(path)


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_local(place: Place) -> bool:
    return place[0].startswith(("127.", "/", "@"))


def show(place: Place) -> str:
    host, port = place
    if port is None:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def covers(bound: object, place: Place) -> bool:
    """Whether a socket that is bound to an address is reached at a place."""
    match bound:
        case (str(host), int(port), *_):
            everywhere = host in ("0.0.0.0", "::")
            return port == place[1] and (everywhere or normal(host) == place[0])
        case str() | bytes() if bound:
            return place[1] is None and normal(socket_path(bound)) == place[0]
    return False


def listener(place: Place, root: int) -> str:
    """Tell whose server listens at a place on this machine.

    Args:
        place: where a client wants to connect to.
        root: the first process of the tree that is "own".

    Returns:
        "own", "other" or "none".
    """
    for own in sockets():
        with contextlib.suppress(OSError):
            if not _has_peer(own) and covers(own.getsockname(), place):
                return "own"
    if not Path("/proc/net/tcp").exists():
        # macOS tells only root who else listens.
        return "own" if any(_listens(process, place) for process in _tree(root)) else "other"
    links = {f"socket:[{inode}]" for inode in _inodes(place)}
    if not links:
        return "none"
    return "own" if any(_has(process.pid, links) for process in _tree(root)) else "other"


def sockets() -> Iterator[socket.socket]:
    """All sockets of this process, those of C libraries too."""
    names: list[str] = []
    with contextlib.suppress(OSError):  # not on each system
        names = os.listdir("/dev/fd")
    for name in names:
        with contextlib.suppress(OSError):  # closed meanwhile
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                with socket.socket(fileno=os.dup(int(name))) as own:
                    yield own


def peer(connected: socket.socket) -> Place | None:
    """Return where a connection over IP leads."""
    if connected.family in (socket.AF_INET, socket.AF_INET6) and _has_peer(connected):
        host, port = connected.getpeername()[:2]
        return normal(host), port
    return None


def _has_peer(own: socket.socket) -> bool:
    try:
        own.getpeername()
    except OSError:
        return False
    return True


def _tree(root: int) -> Iterator["psutil.Process"]:
    import psutil

    first = psutil.Process(root)
    yield first
    yield from first.children(recursive=True)


def _listens(process: "psutil.Process", place: Place) -> bool:
    """Whether a process listens at a place, where there is no /proc."""
    import psutil

    with contextlib.suppress(psutil.Error):
        connections = process.net_connections("unix" if place[1] is None else "inet")
        return any(c.status in ("LISTEN", "NONE") and covers(c.laddr, place) for c in connections)
    return False


def _inodes(place: Place) -> Iterator[str]:
    """The inodes of all sockets that listen at a place. psutil would read these files for each process."""
    if place[1] is None:
        for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
            fields = line.split(maxsplit=7)
            if len(fields) == 8 and covers(fields[7], place):
                yield fields[6]
        return
    port = f":{place[1]:04X} "
    for table, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        with contextlib.suppress(OSError):  # no IPv6
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split(maxsplit=10) if port in line else []
                if fields and fields[3] == state:
                    host, _, number = fields[1].partition(":")
                    if covers((_decoded(host), int(number, 16)), place):
                        yield fields[9]


def _decoded(host: str) -> str:
    """An address as /proc/net writes it: words of four bytes, in the order of the machine."""
    words = (int(host[start : start + 8], 16) for start in range(0, len(host), 8))
    return str(ipaddress.ip_address(b"".join(word.to_bytes(4, sys.byteorder) for word in words)))


def _has(process: int, links: set[str]) -> bool:
    """Whether a process has one of these files open."""
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(f"/proc/{process}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{process}/fd/{descriptor}") in links:
                    return True
    return False
