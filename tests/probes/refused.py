"""Each test connects to a server that the testbed did not hand out: each has to fail, none may arrive.

tests/test_guard.py copies it into a service. PLACES names a server for each test, and one Unix socket.
"""

import asyncio
import contextlib
import json
import multiprocessing
import os
import socket
import sys
import threading
import time
import types
import urllib.request

import pytest

PLACES = json.loads(os.environ["PLACES"])
PATH = PLACES["path"]


@pytest.fixture
def port(request):
    return PLACES[request.node.name]


@pytest.fixture
def url(port):
    return f"user:secret@127.0.0.1:{port}"


def connect(port):
    socket.create_connection(("127.0.0.1", port), 2).close()


# Sockets of Python


def test_socket(port):
    connect(port)


def test_connect_ex(port):
    with socket.socket() as client:
        client.connect_ex(("127.0.0.1", port))


def test_name_localhost(port):
    socket.create_connection(("localhost", port), 2)


def test_short_address(port):
    with socket.socket() as client:
        client.connect(("127.1", port))


def test_any_address(port):
    socket.create_connection(("0.0.0.0", port), 2)


def test_mapped_address(port):
    with socket.socket(socket.AF_INET6) as client:
        client.connect(("::ffff:127.0.0.1", port))


def test_datagram(port):
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.sendto(b"hello", ("127.0.0.1", port))


def test_connected_datagram(port):
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.send(b"hello")


def test_unix_socket():
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(PATH)


def test_relative_unix_socket(monkeypatch):
    monkeypatch.chdir(os.path.dirname(PATH))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(os.path.basename(PATH))


def test_urllib(port):
    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2)


async def test_stream(port):
    await asyncio.open_connection("127.0.0.1", port)


async def test_unix_stream():
    await asyncio.open_unix_connection(PATH)


# Beyond this machine; the address is reserved for documentation.


def test_beyond_address():
    socket.create_connection(("192.0.2.1", 9), 0.01)


def test_beyond_datagram():
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.sendto(b"hello", ("192.0.2.1", 9))


def test_beyond_name():
    socket.getaddrinfo("api.example.com", 443)


async def test_beyond_http_client():
    import httpx2

    async with httpx2.AsyncClient() as client:
        await client.get("http://api.example.com/", timeout=0.01)


# What becomes of a refusal


def test_swallowed(port):
    with contextlib.suppress(BaseException):
        connect(port)


@pytest.mark.xfail
def test_expected_to_fail(port):
    connect(port)


def test_skipped_after_it(port):
    try:
        connect(port)
    except BaseException:  # noqa: BLE001
        pytest.skip("no server")


@pytest.fixture
def swallows(port):
    with contextlib.suppress(BaseException):
        connect(port)


def test_swallowed_by_a_fixture(swallows):
    pass


@pytest.fixture
def swallows_at_the_end(port):
    yield
    with contextlib.suppress(BaseException):
        connect(port)


def test_swallowed_at_the_end(swallows_at_the_end):
    pass


def test_thread(port):
    thread = threading.Thread(target=connect, args=[port])
    thread.start()
    thread.join()


def test_executor(port):
    async def main():
        with contextlib.suppress(BaseException):
            await asyncio.get_running_loop().run_in_executor(None, connect, port)

    asyncio.run(main())


async def test_task(port):
    task = asyncio.create_task(asyncio.open_connection("127.0.0.1", port))
    await asyncio.wait([task])
    assert task.exception()


def test_forked_child(port):
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            connect(port)
        os._exit(0)
    os.waitpid(child, 0)


def test_forked_worker(port):
    worker = multiprocessing.get_context("fork").Process(target=connect, args=[port])
    worker.start()
    worker.join()


def test_tries_again_and_again(port):
    for _ in range(20):
        with contextlib.suppress(Exception):
            try:
                connect(port)
            except BaseException as error:
                raise OSError("try again") from error
        time.sleep(0.5)
    print("was not interrupted")


def test_waits_for_a_thread(port):
    threading.Thread(target=connect, args=[port], daemon=True).start()
    threading.Event().wait(20)
    print("was not interrupted")


async def test_waits_for_a_task(port):
    task = asyncio.create_task(asyncio.open_connection("127.0.0.1", port))
    await asyncio.wait([task])
    await asyncio.sleep(20)
    print("was not interrupted")


# Clients


# First: the library needs memory for its threads that others take.
def test_mysql_connector(port):
    from mysql.connector.connection_cext import CMySQLConnection

    CMySQLConnection(host="127.0.0.1", port=port, connection_timeout=2)


def test_psycopg(url):
    import psycopg

    psycopg.connect(f"postgresql://{url}/app", connect_timeout=2)


def test_psycopg_keywords(port):
    import psycopg

    psycopg.connect(host="127.0.0.1", port=port, password="secret", connect_timeout=2)


def test_psycopg_address(port):
    import psycopg

    psycopg.connect(host="test.example", hostaddr="127.0.0.1", port=port, connect_timeout=2)


def test_psycopg_several(port):
    import psycopg

    psycopg.connect(f"host=127.0.0.1,127.0.0.1 port={port},{port} connect_timeout=2")


def test_psycopg_variables(port, monkeypatch):
    import psycopg

    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(port))
    psycopg.connect(connect_timeout=2)


def test_psycopg_address_variable(port, monkeypatch):
    import psycopg

    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
    psycopg.connect(host="test.example", port=port, connect_timeout=2)


def test_psycopg_service(port, monkeypatch, tmp_path):
    import psycopg

    (tmp_path / "services").write_text(f"# mine\n[real]\nhost=127.0.0.1\nport={port}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    psycopg.connect("service=real connect_timeout=2")


def test_psycopg_unix_socket(port):
    import psycopg

    psycopg.connect(host=os.path.dirname(PATH), connect_timeout=2)


async def test_psycopg_async(url):
    import psycopg

    await psycopg.AsyncConnection.connect(f"postgresql://{url}/app", connect_timeout=2)


def test_psycopg_pool(url):
    import psycopg_pool

    with psycopg_pool.ConnectionPool(f"postgresql://{url}/app", min_size=1) as pool:
        pool.wait(5)


def test_sqlalchemy(url):
    import sqlalchemy

    sqlalchemy.create_engine(f"postgresql+psycopg://{url}/app").connect()


def test_sqlalchemy_creator(url):
    import psycopg2
    import sqlalchemy

    def creator():
        return psycopg2.connect(f"postgresql://{url}/app", connect_timeout=2)

    sqlalchemy.create_engine("postgresql+psycopg2://", creator=creator).connect()


async def test_sqlalchemy_async(url):
    from sqlalchemy.ext.asyncio import create_async_engine

    async with create_async_engine(f"postgresql+asyncpg://{url}/app").connect():
        pass


def test_psycopg2(url):
    import psycopg2

    psycopg2.connect(f"postgresql://{url}/app", connect_timeout=2)


def test_psycopg2_variables(port, monkeypatch):
    import psycopg2

    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(port))
    psycopg2.connect("connect_timeout=2")


def test_psycopg2_pool(url):
    import psycopg2.pool

    psycopg2.pool.SimpleConnectionPool(1, 2, f"postgresql://{url}/app")


async def test_asyncpg(url):
    import asyncpg

    await asyncpg.connect(f"postgresql://{url}/app", timeout=2)


def test_pymysql(port):
    import pymysql

    pymysql.connect(host="127.0.0.1", port=port, connect_timeout=2)


def test_mysql_connector_in_python(port):
    import mysql.connector

    mysql.connector.connect(host="127.0.0.1", port=port, use_pure=True, connection_timeout=2)


def test_redis(port):
    import redis

    redis.Redis(port=port).ping()


async def test_redis_async(port):
    import redis.asyncio

    await redis.asyncio.Redis(port=port).ping()


def test_kafka_producer(port):
    import confluent_kafka

    confluent_kafka.Producer({"bootstrap.servers": f"127.0.0.1:{port}"}).flush(1)


def test_kafka_consumer(port):
    from confluent_kafka import Consumer

    consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "g"})
    consumer.list_topics(timeout=1)


def test_kafka_admin(port):
    from confluent_kafka.admin import AdminClient

    AdminClient({"bootstrap.servers": f"PLAINTEXT://127.0.0.1:{port}"}).list_topics(timeout=1)


def test_kafka_subclass(port):
    import confluent_kafka

    class Mine(confluent_kafka.SerializingProducer):
        pass

    Mine({"bootstrap.servers": f"127.0.0.1:{port}"}).flush(1)


async def test_aiokafka(port):
    import aiokafka

    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{port}")
    try:
        await producer.start()
    finally:
        await producer.stop()


def test_grpc(port):
    import grpc

    with grpc.insecure_channel(f"dns:///127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(1)


def test_grpc_address(port):
    import grpc

    with grpc.insecure_channel(f"ipv4:127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(1)


def test_grpc_unix_socket():
    import grpc

    with grpc.insecure_channel(f"unix:{PATH}") as channel:
        grpc.channel_ready_future(channel).result(1)


async def test_grpc_async(port):
    import grpc.aio

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await asyncio.wait_for(channel.channel_ready(), 1)


def on_uvloop(main):
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


def test_uvloop(port):
    on_uvloop(asyncio.open_connection("127.0.0.1", port))


def test_uvloop_socket(port):
    async def main():
        with socket.socket() as client:
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))

    on_uvloop(main())


def test_uvloop_datagram(port):
    async def main():
        await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port)
        )

    on_uvloop(main())


def test_uvloop_unix_socket():
    on_uvloop(asyncio.open_unix_connection(PATH))


def test_uvloop_asyncpg(url):
    import asyncpg

    on_uvloop(asyncpg.connect(f"postgresql://{url}/app", timeout=2))


def test_httpx(port):
    import httpx2

    httpx2.get(f"http://127.0.0.1:{port}/", timeout=2)


def test_pycurl(port):
    import pycurl

    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, f"http://127.0.0.1:{port}/")
    curl.setopt(pycurl.TIMEOUT, 2)
    curl.perform()


# mysqlclient has no wheel for Linux: this module takes its place, and connects without a socket of Python.


class StandIn(types.ModuleType):
    class Connection:
        def __init__(self, host="", user="", password="", database="", port=0, **others):
            command = f"exec 3<>/dev/tcp/{host}/{port}"
            os.spawnlp(os.P_WAIT, "bash", "bash", "-c", command)


def mysqlclient(monkeypatch):
    from tests.testbed.safety import clients

    module = StandIn("MySQLdb.connections")
    monkeypatch.setattr(StandIn.Connection, "__init__", StandIn.Connection.__init__)
    clients.GUARDS["MySQLdb.connections"](module)
    return StandIn.Connection


def test_mysqlclient(port, monkeypatch):
    mysqlclient(monkeypatch)(host="127.0.0.1", port=port)


def test_mysqlclient_positions(port, monkeypatch):
    mysqlclient(monkeypatch)("127.0.0.1", "user", "secret", "app", port)


# What is left from one test is not blamed on the next.

_late = threading.Event()


def test_late_thread(port):
    """It fails the run, and neither this test, which is over, nor the next."""

    def late():
        _late.wait(5)
        with contextlib.suppress(BaseException):
            connect(port)

    globals()["_thread"] = threading.Thread(target=late)
    globals()["_thread"].start()


def test_innocent():
    _late.set()
    globals()["_thread"].join()


if "early" in sys.modules:
    # A type of C that was held before the guard came cannot be changed.
    del test_pycurl
