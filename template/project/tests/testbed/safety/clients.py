"""Clients that open their sockets in C, where no audit hook sees them: they are asked before they connect.

Each is guarded when it is imported, or at once if it was imported before. What it is going to
connect to is checked and then given to it explicitly, so that no variable or file of its own leads
it elsewhere.
"""

import functools
import importlib
import importlib.abc
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from configparser import ConfigParser
from configparser import Error as ConfigError
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

from .guard import check

LIBRDKAFKA = logging.getLogger("librdkafka")

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Before = Callable[[tuple[Any, ...], dict[str, Any]], Arguments | None]


def guard_clients() -> None:
    """Guard all clients of `GUARDS`, imported already or later."""
    sys.meta_path.insert(0, _Finder())
    for name in GUARDS.keys() & sys.modules.keys():
        _guard(sys.modules[name])


class _Finder(importlib.abc.MetaPathFinder):
    """Guards a client as soon as its module has run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in GUARDS:
            return None
        found = (
            finder.find_spec(fullname, path, target)
            for finder in sys.meta_path
            if finder is not self
        )
        spec = next(filter(None, found), None)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _guard(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _guard(module: ModuleType) -> None:
    try:
        GUARDS[module.__name__](module)
    except AttributeError as error:
        warnings.warn(f"connections of {module.__name__} are not guarded: {error}", stacklevel=1)


def _wrap(owner: Any, name: str, before: Before) -> None:
    """Call `before` first; it may return other arguments."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = before(args, kwargs) or (args, kwargs)
        return original(*args, **kwargs)

    setattr(owner, name, guarded)


def _psycopg(module: ModuleType) -> None:
    def before(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        parser = importlib.import_module("psycopg.conninfo")
        conninfo, *others = args or (kwargs.pop("conninfo"),)
        given = parser.conninfo_to_dict(conninfo)
        return (parser.make_conninfo("", **given | _libpq(given, "psycopg")), *others), kwargs

    _wrap(module, "connect", before)


def _psycopg2(module: ModuleType) -> None:
    def before(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        dsn, *others = args
        place = _libpq(module.extensions.parse_dsn(dsn), "psycopg2")
        return (module.extensions.make_dsn(dsn, **place), *others), kwargs

    _wrap(module, "_connect", before)


def _libpq(given: Mapping[str, Any], client: str) -> dict[str, str]:
    """Check all that libpq would try, and return it as parameters, which come before files and variables."""
    service = given.get("service") or os.environ.get("PGSERVICE")
    file = _service(str(service), given.get("servicefile")) if service else {}

    def value(key: str, default: str = "") -> str:
        return str(given.get(key) or file.get(key) or os.environ.get(f"PG{key.upper()}") or default)

    host, hostaddr = value("host", "/var/run/postgresql"), value("hostaddr")
    ports = [port or "5432" for port in value("port", "5432").split(",")]
    places = (hostaddr or host).split(",")
    for index, place in enumerate(places):
        port = ports[index] if len(ports) > 1 else ports[0]
        if place.startswith(("/", "@")):
            check(f"{place}/.s.PGSQL.{port}", None, client)
        else:
            check(place, int(port), client)
    checked = {"host": host, "port": ",".join(ports)}
    return {**checked, "hostaddr": hostaddr} if hostaddr else checked


def _service(name: str, file: str | None) -> dict[str, str]:
    """The section of a service in the files that libpq reads; empty if none has it."""
    first = file or os.environ.get("PGSERVICEFILE") or Path.home() / ".pg_service.conf"
    folder = os.environ.get("PGSYSCONFDIR", "/etc/postgresql-common")
    for path in (first, Path(folder, "pg_service.conf")):
        parser = ConfigParser(
            interpolation=None, delimiters="=", comment_prefixes="#", strict=False
        )
        try:
            parser.read(path)
        except ConfigError:
            continue
        if parser.has_section(name):
            return dict(parser.items(name))
    return {}


def _mysqlclient(module: ModuleType) -> None:
    def before(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        names = ("host", "user", "password", "database", "port", "unix_socket")
        given = dict(zip(names, args[1:], strict=False)) | kwargs
        host, path = given.get("host") or "localhost", given.get("unix_socket")
        if path or host == "localhost":
            # To this library, "localhost" is the Unix socket even if there is a port.
            given["unix_socket"] = path or "/var/run/mysqld/mysqld.sock"
            check(given["unix_socket"], None, "mysqlclient")
        else:
            given["port"] = int(given.get("port") or 3306)
            check(host, given["port"], "mysqlclient")
        return args[:1], {**given, "host": host}

    _wrap(module.Connection, "__init__", before)


def _mysql_connector(module: ModuleType) -> None:
    def before(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        connection = args[0]
        if path := connection._unix_socket:
            check(path, None, "mysql.connector")
        else:
            check(connection._host, connection._port, "mysql.connector")

    _wrap(module.CMySQLConnection, "_open_connection", before)


def _grpc(module: ModuleType) -> None:
    def before(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        target = str(args[1] if len(args) > 1 else kwargs["target"])
        scheme, _, rest = target.partition(":")
        if scheme in ("unix", "unix-abstract"):
            path = (
                f"@{rest}" if scheme == "unix-abstract" else os.path.abspath(urlsplit(target).path)
            )
            check(path, None, "grpc")
        else:
            # dns:host, dns:///host, dns://resolver/host, ipv4:1.2.3.4:5,6.7.8.9:5
            places = rest.rpartition("/")[2] if scheme in ("dns", "ipv4", "ipv6") else target
            for place in unquote(places).split(","):
                _check_place(place, 443, "grpc")

    _wrap(module.Channel, "__init__", before)


def _check_place(place: str, usual_port: int, client: str) -> None:
    url = urlsplit(place if "//" in place else f"//{place}")
    check(url.hostname or "", url.port or usual_port, client)


def _confluent_kafka(module: ModuleType) -> None:
    def check_servers(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments | None:
        settings = {**(args[1] if len(args) > 1 else {}), **kwargs}
        for setting in ("bootstrap.servers", "metadata.broker.list"):
            for server in filter(None, str(settings.get(setting) or "").split(",")):
                _check_place(server.strip(), 9092, "confluent_kafka")
        if len(args) < 2 or "logger" in settings or "log_level" in settings:
            return None
        # On stderr, a client that outlives its broker would go on after pytest's last line.
        return (args[0], {**args[1], "logger": LIBRDKAFKA}, *args[2:]), kwargs

    for name in ("Producer", "Consumer", "ShareConsumer", "_AdminClientImpl"):
        if original := getattr(module, name, None):
            # Types of C cannot be changed, so another takes their place in all modules.
            guarded = type(original)(name, (original,), {"__module__": original.__module__})
            for subclass in {guarded, *original.__subclasses__()}:
                _wrap(subclass, "__init__", check_servers)
            for holder in list(sys.modules.values()):
                for key, value in list(getattr(holder, "__dict__", {}).items()):
                    if value is original:
                        setattr(holder, key, guarded)


def _uvloop(module: ModuleType) -> None:
    def connection(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        host, port = (*args[2:4], None, None)[:2]
        host, port = kwargs.get("host", host), kwargs.get("port", port)
        if host is not None:
            check(str(host), int(port or 0), "uvloop")

    def datagrams(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if remote := kwargs.get("remote_addr") or (args[3] if len(args) > 3 else None):
            check(str(remote[0]), int(remote[1]), "uvloop")

    def unix(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if path := kwargs.get("path") or (args[2] if len(args) > 2 else None):
            check(os.path.abspath(os.fsdecode(path)), None, "uvloop")

    _wrap(module.Loop, "create_connection", connection)
    _wrap(module.Loop, "create_datagram_endpoint", datagrams)
    _wrap(module.Loop, "create_unix_connection", unix)


def _pycurl(module: ModuleType) -> None:
    def open_socket(purpose: int, address: tuple[int, int, int, Any]) -> socket.socket:
        family, kind, protocol, place = address
        if isinstance(place, tuple):
            check(place[0], place[1], "pycurl")
        else:
            check(os.fsdecode(place), None, "pycurl")
        return socket.socket(family, kind, protocol)

    class Curl(module.Curl):  # type: ignore[name-defined, misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.setopt(module.OPENSOCKETFUNCTION, open_socket)

    vars(module)["Curl"] = Curl


GUARDS: dict[str, Callable[[ModuleType], None]] = {
    "psycopg.generators": _psycopg,
    "psycopg2": _psycopg2,
    "MySQLdb.connections": _mysqlclient,
    "mysql.connector.connection_cext": _mysql_connector,
    "grpc._channel": _grpc,
    "grpc.aio._channel": _grpc,
    "confluent_kafka.cimpl": _confluent_kafka,
    "uvloop": _uvloop,
    "pycurl": _pycurl,
}
"""What guards the entry point of each client, by the module that has it."""
