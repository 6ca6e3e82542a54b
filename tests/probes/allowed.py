"""Each test connects to a server that it may reach: each has to pass."""

import asyncio
import contextlib
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
import types

import pytest

from tests.testbed.safety import clients, guard

PLACES = json.loads(os.environ["PLACES"])
LISTEN = """
import socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(listener.getsockname()[1], flush=True)
time.sleep(20)
"""


@pytest.fixture
def port(request):
    return PLACES[request.node.name]


def connect(port, host="127.0.0.1"):
    socket.create_connection((host, port), 2).close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def listening(port=0, **options):
    command = [sys.executable, "-c", LISTEN, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as process:
        yield process
        process.kill()


def test_server_of_the_test():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connect(listener.getsockname()[1])
        connect(listener.getsockname()[1], "localhost")


def test_server_on_all_addresses():
    with socket.create_server(("0.0.0.0", 0)) as listener:
        connect(listener.getsockname()[1])


def test_unix_server_of_the_test(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind("own.sock")
        listener.listen()
        client.connect(str(tmp_path / "own.sock"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has them")
def test_unix_server_without_a_file():
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(f"\0guard-{os.getpid()}")
        listener.listen()
        client.connect(listener.getsockname())


def test_datagrams_of_the_test():
    with (
        socket.socket(type=socket.SOCK_DGRAM) as receiver,
        socket.socket(type=socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        sender.sendto(b"hello", receiver.getsockname())


def test_server_in_a_child():
    with listening() as process:
        connect(int(process.stdout.readline()))


def test_server_in_a_session_of_its_own():
    with listening(start_new_session=True) as process:
        connect(int(process.stdout.readline()))


def test_waits_for_a_server_that_starts():
    port = free_port()
    with listening(port):
        deadline = time.monotonic() + 10
        while True:
            try:
                connect(port)
                break
            except OSError:
                assert time.monotonic() < deadline


def test_closed_port_refuses_as_ever():
    with pytest.raises(ConnectionRefusedError):
        connect(free_port())


def test_server_of_grpc():
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(5)
        server.stop(None).wait()


def test_multiprocessing():
    with multiprocessing.get_context("spawn").Manager() as manager:
        assert manager.list([1])[0] == 1


async def test_asynchronous_subprocess():
    process = await asyncio.create_subprocess_exec("true")
    assert await process.wait() == 0


def test_own_name():
    with contextlib.suppress(OSError):
        socket.getaddrinfo(socket.gethostname(), None)
    socket.getfqdn()


@pytest.mark.network
def test_marked(port):
    connect(port)


@pytest.fixture
def allowed(monkeypatch):
    monkeypatch.setattr(guard._Guard, "allowed", set())
    return guard.allow_entry


def test_listed_port(port, allowed):
    allowed(f"localhost:{port}")
    connect(port)


def test_listed_host(port, allowed):
    allowed("127.0.0.1")
    connect(port)


def test_listed_name(port, allowed, monkeypatch):
    real = socket.getaddrinfo

    def getaddrinfo(host, *others, **options):
        return real("127.0.0.1" if host == "db.example" else host, *others, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    allowed(f"db.example:{port}")
    connect(port)


def test_listed_path(allowed):
    allowed(PLACES["path"])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(PLACES["path"])


def test_postgres_goes_where_the_guard_looked(port, allowed, monkeypatch, tmp_path):
    (tmp_path / "services").write_text(f"[mine]\nhost=127.0.0.1\nport={port}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    allowed(f"localhost:{port}")
    module = types.SimpleNamespace(connect=lambda conninfo: conninfo)
    clients._psycopg(module)

    conninfo = module.connect("service=mine host=''")

    assert f"host=127.0.0.1 port={port}" in conninfo


def test_listed_folder(allowed):
    allowed(os.path.dirname(PLACES["path"]))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(PLACES["path"])


@pytest.mark.parametrize("tool", ["pydevd", "debugpy", "execnet"])
def test_tool(tool):
    module = types.ModuleType(f"{tool}.connection")
    source = (
        "import socket\ndef connect(port): socket.create_connection(('127.0.0.1', port)).close()"
    )
    exec(compile(source, f"/usr/lib/{tool}.py", "exec"), vars(module))  # noqa: S102
    module.connect(PLACES[f"test_tool_{tool}"])


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ("db.example", ("db.example", None)),
        ("DB.example:5432", ("db.example", 5432)),
        ("10.0.0.1:80", ("10.0.0.1", 80)),
        ("[::1]:80", ("127.0.0.1", 80)),
        ("::1", ("127.0.0.1", None)),
        ("2001:db8::1", ("2001:db8::1", None)),
        ("[2001:db8::1]:80", ("2001:db8::1", 80)),
        ("/run/db.sock", (os.path.realpath("/run/db.sock"), None)),
    ],
)
def test_entry_of_the_list(entry, place, allowed):
    allowed(entry)
    assert guard._Guard.allowed == {place}


@pytest.mark.parametrize("entry", ["", ":80", "db:http", "http://db", "me@db:80", "my db"])
def test_wrong_entry_of_the_list(entry, allowed):
    with pytest.raises(ValueError, match='is no "host"'):
        allowed(entry)
