"""Addresses are judged by what the driver would connect to, and shown without passwords."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from .conftest import Checkout, Installed
from .service import Outcome, Service
from .test_run import servers
from .variants import dependencies

ALL = tuple(dependencies())
SECRET = "s3cret"
"""Part of every password below; nothing may print it."""


@dataclass(frozen=True)
class Case:
    name: str
    given: str
    url: str = ""
    """What every client gets; empty if the address cannot be judged."""
    database: str = ""
    hosts: tuple[tuple[str, int | None], ...] = ()
    refused: str = ""
    """Part of the message; empty if the tests may use the server."""

    def __str__(self) -> str:
        return self.given or "nothing"


def postgres(given: str, rest: str, database: str, *hosts: tuple[str, int | None]) -> Case:
    refused = "" if "test" in database.lower() else "nothing in that name says `test`"
    return Case("postgres", given, f"postgresql+psycopg://{rest}", database, hosts, refused)


def redis(
    given: str, url: str, database: str, *hosts: tuple[str, int | None], real: bool = False
) -> Case:
    return Case(
        "redis", given, url, database, hosts, "nothing in that name says `test`" if real else ""
    )


def unclear(name: str, given: str, why: str) -> Case:
    return Case(name, given, refused=f"cannot be used: {why}")


H, H5 = ("h", 5432), ("h", 5)
R = ("h", 6379)
UNREADABLE = "it cannot be read; in a user or a password write %40 for @,"

CASES = [
    # The part that libpq uses is the last one that SQLAlchemy passes on.
    postgres("postgresql+psycopg://app@h/shop_test?dbname=shop", "app@h:5432/shop", "shop", H),
    postgres("postgresql://h/shop?dbname=shop_test", "h:5432/shop_test", "shop_test", H),
    postgres("postgresql://x/shop_test?host=h", "h:5432/shop_test", "shop_test", H),
    postgres("postgresql://h:9/shop_test?port=5", "h:5/shop_test", "shop_test", H5),
    postgres("postgresql://h:9/a_test?host=h&port=5&dbname=b", "h:5/b", "b", H5),
    postgres("postgresql://me@h/a_test?user=you", "you@h:5432/a_test", "a_test", H),
    postgres(
        "postgresql:///a_test?hostaddr=10.0.0.1",
        "10.0.0.1:5432/a_test",
        "a_test",
        ("10.0.0.1", 5432),
    ),
    postgres("postgresql://h/shop%5Ftest", "h:5432/shop_test", "shop_test", H),
    postgres("postgresql://h/%73hop?sslmode=require", "h:5432/shop?sslmode=require", "shop", H),
    postgres(" postgresql://h/shop_test\n", "h:5432/shop_test", "shop_test", H),
    # Every driver and both schemes.
    *(
        postgres(f"{scheme}://u:{SECRET}@h/a_test", f"u:{SECRET}@h:5432/a_test", "a_test", H)
        for scheme in (
            "postgres",
            "postgresql",
            "postgresql+psycopg",
            "postgresql+psycopg2",
            "postgresql+psycopg_async",
            "postgresql+asyncpg",
            "postgresql+pg8000",
        )
    ),
    postgres(
        "postgresql+asyncpg://h/a_test?ssl=require&prepared_statement_cache_size=0",
        "h:5432/a_test?sslmode=require",
        "a_test",
        H,
    ),
    # Several hosts, IPv6 and Unix sockets.
    postgres("postgresql://[::1]:5/a_test", "[::1]:5/a_test", "a_test", ("::1", 5)),
    *(
        postgres(
            f"postgresql://{several}",
            "/a_test?host=h%2Ci&port=5%2C6",
            "a_test",
            H5,
            ("i", 6),
        )
        for several in (
            "/a_test?host=h:5&host=i:6",
            "/a_test?host=h,i&port=5,6",
            "h:5,i:6/a_test",
        )
    ),
    *(
        postgres(
            f"postgresql://{rest}",
            "/a_test?host=%2Frun%2Fpg&port=5432",
            "a_test",
            ("/run/pg", None),
        )
        for rest in ("/a_test?host=/run/pg", "%2Frun%2Fpg/a_test")
    ),
    # Passwords.
    postgres(
        f"postgresql://u:{SECRET}?c/r:e%t@h/shop",
        f"u:{SECRET}%3Fc%2Fr%3Ae%25t@h:5432/shop",
        "shop",
        H,
    ),
    postgres(f"postgresql://u:%40{SECRET}@h/shop", f"u:%40{SECRET}@h:5432/shop", "shop", H),
    postgres(f"postgresql://h/shop?password={SECRET}", f"h:5432/shop?password={SECRET}", "shop", H),
    postgres(
        f"postgresql://h/shop?sslpassword={SECRET}", f"h:5432/shop?sslpassword={SECRET}", "shop", H
    ),
    unclear("postgres", f"postgresql://u:x@{SECRET}@h/shop_test", UNREADABLE),
    unclear("postgres", f"postgresql://u:x@{SECRET}?y=1@h/shop_test", UNREADABLE),
    unclear("postgres", f"postgresql://u:x@h/shop_test?{SECRET}=1", UNREADABLE),
    unclear("postgres", f"postgresql://u:{SECRET}", UNREADABLE),
    unclear("postgres", f"mysql://u:{SECRET}@h/shop_test", "it does not begin with postgresql://"),
    unclear("postgres", SECRET, "it does not begin with postgresql://"),
    # What cannot be judged.
    unclear("postgres", "postgresql://h/shop_test?service=real", "it names a service"),
    unclear("postgres", "postgresql://h/shop_test?hostaddr=10.0.0.1", "it names both a host and"),
    unclear("postgres", "postgresql://h/?user=shop_test", "it names no database"),
    unclear("postgres", "postgresql:///shop_test", "it names no host"),
    unclear("postgres", "postgresql://h/a?dbname=a_test&dbname=b", UNREADABLE),
    unclear("postgres", "postgresql://h/a_test?database=b", UNREADABLE),
    unclear("postgres", "postgresql+pg8000://h/a_test?unix_sock=/run/pg", UNREADABLE),
    unclear("postgres", "postgresql://h:five/a_test", UNREADABLE),
    unclear("postgres", "postgresql://h/a_test?host=h,i&port=1,2,3", UNREADABLE),
    # Redis: a client speaks for the one database that the address names.
    redis("redis://h/1?client_name=test", "redis://h:6379/1?client_name=test", "1", R),
    redis("redis://h?db=3&client_name=test", "redis://h:6379/3?client_name=test", "3", R),
    redis("redis://h/3?db=3&client_name=test", "redis://h:6379/3?client_name=test", "3", R),
    redis("redis://h?client_name=test", "redis://h:6379?client_name=test", "", R, real=True),
    redis(
        "redis://h/0?client_name=latest", "redis://h:6379/0?client_name=latest", "0", R, real=True
    ),
    redis(
        "redis://h/0?client_name=prod&client_name=test",
        "redis://h:6379/0?client_name=prod",
        "0",
        R,
        real=True,
    ),
    unclear("redis", "redis://h/0?Client_Name=test", UNREADABLE),
    redis("redis://test.h", "redis://test.h:6379", "", ("test.h", 6379)),
    redis("redis://test@h/0", "redis://test@h:6379/0", "0", R),
    redis("redis://h/0?username=test", "redis://test@h:6379/0", "0", R),
    redis("redis://real/0?host=test", "redis://real:6379/0", "0", ("real", 6379), real=True),
    redis("redis://?host=real", "redis://real:6379", "", ("real", 6379), real=True),
    redis("redis://", "redis://localhost:6379", "", ("localhost", 6379), real=True),
    redis(
        "redis://[::1]:7/1?client_name=test", "redis://[::1]:7/1?client_name=test", "1", ("::1", 7)
    ),
    redis(
        f"rediss://u:{SECRET}@test-h/2?ssl_cert_reqs=none",
        f"rediss://u:{SECRET}@test-h:6379/2?ssl_cert_reqs=none",
        "2",
        ("test-h", 6379),
    ),
    redis(
        "unix:///run/redis-test/redis.sock?db=2",
        "unix:///run/redis-test/redis.sock?db=2",
        "2",
        ("/run/redis-test/redis.sock", None),
    ),
    redis(
        f"unix://u:{SECRET}@/run/redis.sock?db=2",
        f"unix://u:{SECRET}@/run/redis.sock?db=2",
        "2",
        ("/run/redis.sock", None),
        real=True,
    ),
    redis(
        f"redis://:p@{SECRET}:w%@test.h/0",
        f"redis://:p%40{SECRET}%3Aw%25@test.h:6379/0",
        "0",
        ("test.h", 6379),
    ),
    unclear("redis", "redis://h/1?db=0&client_name=test", "it names two databases, 1 and 0"),
    unclear("redis", "redis://h/test", "what follows the host is not the number of a database"),
    unclear("redis", "redis://h/1/2?client_name=test", "what follows the host is not the number"),
    unclear("redis", f"redis://:{SECRET}/x@h/0", UNREADABLE),
    unclear("redis", f"redis://:6?{SECRET}@test/0", UNREADABLE),
    unclear("redis", f"redis://:6#{SECRET}@test/0", UNREADABLE),
    unclear("redis", f"redis://test/0?{SECRET}=1", UNREADABLE),
    unclear("redis", "redis://test/?db=one", UNREADABLE),
    unclear("redis", "unix://?db=1", "it names no socket"),
    unclear("redis", f"http://u:{SECRET}@test/0", "it does not begin with redis://"),
    # Kafka: nothing that was there before is deleted, so every broker may be used.
    Case(
        "kafka",
        "real:1, PLAINTEXT://[::1]:2,plaintext://i",
        "real:1,[::1]:2,i:9092",
        hosts=(("real", 1), ("::1", 2), ("i", 9092)),
    ),
    unclear("kafka", "SASL_SSL://h:1", "the clients of the tests speak PLAINTEXT only"),
    unclear("kafka", f"u:{SECRET}@h:1", "it cannot be read as host:port,host:port"),
    unclear("kafka", f"PLAINTEXT://u:{SECRET}@h:1", "it cannot be read as host:port,host:port"),
    unclear("kafka", "h:port", "it cannot be read as host:port,host:port"),
    unclear("kafka", ",", "it names no server"),
]

JUDGE = """
import json, sys, traceback
from dataclasses import asdict
from tests.testbed.dependency import known
from tests.testbed.safety.check import refusal

def judge(name, given):
    dependency = known()[name]
    found = {"refused": refusal(dependency, given)}
    try:
        address = dependency.address(given)
    except ValueError:
        return found | {"shown": traceback.format_exc()}
    found |= asdict(address) | {"shown": f"{address} {address!r} {address.url!r}"}
    found["again"] = dependency.address(address.url) == address
    if name != "kafka":
        other = dependency.address(dependency.with_database(given, "9"))
        same = ("hosts", "user", "password")
        found["moved"] = [other.database, *(getattr(other, part) for part in same)]
        found["kept"] = ["9", *(getattr(address, part) for part in same)]
    return found

json.dump([judge(*case) for case in json.load(sys.stdin)], sys.stdout)
"""


def in_service(service: Service, code: str, value: object) -> Any:
    """What a script that reads and prints JSON makes of a value in a rendered service."""
    script = f"import io, sys; sys.stdin = io.StringIO({json.dumps(value)!r})\n{code}"
    done = service.run(str(service.python), "-c", script)
    assert done.code == 0, done.output
    return json.loads(done.output)


@pytest.fixture(scope="module")
def judged(installed: Installed) -> dict[Case, dict[str, Any]]:
    cases = [(case.name, case.given) for case in CASES]
    return dict(zip(CASES, in_service(installed(ALL), JUDGE, cases), strict=True))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_address_is_what_the_driver_would_connect_to(
    judged: dict[Case, dict[str, Any]], case: Case
) -> None:
    found = judged[case]

    assert found.get("url", "") == case.url
    if case.url:
        assert (found["database"], found["hosts"]) == (case.database, [list(h) for h in case.hosts])
        assert found["again"]
        assert found.get("moved") == found.get("kept")
    assert case.refused in (found["refused"] or "")
    assert bool(found["refused"]) == bool(case.refused)
    assert "\n" not in (found["refused"] or "")


@pytest.mark.parametrize(
    "case", [case for case in CASES if SECRET in case.given], ids=lambda case: str(case)
)
def test_password_is_never_shown(judged: dict[Case, dict[str, Any]], case: Case) -> None:
    found = judged[case]

    assert SECRET not in found["shown"]
    assert SECRET not in (found["refused"] or "")


TEST_WORDS = [
    *("test", "TEST", "Test", "test_", "test_1", "test1", "1test", "shop_test", "SHOP_TEST"),
    *("test-shop", "shop-test", "shop.test", "shop test", "testShop", "ShopTest", "TestShop"),
    *("shopTest2", "test_latest", "größe_test"),
]
OTHER_WORDS = [
    *("", "shop", "testimonials", "testdb", "tests", "testing", "latest", "contest", "attest"),
    *("Latest", "LATEST", "CONTEST", "Testimonials", "TESTIMONIALS", "protest_1", "greatest-hits"),
    *("ätest", "testä", "MyTestimonials", "tst", "te_st", "shop_testimonials", "latest_contest"),
]


def test_only_the_word_test_says_test(installed: Installed) -> None:
    code = (
        "import json, sys; from tests.testbed.address import says_test; "
        "json.dump([word for word in json.load(sys.stdin) if says_test(word)], sys.stdout)"
    )

    assert in_service(installed(ALL), code, TEST_WORDS + OTHER_WORDS) == TEST_WORDS


@pytest.fixture(scope="module")
def real(installed: Installed) -> Iterator[dict[str, str]]:
    """Addresses of a PostgreSQL and a Valkey with real data in database `shop` and in database 0."""
    service = installed(ALL)
    with servers(service, "postgres", "redis") as urls:
        done = service.run(str(service.python), "-c", PLANT, *urls.values())
        assert done.code == 0, done.output
        yield urls


PLANT = """
import sys
import psycopg, redis

postgres, cache = sys.argv[1:]
with psycopg.connect(postgres.replace("+psycopg", ""), autocommit=True) as connection:
    connection.execute("CREATE DATABASE shop")
    connection.execute("CREATE ROLE someone SUPERUSER LOGIN PASSWORD 's3cret'")
with psycopg.connect(postgres.replace("+psycopg", ""), dbname="shop") as connection:
    connection.execute("CREATE TABLE precious (id int)")
    connection.execute("INSERT INTO precious VALUES (1)")
client = redis.Redis.from_url(cache)
for number in range(4):
    client.select(number)
    client.set("precious", number)
"""

LOOK = """
import json, sys
import psycopg, redis

postgres, cache = sys.argv[1:]
with psycopg.connect(postgres.replace("+psycopg", ""), dbname="shop") as connection:
    tables = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    ).fetchall()
    rows = connection.execute("SELECT * FROM precious").fetchall()
    databases = connection.execute(
        "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1"
    ).fetchall()
client = redis.Redis.from_url(cache)
keys = {}
for number in range(4):
    client.select(number)
    keys[number] = [key.decode() for key in client.keys()]
print(json.dumps([tables, rows, databases, keys]))
"""


def remains(service: Service, real: dict[str, str]) -> Any:
    done = service.run(str(service.python), "-c", LOOK, *real.values())
    assert done.code == 0, done.output
    return json.loads(done.output)


def untouched(*emptied: int) -> Any:
    """What `LOOK` finds where only some databases of Redis were emptied."""
    keys = {str(number): [] if number in emptied else ["precious"] for number in range(4)}
    return [[["precious"]], [[1]], [["postgres"], ["shop"], ["test_db"]], keys]


def assert_refused(done: Outcome, message: str) -> None:
    assert done.code != 0
    assert message in done.output, done.output
    assert done.count("passed") == 0
    assert "Traceback" not in done.output
    assert "INTERNALERROR" not in done.output


CONTRACTS = {
    "postgres": "tests/integration/contract/test_postgres_contract.py",
    "redis": "tests/integration/contract/test_redis_contract.py",
}


@pytest.mark.parametrize(
    ("name", "query", "message"),
    [
        ("postgres", "?dbname=shop", "/shop, and nothing in that name says `test`"),
        ("redis", "?db=0&client_name=test", "it names two databases, 1 and 0"),
        ("redis", "?client_name=latest", "/1, and nothing in that name says `test`"),
    ],
)
def test_part_that_wins_is_refused_and_the_real_data_stays(
    contracts: Installed, real: dict[str, str], name: str, query: str, message: str
) -> None:
    url = re.sub(r"/0$", "/1", real[name]) + query

    done = contracts(ALL).pytest(CONTRACTS[name], env={dependencies()[name]["address"]: url})

    assert_refused(done, message)
    assert remains(contracts(ALL), real) == untouched()


def test_other_forms_work_and_the_real_data_stays(
    contracts: Installed, real: dict[str, str]
) -> None:
    rest = real["postgres"].partition("://")[2].replace("/test_db", "/shop")
    env = {
        "TEST_DATABASE_URL": f"postgresql+asyncpg://{rest}?dbname={LONG}",
        "TEST_REDIS_URL": real["redis"].removesuffix("/0") + "?db=3&client_name=test",
        **HOSTILE,
    }
    service = contracts(ALL)
    python = str(service.python)
    made = service.run(python, "-c", EXECUTE, real["postgres"], f'CREATE DATABASE "{LONG}"')
    assert made.code == 0, made.output

    done = service.pytest(*CONTRACTS.values(), env=env)

    # It fails if the database is gone.
    drop = service.run(python, "-c", EXECUTE, real["postgres"], f'DROP DATABASE "{LONG}"')
    assert done.all_passed, done.output
    assert drop.code == 0, drop.output
    assert remains(service, real) == untouched(3)


LONG = f"test_{'x' * 58}"
"""PostgreSQL cuts off any name that is longer."""

EXECUTE = """
import sys
import psycopg

with psycopg.connect(sys.argv[1].replace("+psycopg", ""), autocommit=True) as connection:
    connection.execute(sys.argv[2])
"""


USES_REDIS = """
import os
import time
from pathlib import Path

import pytest

ENDED = Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def ended():
    yield
    ENDED.joinpath(os.environ["PYTEST_XDIST_WORKER"] + ".ended").touch()


def test_uses_redis(redis_client):
    redis_client.set("key", "value")
    # Who ends gives its database back, and the other worker could have it.
    until = time.monotonic() + 60
    while not list(ENDED.glob("*.ended")):
        assert time.monotonic() < until, "the other worker has a database too"
        time.sleep(0.01)
"""


def test_two_workers_do_not_share_the_one_database_that_is_named(
    checkout: Checkout, real: dict[str, str]
) -> None:
    service = checkout("user")
    module = service.path / "tests/integration/test_shared.py"
    module.write_text(USES_REDIS)
    address = real["redis"].removesuffix("/0")
    env = {"TEST_REDIS_URL": f"{address}?db=2&client_name=test"}

    done = service.pytest("-n", "2", "--dist", "each", str(module), env=env)

    assert "redis: all of its databases for tests are taken (1)" in done.output
    assert done.count("passed") == done.count("error") == 1, done.output
    keys = remains(service, real)[3]
    assert keys.pop("2") == []
    assert [] not in [keys["0"], keys["1"]]


TWO_RUNS = """
import os, subprocess, sys


def test_inner(redis_client):
    redis_client.ping()


def test_outer(redis_client):
    env = os.environ | {"TEST_REDIS_URL": OTHER_SPELLING}
    command = [sys.executable, "-m", "pytest", "-k", "inner", __file__]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert "redis: all of its databases for tests are taken (1)" in done.stdout, done.stdout
"""


def test_two_spellings_of_one_database_are_not_used_at_once(
    checkout: Checkout, real: dict[str, str]
) -> None:
    service = checkout("user")
    module = service.path / "tests/integration/test_two_runs.py"
    address = real["redis"].removesuffix("/0")
    # Not in a variable: those that name a server are removed from the environment.
    module.write_text(f"{TWO_RUNS}\nOTHER_SPELLING = '{address}/2?client_name=test-2'\n")
    env = {"TEST_REDIS_URL": f"{address}?db=2&client_name=test"}

    done = service.pytest(str(module), "-k", "outer", env=env)

    assert done.all_passed, done.output


HOSTILE = {
    "PGHOST": "10.255.255.1",
    "PGHOSTADDR": "10.255.255.1",
    "PGPORT": "1",
    "PGUSER": "nobody",
    "PGPASSWORD": "wrong",
    "PGDATABASE": "shop",
    "PGSERVICE": "nosuch",
    "PGSSLMODE": "verify-full",
    "PGOPTIONS": "-c no_such_setting=1",
    "PGCONNECT_TIMEOUT": "none",
    "PGDATA": "/nowhere",
}


def test_variables_of_libpq_do_not_reach_the_embedded_server(contracts: Installed) -> None:
    done = contracts(ALL).pytest(CONTRACTS["postgres"], "--servers", "embedded", env=HOSTILE)

    assert done.all_passed, done.output


OWN_FIXTURES = """
import pytest
from sqlalchemy import create_engine


@pytest.fixture(scope="session")
def postgres_engine():
    engine = create_engine(REAL_DATABASE)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def redis_url():
    return REAL_CACHE


def test_rolled_back(postgres_session):
    raise AssertionError("it has a session of a real database")


def test_committed(postgres_committed):
    raise AssertionError("it has sessions of a real database")


def test_emptied(redis_client):
    raise AssertionError("it has a client of a real database")
"""


def test_fixture_of_the_user_has_nothing_of_its_own_emptied(
    checkout: Checkout, real: dict[str, str]
) -> None:
    service = checkout("user")
    module = service.path / "tests/integration/test_own.py"
    real_database = real["postgres"].replace("/test_db", "/shop")
    module.write_text(
        f"{OWN_FIXTURES}\nREAL_DATABASE = '{real_database}'\nREAL_CACHE = '{real['redis']}'\n"
    )
    env = {
        "TEST_DATABASE_URL": real["postgres"],
        "TEST_REDIS_URL": real["redis"].replace("/0", "/3") + "?client_name=test",
    }

    done = service.pytest(str(module), env=env)

    assert done.count("errors") == 3, done.output
    assert done.output.count("they made, not shop") >= 2
    assert "redis: the tests empty only redis://" in done.output
    before, after = untouched(2, 3), remains(service, real)
    assert after[:3] == before[:3]
    assert after[3]["0"] == ["precious"]


def test_password_is_not_in_the_report_of_a_failed_test(
    checkout: Checkout, real: dict[str, str]
) -> None:
    service = checkout("user")
    module = service.path / "tests/integration/test_fails.py"
    module.write_text(
        "def test_fails(postgres_url, postgres_server, postgres_database, redis_url):\n"
        "    assert not postgres_url\n"
    )
    env = {
        "TEST_DATABASE_URL": re.sub("//.*@", f"//someone:{SECRET}@", real["postgres"]),
        "TEST_REDIS_URL": real["redis"].removesuffix("/0") + "/3?client_name=test",
    }

    done = service.pytest(str(module), "--showlocals", env=env)

    assert done.count("failed") == 1, done.output
    assert "postgres_url = 'postgresql+psycopg://someone:***@" in done.output
    assert SECRET not in done.output


def test_record_of_other_names_drops_nothing(installed: Installed, real: dict[str, str]) -> None:
    service = installed(ALL)

    done = service.run(str(service.python), "-c", TEAR_DOWN, real["postgres"])

    assert done.code == 0, done.output
    assert remains(service, real)[:3] == untouched()[:3]


TEAR_DOWN = """
import sys
from pathlib import Path
from tests.testbed.cleanup import tear_down
from tests.testbed.run import Run, Server

run = Run.create(Path.cwd())
run.remember(Server("postgres", "external", sys.argv[1]), "shop")
tear_down(run)
assert not run.folder.exists()
"""
