"""A test sees nothing of another test: one leaves something behind, and the next one looks for it."""

import re
import sys
from urllib.parse import urlsplit

import pytest

from .conftest import Render
from .service import Outcome, Service
from .test_run import servers

pytestmark = pytest.mark.suite

MODELS = """
import sqlalchemy as sa
from sqlalchemy import event

metadata = sa.MetaData()
item = sa.Table("item", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
kind = sa.Table("kind", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
# Rows of the migrations that refer to a table without any, and to one with some.
rule = sa.Table(
    "rule",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind_id", sa.ForeignKey("kind.id", ondelete="CASCADE")),
    sa.Column("item_id", sa.ForeignKey("item.id")),
    sa.Column("label", sa.Text, sa.Computed("'rule ' || id::text", persisted=True)),
)
part = sa.Table(
    "part",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("item_id", sa.ForeignKey("item.id")),
)
history = sa.Table("history", metadata, sa.Column("text", sa.Text))


@event.listens_for(metadata, "after_create")
def seed(target, connection, **options):
    connection.execute(kind.insert(), [{"name": "big"}, {"name": "50% 'small'"}])
    connection.execute(rule.insert(), [{"kind_id": 1}, {"kind_id": 2}])
    connection.exec_driver_sql("CREATE MATERIALIZED VIEW names AS SELECT name FROM kind")
    connection.exec_driver_sql(
        "CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN INSERT INTO history VALUES (TG_TABLE_NAME); RETURN NULL; END$$"
    )
    for table in ("item", "kind"):
        connection.exec_driver_sql(
            f"CREATE TRIGGER remember AFTER INSERT OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION remember()"
        )
"""

POSTGRES = """
import threading

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

SEEDS = {
    "kind": [(1, "big"), (2, "50% 'small'")],
    "rule": [(1, 1, None, "rule 1"), (2, 2, None, "rule 2")],
    "names": [("50% 'small'",), ("big",)],
    "item": [],
    "part": [],
    "history": [],
}
SAME = {
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'": 0,
    "SELECT count(*) FROM pg_listening_channels()": 0,
    "SELECT count(*) FROM pg_prepared_statements": 0,
    "SELECT count(*) FROM pg_cursors WHERE is_holdable": 0,
    "SELECT count(*) FROM pg_class WHERE relpersistence = 't'": 0,
    "SELECT count(*) FROM pg_db_role_setting WHERE setdatabase <> 0": 0,
    "SELECT current_user = session_user": True,
    "SHOW work_mem": "4MB",
    "SHOW search_path": '"$user", public',
    "SHOW session_replication_role": "origin",
}


def look(connection):
    for table, rows in SEEDS.items():
        assert connection.execute(text(f"SELECT * FROM {table} ORDER BY 1")).all() == rows, table
    for question, answer in SAME.items():
        assert connection.scalar(text(question)) == answer, question


@pytest.fixture
def looked(postgres_url, postgres_engine):
    "The database is as it was, for a new connection and for one of the pool."
    engine = create_engine(postgres_url)
    with engine.connect() as new, postgres_engine.connect() as pooled:
        look(new)
        look(pooled)
    engine.dispose()


def execute(connection, statement):
    try:
        connection.exec_driver_sql(statement)
    except DBAPIError as error:
        if not isinstance(error.orig, InsufficientPrivilege):
            raise


# The first of these varies first.
pair = pytest.mark.parametrize("step", ["leave", "look"])


STATE = [
    "SELECT pg_advisory_lock(1)",
    "SET work_mem = '1MB'; COMMIT",
    "SET search_path = pg_catalog; COMMIT; BEGIN",
    "SET ROLE pg_monitor; COMMIT",
    "SET session_replication_role = replica; COMMIT",
    "LISTEN news; COMMIT",
    "CREATE TEMPORARY TABLE part (id int); COMMIT",
    "PREPARE question AS SELECT 1; COMMIT",
    "DECLARE rows CURSOR WITH HOLD FOR SELECT 1; COMMIT",
    "INSERT INTO item (name) VALUES ('committed'); COMMIT",
    "COMMIT; BEGIN; UPDATE kind SET name = 'changed'; COMMIT; BEGIN",
]


@pair
@pytest.mark.parametrize("statement", STATE)
class TestState:
    def test_connection(self, statement, step, request):
        if step == "leave":
            execute(request.getfixturevalue("postgres_connection"), statement)
        else:
            request.getfixturevalue("looked")

    def test_session(self, statement, step, request):
        if step == "leave":
            execute(request.getfixturevalue("postgres_session").connection(), statement)
        else:
            request.getfixturevalue("looked")

    def test_committed(self, statement, step, request):
        if step == "leave":
            with request.getfixturevalue("postgres_committed")() as session:
                execute(session.connection(), statement)
                session.commit()
        else:
            request.getfixturevalue("looked")

    @pytest.mark.asyncio(loop_scope="session")
    async def test_async_session(self, statement, step, postgres_async_session):
        connection = await postgres_async_session.connection()
        await connection.run_sync(look)
        if step == "leave":
            await connection.run_sync(execute, statement)


@pair
def test_commit_of_the_connection(step, request):
    if step == "leave":
        connection = request.getfixturevalue("postgres_connection")
        connection.execute(text("DELETE FROM rule"))
        connection.commit()
    else:
        request.getfixturevalue("looked")


CHANGES = [
    "INSERT INTO item (name) VALUES ('new'); INSERT INTO part (item_id) SELECT id FROM item",
    "INSERT INTO kind (name) VALUES ('new')",
    "DELETE FROM kind WHERE id = 1",
    "UPDATE kind SET name = 'same number of rows'",
    "DELETE FROM rule WHERE id = 1; INSERT INTO rule (id, kind_id) VALUES (1, 1)",
    "INSERT INTO item (name) VALUES ('new'); UPDATE rule SET item_id = (SELECT id FROM item)",
    "TRUNCATE kind, item RESTART IDENTITY CASCADE",
    "INSERT INTO kind (name) VALUES ('new'); REFRESH MATERIALIZED VIEW names",
    "DO $$BEGIN EXECUTE 'ALTER DATABASE ' || quote_ident(current_database()) || ' SET work_mem = 64'; END$$",
    "DO $$BEGIN EXECUTE 'ALTER ROLE ' || current_user || ' IN DATABASE ' || quote_ident(current_database()) || ' SET work_mem = 64'; END$$",
    "CREATE TABLE IF NOT EXISTS made (id int); INSERT INTO made VALUES (1)",
    "DROP TABLE IF EXISTS made",
]


@pair
@pytest.mark.parametrize("statement", CHANGES)
def test_change(statement, step, request):
    if step == "leave":
        with request.getfixturevalue("postgres_committed").begin() as session:
            session.connection().exec_driver_sql(statement)
        return
    request.getfixturevalue("looked")
    with request.getfixturevalue("postgres_engine").connect() as connection:
        if connection.scalar(text("SELECT to_regclass('made')")):
            assert connection.scalar(text("SELECT count(*) FROM made")) == 0
    # Ids begin anew, after those of the migrations.
    with request.getfixturevalue("postgres_committed").begin() as session:
        for table, number in (("item", 1), ("kind", 3)):
            new = text(f"INSERT INTO {table} (name) VALUES ('x') RETURNING id")
            assert session.scalar(new) == number


class Held:
    connection = None


@pair
@pytest.mark.parametrize(
    "fixture, statement",
    [
        ("postgres_session", "INSERT INTO kind (name) VALUES ('never committed')"),
        ("postgres_session", "SELECT pg_advisory_lock(1)"),
        ("postgres_committed", "LOCK TABLE kind IN ACCESS EXCLUSIVE MODE"),
    ],
)
def test_lock(fixture, statement, step, request):
    if step == "leave":
        request.getfixturevalue(fixture)
        url = request.getfixturevalue("postgres_url").replace("+psycopg", "")
        Held.connection = psycopg.connect(url)
        Held.connection.execute(statement)
    else:
        request.getfixturevalue("looked")
        request.getfixturevalue("postgres_session").execute(text("LOCK TABLE kind NOWAIT"))
        with pytest.raises(psycopg.OperationalError):
            Held.connection.execute("SELECT 1")


@pair
def test_every_connection_is_ended(step, request):
    if step == "leave":
        request.getfixturevalue("postgres_committed")
        url = request.getfixturevalue("postgres_url").replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("INSERT INTO item (name) VALUES ('x')")
            connection.execute(
                "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    else:
        request.getfixturevalue("postgres_engine").dispose()
        request.getfixturevalue("looked")


@pair
def test_transaction_ends_after_the_test(step, request):
    if step == "look":
        request.getfixturevalue("looked")
        return
    sessions = request.getfixturevalue("postgres_committed")
    started = threading.Event()

    def work():
        with sessions.begin() as session:
            session.execute(text("INSERT INTO item (name) VALUES ('late')"))
            started.set()
            session.execute(text("SELECT pg_sleep(0.2)"))

    threading.Thread(target=work).start()
    assert started.wait(5)
"""


REDIS = """
import pytest

CHANGES = {
    "database": lambda client: [client.execute_command("SELECT", 3), client.set("key", 1)],
    "setting": lambda client: client.config_set("maxmemory", 1),
    "users": lambda client: [
        client.acl_setuser("bob", enabled=True, nopass=True, commands=["+@all"]),
        client.acl_setuser("default", reset_keys=True, keys=["a*"]),
    ],
    "function": lambda client: client.function_load(
        "#!lua name=lib\\nredis.register_function('one', function(keys, args) return 1 end)"
    ),
    "script": lambda client: client.script_load("return 1"),
    "name": lambda client: client.client_setname("named"),
    "tracking": lambda client: client.execute_command("CLIENT", "TRACKING", "ON"),
    "transaction": lambda client: client.execute_command("MULTI"),
    "key": lambda client: client.set("key", 1),
}


@pytest.mark.parametrize("step", ["leave", "look"])
@pytest.mark.parametrize("change", CHANGES)
def test_change(change, step, redis_client):
    assert redis_client.dbsize() == 0
    assert redis_client.config_get("maxmemory") == {"maxmemory": "0"}
    assert redis_client.acl_users() == ["default"]
    assert "~*" in " ".join(redis_client.acl_list())
    assert redis_client.function_list() == []
    assert redis_client.script_exists("e0e1f9fabfc9d4800c877a703b823ac0578ff8db") == [False]
    assert not redis_client.client_getname()
    assert redis_client.client_trackinginfo()[1] == ["off"]
    redis_client.set("written", 1)
    if step == "leave":
        CHANGES[change](redis_client)


def test_key_of_the_service(redis_connection):
    redis_connection.set("key", 1)


def test_after_key_of_the_service(redis_client):
    assert redis_client.dbsize() == 0
"""

API = """
import os

from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

url = os.environ["DATABASE_URL"]
engines = [create_async_engine(url.replace("psycopg", name)) for name in ("psycopg", "asyncpg")]
cache = Redis.from_url(os.environ["REDIS_URL"])


async def count(request):
    for engine in engines:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    return PlainTextResponse(str(await cache.incr("count")))


app = Starlette(routes=[Route("/", count)])
"""

REQUESTS = """
from urllib.request import urlopen

import pytest


def get(url):
    with urlopen(url, timeout=10) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("number", range(3))
class TestRequests:
    def test_client(self, number, redis_client, rest_client):
        assert [rest_client.get("/").text for _ in range(2)] == ["1", "2"]

    def test_url(self, number, redis_client, rest_url):
        assert [get(rest_url) for _ in range(2)] == ["1", "2"]

    def test_both(self, number, redis_client, rest_client, rest_url):
        assert [rest_client.get("/").text, get(rest_url)] == ["1", "2"]
"""


@pytest.fixture(scope="module")
def service(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A service of its own tables, without the example."""
    path = tmp_path_factory.mktemp("isolation") / "shop"
    service = render(
        path,
        dependencies=["postgres", "redis"],
        apis=["rest"],
        external_apis=[],
        example=False,
        package_name="app",
        sqlalchemy_metadata="app.models:metadata",
        asgi_app="app.api:app",
    )
    (path / "src/app").mkdir(parents=True, exist_ok=True)
    (path / "src/app/__init__.py").touch()
    (path / "src/app/models.py").write_text(MODELS)
    (path / "src/app/api.py").write_text(API)
    service.install("dev")
    added = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "asyncpg"]
    done = service.run(*added, "--python", str(service.python))
    assert done.code == 0, done.output
    return service


def run(service: Service, code: str, *options: str, **env: str) -> Outcome:
    """Run these tests one after another."""
    name = "tests/integration/test_leaks.py"
    (service.path / name).write_text(code)
    return service.pytest("-m", "", "-p", "no:randomly", *options, name, env=env)


PLAIN_ROLE = """
import sys
import psycopg

with psycopg.connect(sys.argv[1].replace("+psycopg", "")) as connection:
    connection.execute("CREATE ROLE test_plain LOGIN CREATEDB PASSWORD 'test_password'")
"""


@pytest.mark.parametrize("role", ["superuser", "role without rights"])
def test_database_is_put_back(service: Service, role: str) -> None:
    if role == "superuser":
        done = run(service, POSTGRES, "--servers", "embedded")
    else:
        with servers(service, "postgres") as urls:
            made = service.run(str(service.python), "-c", PLAIN_ROLE, urls["postgres"])
            assert made.code == 0, made.output
            port = urlsplit(urls["postgres"]).port
            url = f"postgresql+psycopg://test_plain:test_password@127.0.0.1:{port}/test_db"
            done = run(service, POSTGRES, "--servers", "external", TEST_DATABASE_URL=url)

    errors = re.findall(r"^_+ ERROR at teardown of (\w+)", done.output, re.MULTILINE)
    assert not done.count("failed"), done.output
    assert errors == ["test_lock"] * 3, done.output
    assert "Last statement: SELECT pg_advisory_lock(1)\n" in done.output


def test_server_is_put_back(service: Service) -> None:
    done = run(service, REDIS, "--servers", "embedded")

    assert done.all_passed, done.output


def test_app_that_keeps_connections_answers_in_every_test(service: Service) -> None:
    done = run(service, REQUESTS, "--servers", "embedded")

    assert done.all_passed, done.output
