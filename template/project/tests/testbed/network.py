"""No test reaches the real network unless it is marked `network`.

The fixture `loopback_only` watches over a test; tests/conftest.py asks for it, and so do the
doubles in tests/fixtures/. It sees every socket that Python opens in this process. It does not
see those of other processes, nor of C libraries such as libpq, whose addresses the testbed sets.
"""

import contextlib
import functools
import ipaddress
import os
import socket
import sys
from collections.abc import Generator, Iterator
from urllib.parse import urlsplit

import pytest

from .dependency import known

_reached = pytest.StashKey[list[str]]()


class _Watch:
    """The test that is watched over at the moment, and the hosts that it may reach."""

    item: pytest.Item | None = None
    allowed: frozenset[str] = frozenset()


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    """Called by Python for each event of https://docs.python.org/3/library/audit_events.html."""
    if _Watch.item is None or not event.startswith("socket."):
        return
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        # Other families than IP have no pair of host and port.
        host = address[0] if isinstance(address, tuple) else None
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if isinstance(host, str) and not _is_loopback(host) and host not in _Watch.allowed:
        _Watch.item.stash.setdefault(_reached, []).append(host)
        pytest.fail(_refusal(host), pytrace=False)


def pytest_configure() -> None:
    """Have clients ask this machine itself, where a proxy is set for everything else."""
    told = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    for variable in ("no_proxy", "NO_PROXY"):
        os.environ[variable] = ",".join(filter(None, (told, "127.0.0.1", "localhost")))


@functools.cache
def _watch_sockets() -> None:
    # Once: an audit hook cannot be taken away again.
    sys.addaudithook(_audit)


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host in ("", "localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _refusal(host: str) -> str:
    return (
        f"the test reached for {host}, beyond this machine: let a double answer, or mark the test "
        "`network` if it has to go there"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    yield
    # The code under test may have swallowed the failure, or a thread of its own had it.
    if reached := item.stash.get(_reached, []):
        pytest.fail(_refusal(reached[0]), pytrace=False)


@pytest.fixture(scope="session")
def testbed_hosts() -> frozenset[str]:
    """Names and IP addresses of the servers that the developer named for the tests."""
    hosts = set()
    for dependency in known().values():
        for address in os.environ.get(dependency.address_variable, "").split(","):
            host = urlsplit(address if "//" in address else f"//{address}").hostname
            if host and not _is_loopback(host):
                hosts.add(host)
                # A name that nobody knows is told where its server is asked for.
                with contextlib.suppress(socket.gaierror):
                    hosts |= {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    return frozenset(hosts)


@pytest.fixture
def loopback_only(request: pytest.FixtureRequest, testbed_hosts: frozenset[str]) -> Iterator[None]:
    """Fails the test if it reaches for anything beyond this machine and the servers of the testbed."""
    if not request.node.get_closest_marker("network"):
        _watch_sockets()
        _Watch.item, _Watch.allowed = request.node, testbed_hosts
    yield
    _Watch.item = None
