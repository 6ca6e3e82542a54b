"""Failures: the proxy before a server, and the fixture and the marker that put it there."""

import importlib.util
import re
import socket
import socketserver
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pytest

from .conftest import Checkout
from .service import Outcome, Service
from .variants import TEMPLATE

PATIENCE = 30.0
"""Seconds after which a test gives up on what has to come."""
SOON = 0.05
"""Seconds in which nothing may come."""
RESET = b"reset, please"
LINGER = struct.pack("ii", 1, 0)
"""With this, close() resets a connection."""


def proxy_module() -> Any:
    """The template's, which needs nothing but the standard library."""
    path = TEMPLATE / "template" / "project" / "tests" / "testbed" / "proxy.py"
    spec = importlib.util.spec_from_file_location("testbed_proxy", path)
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


testbed = proxy_module()


class EchoServer(socketserver.ThreadingTCPServer):
    """Sends back what it gets, and remembers it."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        self.got = bytearray()
        self.lost = threading.Semaphore(0)
        super().__init__(("127.0.0.1", 0), EchoHandler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.lost.release()


class EchoHandler(socketserver.BaseRequestHandler):
    server: EchoServer

    def handle(self) -> None:
        try:
            while data := self.request.recv(65536):
                self.server.got += data
                if data == RESET:
                    self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
                    self.request.close()
                    return
                self.request.sendall(data)
        except ConnectionError:
            pass


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    with EchoServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(echo: EchoServer) -> Iterator[Any]:
    proxy = testbed.TcpProxy(f"127.0.0.1:{echo.port}")
    yield proxy
    proxy.close()


Connect = Callable[[], socket.socket]


@pytest.fixture
def connect(proxy: Any) -> Iterator[Connect]:
    """Function that returns a connection to the proxy."""
    with ExitStack() as stack:

        def connect() -> socket.socket:
            client = socket.create_connection(("127.0.0.1", proxy.port), PATIENCE)
            return stack.enter_context(client)

        yield connect


def read(client: socket.socket, count: int) -> bytes:
    """The next bytes of a connection, that many or as many as come before its end."""
    found = b""
    while len(found) < count and (data := client.recv(count - len(found))):
        found += data
    return found


def asked(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return read(client, len(data))


def assert_nothing_comes(client: socket.socket) -> None:
    client.settimeout(SOON)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(PATIENCE)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:{}",
        "redis://127.0.0.1:{}/3",
        "http://localhost:{}",
        "postgresql+psycopg://us.er:p%40ss:w@rd@127.0.0.1:{}/db?sslmode=disable&host=x:1",
    ],
)
def test_url_of_the_proxy_is_the_servers_but_for_host_and_port(echo: EchoServer, url: str) -> None:
    proxy = testbed.TcpProxy(url.format(echo.port))

    assert proxy.port != echo.port
    assert proxy.url == url.replace("localhost", "127.0.0.1").format(proxy.port)
    proxy.close()


def test_url_without_a_port_means_the_usual_one(echo: EchoServer) -> None:
    proxy = testbed.TcpProxy("redis://:secret@localhost/3", echo.port)

    assert proxy.url == f"redis://:secret@127.0.0.1:{proxy.port}/3"
    proxy.close()


def test_host_may_be_an_ipv6_address() -> None:
    with pytest.raises(OSError) as refused:
        testbed.TcpProxy("redis://[::1]:1/0")

    assert not isinstance(refused.value, socket.gaierror)


@pytest.mark.parametrize(
    "url", ["localhost", "a:1,b:2", "mongodb://a:1,b:2/db", "postgresql:///db?host=/tmp", ""]
)
def test_address_of_no_one_server_is_an_error(url: str) -> None:
    with pytest.raises(ValueError, match="one host and port"):
        testbed.TcpProxy(url)


def test_without_a_fault_all_passes_both_ways_to_the_end(connect: Connect) -> None:
    client = connect()
    data = bytes(range(256)) * 20_000

    def send() -> None:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()

    assert read(client, len(data) + 1) == data
    sender.join()


@pytest.mark.parametrize("attempt", range(20))
def test_cut_resets_connections_however_young_and_new_ones_work(
    proxy: Any, connect: Connect, attempt: int
) -> None:
    clients = [connect() for _ in range(attempt % 4)]
    for client in clients[:2]:
        assert asked(client, b"before") == b"before"

    proxy.cut()

    for client in clients:
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert asked(connect(), b"after") == b"after"


def test_cut_reaches_a_connection_that_was_not_accepted_yet(proxy: Any) -> None:
    async def connect_and_cut() -> socket.socket:
        # The loop is here meanwhile, and accepts nobody.
        client = socket.create_connection(("127.0.0.1", proxy.port), PATIENCE)
        await proxy._cut()
        return client

    with testbed._on_loop(connect_and_cut()) as client, pytest.raises(ConnectionResetError):
        client.recv(1)


def test_refused_port_is_kept_and_works_again(proxy: Any, connect: Connect) -> None:
    client = connect()
    port = proxy.port

    for _ in range(3):
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        proxy.restore()
        assert asked(connect(), b"back") == b"back"

    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert proxy.port == port


def test_delay_holds_for_an_open_connection_and_for_all_that_comes(
    proxy: Any, connect: Connect
) -> None:
    client = connect()
    assert asked(client, b"at once") == b"at once"
    proxy.delay(0.1)
    begun = time.monotonic()

    assert asked(client, b"late") == b"late"

    assert time.monotonic() - begun >= 0.1


def test_throttle_stretches_what_passes(proxy: Any, connect: Connect) -> None:
    client = connect()
    proxy.throttle(10_000)
    begun = time.monotonic()

    assert asked(client, b"x" * 1000) == b"x" * 1000

    assert time.monotonic() - begun >= 0.1
    with pytest.raises(ValueError, match="above 0"):
        proxy.throttle(0)


def test_throttled_bytes_pass_little_by_little(proxy: Any, connect: Connect) -> None:
    client = connect()
    proxy.throttle(100)

    client.sendall(b"x" * 100_000)

    # All of them take 1000 seconds.
    assert read(client, 10) == b"x" * 10


def test_nothing_passes_a_black_hole_in_either_direction(
    proxy: Any, connect: Connect, echo: EchoServer
) -> None:
    client = connect()
    assert asked(client, b"before") == b"before"
    proxy.black_hole()
    client.sendall(b"during")
    newcomer = connect()
    newcomer.sendall(b"too")
    leaver = connect()
    leaver.shutdown(socket.SHUT_WR)

    for each in (client, newcomer, leaver):
        assert_nothing_comes(each)
    assert echo.got == b"before"


@pytest.mark.parametrize(
    ("fault", "value"), [("black_hole", ()), ("delay", (600,)), ("throttle", (0.01,))]
)
def test_restore_lets_go_of_all_that_was_held_back(
    proxy: Any, connect: Connect, fault: str, value: tuple[float, ...]
) -> None:
    client = connect()
    getattr(proxy, fault)(*value)
    client.sendall(b"x" * 100_000)
    client.shutdown(socket.SHUT_WR)
    assert_nothing_comes(client)

    proxy.restore()

    assert read(client, 100_001) == b"x" * 100_000


def test_faults_add_up_until_restored(proxy: Any, connect: Connect) -> None:
    client = connect()
    proxy.black_hole()
    proxy.delay(0)
    client.sendall(b"held")
    assert_nothing_comes(client)

    proxy.refuse()
    proxy.restore()

    assert asked(connect(), b"well") == b"well"


@pytest.mark.parametrize("hole", [False, True], ids=["open", "black hole"])
def test_client_that_vanishes_is_gone_for_the_server_too(
    proxy: Any, connect: Connect, echo: EchoServer, hole: bool
) -> None:
    client = connect()
    assert asked(client, b"hello") == b"hello"
    if hole:
        proxy.black_hole()
        client.sendall(b"into the hole")

    client.close()
    if hole:
        proxy.restore()

    assert echo.lost.acquire(timeout=PATIENCE)
    assert asked(connect(), b"next") == b"next"


def test_server_that_vanishes_is_gone_for_the_client_too(
    connect: Connect, echo: EchoServer
) -> None:
    client = connect()

    client.sendall(RESET)

    with pytest.raises(ConnectionResetError):
        client.recv(1)
    echo.server_close()
    echo.shutdown()
    with pytest.raises(ConnectionResetError):
        connect().recv(1)


def test_nothing_is_left_when_a_proxy_is_closed(
    proxy: Any, connect: Connect, echo: EchoServer
) -> None:
    clients = [connect() for _ in range(5)]
    assert asked(clients[0], b"hello") == b"hello"
    proxy.black_hole()
    clients[1].sendall(b"held")
    clients[2].close()

    def sockets() -> list[Any]:
        """Those of the proxy: its listener and both ends of its connections."""
        return [
            each
            for each in psutil.Process().net_connections("tcp")
            if each.laddr.port == proxy.port or (each.raddr and each.raddr.port == echo.port)
        ]

    assert len(sockets()) >= 2 * 4
    proxy.close()
    proxy.close()

    assert sockets() == []
    assert all(thread.daemon for thread in threading.enumerate() if "prox" in thread.name)
    with pytest.raises(ConnectionRefusedError):
        connect()


class TestAnnouncement:
    """A server that tells its clients where it is."""

    HOST = b"127.0.0.1"

    @pytest.fixture
    def server(self) -> Iterator[socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(PATIENCE)
            yield server

    @pytest.fixture
    def ends(self, server: socket.socket) -> Iterator[tuple[socket.socket, socket.socket, int]]:
        """The server's end of a connection through a proxy, the client's, and the proxy's port."""
        port = server.getsockname()[1]
        proxy = testbed.TcpProxy(
            f"127.0.0.1:{port}",
            announcement=lambda own: (self.announced(port), self.announced(own)),
        )
        server.accept()[0].close()
        with socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as client:
            end, _ = server.accept()
            with end:
                yield end, client, proxy.port
        proxy.close()

    def announced(self, port: int) -> bytes:
        return self.HOST + struct.pack(">i", port)

    @pytest.mark.parametrize("cut", range(13 + 2))
    def test_address_is_replaced_wherever_the_chunks_end(
        self,
        server: socket.socket,
        ends: tuple[socket.socket, socket.socket, int],
        cut: int,
    ) -> None:
        end, client, port = ends
        text = b"1" + self.announced(server.getsockname()[1]) + b"1"
        expected = b"1" + self.announced(port) + b"1"
        # Of the bytes that begin the address, those wait which are not the same for the proxy.
        same = next((n for n in range(15) if text[n] != expected[n]), 15)
        at_once = min(cut, same) if cut < len(text) - 1 else cut

        end.sendall(text[:cut])
        first = read(client, at_once)
        end.sendall(text[cut:])

        assert first + read(client, len(text) - at_once) == expected

    def test_answer_that_ends_like_the_beginning_of_an_address_is_not_held_back(
        self, ends: tuple[socket.socket, socket.socket, int]
    ) -> None:
        end, client, _ = ends

        for answer in (b"version 1", b"at 127.0.0.1", self.HOST + b"\0\0"):
            end.sendall(answer)
            assert read(client, len(answer)) == answer

    def test_bytes_that_wait_at_the_end_are_not_lost(
        self, server: socket.socket, ends: tuple[socket.socket, socket.socket, int]
    ) -> None:
        end, client, _ = ends
        text = self.announced(server.getsockname()[1])[:-1]

        end.sendall(text)
        end.shutdown(socket.SHUT_WR)

        assert read(client, 100) == text


def write(service: Service, text: str) -> None:
    """Add a module of integration tests."""
    (service.path / "tests" / "integration" / "test_added.py").write_text(text)


def run(service: Service, *arguments: str) -> Outcome:
    """Run the added tests in their order."""
    module = "tests/integration/test_added.py"
    return service.pytest(
        "-m", "", "--servers", "embedded", "-p", "no:randomly", *arguments, module
    )


WRONG = """
import pytest

@pytest.mark.fault("reddis")
def test_name():
    pass

def test_name_in_a_call(fault):
    fault("reddis")

@pytest.mark.fault("redis", dealy=1)
def test_keyword():
    pass

def test_keyword_in_a_call(fault):
    fault("redis", dealy=1)

@pytest.mark.fault(delay=1)
def test_no_name():
    pass

@pytest.mark.fault
def test_nothing():
    pass

@pytest.fixture
def unix_url():
    return "postgresql:///db?host=/tmp"

def test_address(fault):
    fault("unix")
"""


def test_mistake_is_one_line_that_says_what_there_is(checkout: Checkout) -> None:
    service = checkout("user", "redis")
    write(service, WRONG)

    done = run(service)

    said = [line for line in done.output.splitlines() if line.startswith(("fault", "pytest.mark"))]
    # The service may have more addresses than those of its dependencies.
    lines = [re.sub(r"redis, .*unix", "redis, … unix", line) for line in said]
    name = 'fault("reddis"): there is no fixture reddis_url, but one for payment_gateway, redis, … unix'
    keyword = 'fault("redis"): knows black_hole, delay, refuse, throttle, not dealy'
    nothing = "pytest.mark.fault takes the name of one server first"
    address = 'fault("unix"): its address does not name one host and port'
    assert sorted(lines) == sorted([name, name, keyword, keyword, nothing, nothing, address])
    assert (done.count("failed"), done.count("error")) == (3, 4)
    assert "Error" not in done.output.replace("Errors", "")


MARKED = """
import os
import pytest
import redis

@pytest.mark.fault("redis", refuse=True)
def test_refused():
    with pytest.raises(redis.ConnectionError):
        redis.Redis.from_url(os.environ["REDIS_URL"], retry=None).ping()

def test_fixture(fault, redis_url):
    assert fault("redis").url != redis_url
"""
STARTED = """
import pytest

@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    from tests.testbed.plugin import testbed_of

    folder = testbed_of(session.config).run.folder
    print("\\nstarted:", *(mark.stem for mark in folder.glob("*.requested")))
"""


def test_dependency_that_only_a_marker_names_is_selected_and_started_ahead(
    checkout: Checkout,
) -> None:
    """A test that uses only the fixture is selected as well."""
    service = checkout("user")
    write(service, MARKED)
    (service.path / "conftest.py").write_text(STARTED)

    done = run(service, "-m", "fault and redis", "-s")

    assert done.all_passed, done.output
    assert done.count("passed") == 2
    assert "\nstarted: redis\n" in done.output


SEQUENCE = """
import os
import socket
from urllib.parse import urlsplit
import pytest

seen = []

@pytest.fixture(autouse=True, scope="module")
def other_variables(redis_url):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CACHE_URL", redis_url)
        patch.setenv("LIKE_IT", redis_url + "0")
        yield

def connect(url):
    return socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), 10)

@pytest.fixture
def cleans_up():
    url = os.environ["REDIS_URL"]
    yield
    connect(url).close()
    seen.append("cleaned up")

@pytest.mark.fault("redis")
def test_with_a_fault(fault, redis_url, cleans_up):
    proxy = fault("redis", refuse=True)

    assert fault("redis") is proxy
    assert os.environ["REDIS_URL"] == os.environ["CACHE_URL"] == proxy.url != redis_url
    assert os.environ["LIKE_IT"] == redis_url + "0"
    assert urlsplit(proxy.url)._replace(netloc="") == urlsplit(redis_url)._replace(netloc="")
    with pytest.raises(ConnectionRefusedError):
        connect(proxy.url)
    seen.append(proxy.url)

def test_without(redis_url):
    assert os.environ["REDIS_URL"] == os.environ["CACHE_URL"] == redis_url
    assert seen[1:] == ["cleaned up"]
    with pytest.raises(ConnectionRefusedError):
        connect(seen[0])
    connect(redis_url).close()
"""


def test_fault_is_over_before_its_test_is_cleaned_up(checkout: Checkout) -> None:
    service = checkout("user", "redis")
    write(service, SEQUENCE)

    done = run(service)

    assert done.all_passed, done.output
    assert done.count("passed") == 2


MARKERS = """
import os
import time
import pytest
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

@pytest.fixture(scope="session")
def gateway_url():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,)).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GATEWAY_URL", url)
            yield url
        server.shutdown()

@pytest.fixture
def service():
    connection = HTTPConnection(urlsplit(os.environ["GATEWAY_URL"]).netloc, timeout=10)
    yield connection
    connection.close()

def status(service):
    service.request("GET", "/")
    return service.getresponse().status

@pytest.mark.fault("redis", refuse=True)
@pytest.mark.fault("gateway", delay=0.1)
class TestSeveral:
    def test_both(self, service):
        begun = time.monotonic()
        assert status(service) == 204
        assert time.monotonic() - begun >= 0.1

    @pytest.mark.fault("gateway", delay=0.3)
    def test_closest_prevails(self, service):
        begun = time.monotonic()
        assert status(service) == 204
        assert time.monotonic() - begun >= 0.3

    def test_fixture_besides(self, service, fault):
        fault("gateway").refuse()
        with pytest.raises(ConnectionRefusedError):
            status(service)
"""


def test_markers_come_before_the_fixtures_and_serve_any_url(checkout: Checkout) -> None:
    service = checkout("user", "redis")
    write(service, MARKERS)

    done = run(service, "-m", "redis and fault")

    assert done.all_passed, done.output
    assert done.count("passed") == 3


def test_workers_have_proxies_of_their_own(
    checkout: Checkout, nothing_left: Callable[[Service], None]
) -> None:
    service = checkout("user")
    nothing_left(service)

    done = service.pytest("-m", "fault", "--servers", "embedded", "-n", "2")

    assert done.all_passed, done.output


def test_broker_that_is_not_on_loopback_is_one_line(checkout: Checkout) -> None:
    service = checkout("user", "kafka")
    module = service.path / "tests" / "testbed" / "dependencies" / "kafka.py"
    own = 'return f"127.0.0.1:{port}"'
    assert own in module.read_text()
    # Elsewhere, as far as a proxy on 127.0.0.1 is concerned.
    module.write_text(module.read_text().replace(own, own.replace("127.0.0.1", "127.0.0.2")))
    contract = "tests/integration/contract/test_kafka_contract.py"

    done = service.pytest("-m", "fault", "--servers", "embedded", contract)

    lines = {line for line in done.output.splitlines() if line.startswith("fault")}
    assert len(lines) == 1, done.output
    assert re.fullmatch(
        r'fault\("kafka"\): a proxy can only stand before one broker that calls itself 127.0.0.1 or '
        r"localhost, not before 127.0.0.2:\d+",
        lines.pop(),
    )
    assert done.count("error") > 0 and done.count("passed") == 0
    assert "Traceback" not in done.output
