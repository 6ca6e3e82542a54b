"""What pytest prints in a rendered service: failures, what was not run, progress, broken fixture modules."""

import re
from collections.abc import Callable

import pytest

from .conftest import Checkout, Installed
from .service import Outcome, Service

SOURCES = ["embedded", pytest.param("containers", marks=pytest.mark.engine)]
FAILURE_LIMIT = 4000
"""Bytes that a run with one failed assertion may print."""
ERASED = "\x1b[K\x1b7\x1b[B\n\x1b[K\x1b8"
"""What takes the line of the progress away, as it is read: a carriage return ends a line."""
IN_TERMINAL = "import pty, sys; pty.spawn(sys.argv[1:])"

PLANTED = """
from sqlalchemy import text

def test_planted(postgres_session, redis_client, kafka_producer, kafka_topic):
    postgres_session.execute(text("SELECT 1"))
    redis_client.set("key", "value")
    kafka_producer.produce(kafka_topic, b"value")
    kafka_producer.flush(10)
    found = {f"name-{n}": n for n in range(12)}
    assert found == found | {"name-7": 70}
"""

PROBLEMS = """
import pytest
from sqlalchemy import text

def test_problems(postgres_session):
    for number in range(15):
        with pytest.raises(Exception):
            postgres_session.execute(text(f"SELECT missing_{number}"))
        postgres_session.rollback()
    assert False
"""

ENDED = """
from sqlalchemy import create_engine, text

def test_ended(postgres_session, postgres_url):
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        ended = connection.scalar(text("SELECT pg_backend_pid()"))
        postgres_session.execute(text(f"SELECT pg_terminate_backend({ended}, 5000)"))
        connection.invalidate()
    assert False
"""

NOT_READY = """
import pytest
from tests.testbed.processes import NotReady

@pytest.fixture
def server():
    raise NotReady("the server has gone")

def test_not_ready(server):
    pass
"""

QUICK_PROGRESS = """
from tests.testbed import report

report.PROGRESS_AFTER, report.PROGRESS_INTERVAL = 0.0, 0.01
"""

PULLED = """
from tests.testbed.report import describe
from tests.testbed.sources import Source

def source(name, detail):
    return Source(name, f"test-x of docker-compose.test.yml, {detail}")

sources = {
    "kafka": source("containers", "no.such/image:1"),
    "postgres": source("containers", "no.such/image:2, to be pulled"),
    "redis": source("embedded", "Valkey"),
}
print(describe(sources, list(sources)))
"""

MINE = """
def test_of_kafka(kafka_topic):
    pass

def test_of_redis(redis_client):
    redis_client.ping()

def test_of_neither():
    pass
"""


@pytest.fixture
def source(request: pytest.FixtureRequest) -> str:
    if request.param == "containers":
        request.getfixturevalue("engine")
    return str(request.param)


def write_test(service: Service, text: str) -> str:
    path = "tests/integration/test_mine.py"
    (service.path / path).write_text(text)
    return path


@pytest.mark.parametrize("source", SOURCES, indirect=True)
def test_failed_assertion_is_all_that_is_printed(checkout: Checkout, source: str) -> None:
    service = checkout("user")
    path = write_test(service, PLANTED)

    done = service.pytest(path, "--servers", source)

    lines = done.output.splitlines()
    assert len(done.output.encode()) < FAILURE_LIMIT, done.output
    assert f"FAILED {path}::test_planted - AssertionError: assert {{" in lines[-2]
    # The difference is whole, and is between lines that are alike.
    assert re.search(r"^E +- +'name-7': 70,$", done.output, re.MULTILINE), done.output
    assert re.search(r"^E + 'name-11': 11,$", done.output, re.MULTILINE), done.output
    assert "server log" not in done.output
    # No client's last words follow.
    assert "1 failed in" in lines[-1]


@pytest.mark.parametrize("source", SOURCES, indirect=True)
def test_log_below_a_failure_has_the_last_problems_only(checkout: Checkout, source: str) -> None:
    service = checkout("user", "postgres")
    path = write_test(service, PROBLEMS)

    done = service.pytest(path, "--servers", source)

    section = done.output.partition("postgres server log")[2].partition("\n==")[0]
    log = section.splitlines()[1:]
    assert len(log) == 10, done.output
    assert log[0] == "(21 more lines before these)"
    assert 'column "missing_14" does not exist' in log[-2]
    assert not any(" LOG: " in line for line in log)
    assert max(map(len, log)) <= 200


def test_connection_that_a_superuser_ended_is_no_problem_of_the_log(checkout: Checkout) -> None:
    """The fixtures end the connections to a database before they copy or drop it."""
    service = checkout("user", "postgres")
    path = write_test(service, ENDED)

    done = service.pytest(path, "--servers", "embedded")

    assert "1 failed in" in done.output, done.output
    assert "assert False" in done.output
    assert "server log" not in done.output


def test_skips_and_errors_are_listed_with_their_reasons(checkout: Checkout) -> None:
    service = checkout("user", "postgres")
    long_name = "test_" + "with_a_name_that_fills_the_line_" * 3
    skipped = f"import pytest\ndef test_skipped(): pytest.skip('no key')\ndef {long_name}(): assert not 'this'\n"
    path = write_test(service, NOT_READY + skipped)

    done = service.pytest(path, "--servers", "embedded")

    assert re.search(rf"^SKIPPED \[1\] {path}:\d+: no key$", done.output, re.MULTILINE)
    assert f"FAILED {path}::{long_name} - AssertionError: assert not 'this'" in done.output
    assert f"ERROR {path}::test_not_ready - the server has gone\n" in done.output
    # An error of the testbed is a line without a traceback.
    assert re.search(
        r"^_+ ERROR at setup of test_not_ready _+\nthe server has gone\n-",
        done.output,
        re.MULTILINE,
    )


def test_run_has_the_tests_that_the_command_line_names(checkout: Checkout) -> None:
    service = checkout("user", "redis")
    cache, unit = write_test(service, MINE), "tests/unit/test_own.py"
    (service.path / unit).write_text("def test_of_neither():\n    pass\n")

    def selected(*arguments: str) -> tuple[int, int]:
        """How many tests of the integration file and of the unit file are selected."""
        done = service.pytest("--collect-only", "-q", "--servers", "embedded", *arguments)
        return done.output.count(f"{cache}::"), done.output.count(f"{unit}::")

    assert selected(unit, cache) == (3, 1)
    assert selected(f"{cache}::test_of_redis", unit) == (1, 1)
    assert selected("-k", "of_neither") == (1, 1)
    assert selected("-k", "of_neither", "-m", "unit") == (0, 1)
    assert selected("-m", "unit", unit, cache) == (0, 1)
    assert selected("-munit", cache) == (0, 0)
    assert selected() == (0, 1)
    done = service.pytest("-k", "of_neither", "-n", "2", "--servers", "embedded")
    assert (done.code, done.count("passed")) == (0, 2), done.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-m", "unit", "tests/integration"], "none matches -m 'unit'; add -m \"\" to include"),
        (["-k", "no_such"], "none matches -k 'no_such'\n"),
        (["-m", "redis", "-k", "no_such"], "none matches -m 'redis' -k 'no_such'; add -m"),
    ],
)
def test_run_without_a_test_says_how_to_include_some(
    installed: Installed, arguments: list[str], reason: str
) -> None:
    done = installed(("redis",)).pytest(*arguments, "--servers", "embedded")

    assert done.code == pytest.ExitCode.NO_TESTS_COLLECTED, done.output
    assert f"\nno test ran: {reason}" in done.output


def in_terminal(service: Service, *arguments: str, **env: str) -> Outcome:
    (service.path / "quick_progress.py").write_text(QUICK_PROGRESS)
    command = service.pytest_command("-p", "quick_progress", "--servers", "embedded", *arguments)
    return service.run(
        str(service.python), "-c", IN_TERMINAL, *command, env={"TERM": "xterm", **env}
    )


@pytest.mark.parametrize("workers", ["0", "2"])
def test_terminal_shows_what_a_run_waits_for(
    checkout: Checkout, workers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    service = checkout("user", "postgres")
    path = write_test(service, "def test_fails(postgres_session): assert False\n")

    done = in_terminal(service, path, "-n", workers)

    assert "waiting for postgres (embedded) 0 s" in done.output
    after = done.output.rpartition("waiting for")[2]
    assert ERASED in after.partition("FAILURES")[0]
    assert "1 failed" in after
    assert "Captured" not in done.output


def test_progress_is_quiet_in_ci_and_without_a_terminal(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    service = checkout("user", "postgres")
    path = write_test(service, "def test_passes(postgres_session): pass\n")

    in_ci = in_terminal(service, path, CI="true")
    piped = service.pytest("-p", "quick_progress", path, "--servers", "embedded")

    assert in_ci.count("passed") == 1 and piped.all_passed, in_ci.output + piped.output
    assert "waiting for" not in in_ci.output + piped.output


def test_progress_says_which_image_is_pulled(installed: Installed) -> None:
    service = installed(("postgres",))

    done = service.run(str(service.python), "-c", PULLED)

    assert done.output == (
        "kafka (containers), postgres (containers: pulling no.such/image:2), redis (embedded)\n"
    )


def remove_package(service: Service) -> None:
    (service.path / "src" / "shop").rename(service.path / "gone")
    make_unimportable(service, "shop")


def remove_adapter(service: Service) -> None:
    (service.path / "src" / "shop" / "adapters" / "kafka.py").unlink()


def remove_driver(service: Service) -> None:
    make_unimportable(service, "confluent_kafka")


def make_unimportable(service: Service, package: str) -> None:
    """Hide a package of the shared environment: src comes first on the path."""
    reason = f"No module named '{package}'"
    (service.path / "src" / f"{package}.py").write_text(f"raise ModuleNotFoundError({reason!r})\n")


def break_syntax(service: Service) -> None:
    with (service.path / "tests" / "fixtures" / "kafka.py").open("a") as file:
        file.write("def (\n")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (remove_package, "ModuleNotFoundError: No module named 'shop'"),
        (remove_adapter, "ModuleNotFoundError: No module named 'shop.adapters.kafka'"),
        (remove_driver, "ModuleNotFoundError: No module named 'confluent_kafka'"),
        (break_syntax, "SyntaxError: invalid syntax (kafka.py, line "),
    ],
)
@pytest.mark.parametrize("conftest", ["the template's", "the user's"])
def test_broken_fixture_module_stops_only_the_tests_that_need_it(
    checkout: Checkout,
    damage: Callable[[Service], None],
    reason: str,
    conftest: str,
) -> None:
    service = checkout("user")
    path = write_test(service, MINE)
    if conftest == "the user's":
        (service.path / "tests" / "conftest.py").write_text("")
    damage(service)

    done = service.pytest("-m", "", path, "--servers", "embedded")

    line = f"tests/fixtures/kafka.py cannot be imported ({reason}"
    assert done.count("passed") == 2, done.output
    assert f"\ntestbed: {line}" in done.output
    assert re.search(
        rf"^_+ ERROR at setup of test_of_kafka _+\n{re.escape(line)}.*\n[_=-]",
        done.output,
        re.MULTILINE,
    )
    assert "INTERNALERROR" not in done.output
    assert "Traceback" not in done.output
