"""Empties a Redis database, and puts back the settings of its server."""

from typing import Any

import redis
from redis.exceptions import NoPermissionError

CONNECTION = ("client", "multi", "reset", "select", "watch")
"""Commands that change the connection that sends them."""
SERVER = ("acl", "config", "function", "script")
"""Commands that change the whole server."""


class Restorer:
    """Cleans up after a test, through a connection that no test touches.

    The server counts its commands, so one question tells whether more than keys can be different.
    Settings, functions, scripts and users are put back only where `owns_server` is true.
    """

    def __init__(self, url: str, owns_server: bool) -> None:
        self._client: Any = redis.Redis.from_url(url)
        self._owns_server = owns_server
        if owns_server:
            self._config = self._client.config_get("*")
            self._functions = self._client.function_dump()
            self._users = self._read_users()
        self._calls = self._count()

    def close(self) -> None:
        self._client.close()

    def empty(self) -> None:
        """Delete all keys of the database."""
        self._client.flushdb()

    def restore(self) -> bool:
        """Delete all keys and put back the server. Returns whether connections may have changed."""
        self.empty()
        calls = self._count()
        changed = {name for name, count in calls.items() if self._calls.get(name) != count}
        if self._owns_server and any(name.startswith(SERVER) for name in changed):
            self._put_back()
            calls = self._count()
        self._calls = calls
        return bool(changed)

    def _count(self) -> dict[str, float]:
        """How often each command that changes more than keys has been called."""
        try:
            found: dict[str, Any] = self._client.info("commandstats")
        except NoPermissionError:
            # Nothing is known, and nothing equals this number.
            return {"": float("nan")}
        # Each new connection of redis-py sends its name and version.
        found.pop("cmdstat_client|setinfo", None)
        counts = {name.removeprefix("cmdstat_"): count["calls"] for name, count in found.items()}
        return {
            name: count for name, count in counts.items() if name.startswith(CONNECTION + SERVER)
        }

    def _put_back(self) -> None:
        config = self._client.config_get("*")
        for name, value in self._config.items():
            if config.get(name) != value:
                self._client.config_set(name, value)
        self._client.function_restore(self._functions, "FLUSH")
        self._client.script_flush()
        users = self._read_users()
        for name in users.keys() - self._users.keys():
            self._client.acl_deluser(name)
        for name, rules in self._users.items():
            if users.get(name) != rules:
                self._client.execute_command("ACL", "SETUSER", name, "reset", *rules)

    def _read_users(self) -> dict[str, list[str]]:
        """The rules of each user."""
        lines = [_text(line).split() for line in self._client.acl_list()]
        return {name: rules for _, name, *rules in lines}


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
