"""Where servers come from: what is passed over, and that a test gives one result from each source."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml

from .conftest import Checkout, Installed
from .service import Outcome, Service
from .test_run import eventually, servers
from .variants import dependencies, variants

ALL = variants()[-1]
CONTRACT = ("-m", "", "-k", "RedisContract")
CONTAINERS = pytest.param("containers", marks=pytest.mark.engine)

NO_IMAGE = "localhost:1/no/such-image:1"
"""An image of a registry that refuses connections at once."""

FAKE_DOCKER = """#!/bin/sh
case "$1" in
    ps) exit 0 ;;
    image) exit 0 ;;
    context) echo '{endpoint}' ;;
    compose) {compose} ;;
    *) exit 1 ;;
esac
"""
CONFIG = 'echo \'{"services": {"test-redis": {"image": "redis"}}}\''

FAKE_SERVER = "#!/bin/sh\necho 'a server on PATH was asked' >&2\nexit 1\n"


def program(folder: Path, name: str, text: str) -> dict[str, str]:
    """Put a program before all others of that name; return the environment."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def compose(service: Service, *arguments: str, cwd: Path | None = None) -> None:
    # The folders of all tests have one name.
    project = "mine" + hashlib.sha256(bytes(service.path)).hexdigest()[:8]
    file = ["--file", "docker-compose.test.yml"]
    command = ["docker", "compose", *file, "--project-name", project, *arguments]
    done = subprocess.run(
        command,
        cwd=cwd or service.path,
        env=service.clean_environment() | {"PWD": str(cwd or service.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def edit_service(service: Service, name: str, **changes: object) -> None:
    path = service.path / "docker-compose.test.yml"
    content = yaml.safe_load(path.read_text())
    content["services"][name].update(changes)
    path.write_text(yaml.safe_dump(content))


def free_port(service: Service) -> str:
    code = "from tests.testbed.processes import hold_port; print(hold_port().getsockname()[1])"
    return service.run(str(service.python), "-c", code).output.strip()


@pytest.mark.parametrize("source", ["embedded", CONTAINERS])
def test_parity(
    checkout: Checkout, request: pytest.FixtureRequest, tmp_path: Path, source: str
) -> None:
    if source == "containers":
        request.getfixturevalue("engine")
    service = checkout("user")
    service.add_tests("parity")
    parity = ("-m", "", "tests/integration/parity")
    # As on a developer's machine.
    env = {"PARITY_SETTINGS": str(tmp_path / source), "TZ": "Asia/Tokyo", "LC_ALL": "de_DE.UTF-8"}

    done = service.pytest(*parity, "--servers", source, env=env)

    assert done.code == 0 and done.count("passed") > 30, done.output
    skipped = re.findall(r"^SKIPPED \[(\d+)\] (.*)", done.output, re.MULTILINE)
    assert done.count("skipped") == sum(int(count) for count, _ in skipped)
    # Only Tansu skips, and says so.
    assert all("the embedded broker Tansu has no " in reason for _, reason in skipped)
    assert bool(skipped) == (source == "embedded")
    if source == "containers":
        env["PARITY_SETTINGS"] = str(tmp_path / "embedded")
        service.pytest(*parity, "-k", "settings_of_clients", "--servers", "embedded", env=env)
        found = [json.loads((tmp_path / name).read_text()) for name in (source, "embedded")]
        assert found[0] == found[1]


LIMITS = """
import threading

import pytest
from confluent_kafka import Consumer, Producer, SerializingProducer
from confluent_kafka.admin import NewTopic
from confluent_kafka.aio import AIOProducer

TRANSACTIONAL = {"transactional.id": "x"}


@pytest.fixture
def kafka_consumer_config(kafka_consumer_config):
    return kafka_consumer_config | {"group.protocol": "consumer"}


def test_fixture(kafka_consumer): ...


def test_keywords(kafka_url):
    Producer(**{"bootstrap.servers": kafka_url, **TRANSACTIONAL})


def test_serializing(kafka_url):
    SerializingProducer({"bootstrap.servers": kafka_url, **TRANSACTIONAL})


async def test_async(kafka_url):
    AIOProducer({"bootstrap.servers": kafka_url, **TRANSACTIONAL})


def test_thread(kafka_url):
    def run():
        try:
            Producer({"bootstrap.servers": kafka_url, **TRANSACTIONAL})
        except BaseException:
            pass

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_failure_that_follows(kafka_url):
    try:
        Producer({"bootstrap.servers": kafka_url, **TRANSACTIONAL})
    except BaseException:
        raise AssertionError("the code under test made another error of it")


def test_large(kafka_producer, kafka_topic):
    kafka_producer.produce(kafka_topic, b"x" * 1_048_600)


def test_topic(kafka_admin_client):
    kafka_admin_client.create_topics([NewTopic("a", 1, 1, config={"cleanup.policy": "compact"})])
"""


def test_what_tansu_lacks_is_skipped_in_whatever_way_it_is_used(checkout: Checkout) -> None:
    service = checkout("user", "kafka")
    (service.path / "tests" / "integration" / "test_limits.py").write_text(LIMITS)

    done = service.pytest("-m", "", "-k", "test_limits", "--servers", "embedded")

    reason = "the embedded broker Tansu has no transactions: use containers, or Apache Kafka"
    assert (done.code, done.count("skipped")) == (0, 8), done.output
    assert reason in done.output
    assert "no group.protocol=consumer: " in done.output


@pytest.fixture(scope="session")
def kafka_home(shared_folder: Path, engine: None) -> Path:
    """A folder with Apache Kafka as its archive has it, from the jars of the image."""
    if not shutil.which("java"):
        pytest.skip("no java")
    home = shared_folder / "kafka-home"
    if not home.exists():
        home.mkdir()
        image = "apache/kafka:4.3.1"
        create = ["docker", "create", image]
        made = subprocess.run(create, capture_output=True, text=True, check=True).stdout.strip()
        copy = ["docker", "cp", f"{made}:/opt/kafka/libs", str(home)]
        subprocess.run(copy, check=True, capture_output=True)
        subprocess.run(["docker", "rm", made], check=True, capture_output=True)
        (home / "bin").mkdir()
        tools = {"server-start": "kafka.Kafka", "storage": "kafka.tools.StorageTool"}
        for name, main in tools.items():
            options = "$KAFKA_HEAP_OPTS $KAFKA_JVM_PERFORMANCE_OPTS"
            start = f"exec java {options} -cp '{home}/libs/*' {main} \"$@\""
            program(home / "bin", f"kafka-{name}.sh", f"#!/bin/sh\n{start}\n")
    return home


@pytest.mark.engine
def test_apache_kafka_of_this_machine_goes_before_tansu(
    checkout: Checkout, kafka_home: Path, nothing_left: Callable[[Service], None]
) -> None:
    service = checkout("user", "kafka")
    nothing_left(service)
    service.add_tests("parity")

    done = service.pytest(
        *("-m", "", "-k", "Parity or KafkaContract", "--servers", "embedded"),
        env={"KAFKA_HOME": str(kafka_home)},
    )

    assert done.all_passed, done.output
    assert "\nkafka: embedded (Apache Kafka 4.3.1, " in done.output


@pytest.mark.parametrize(
    ("name", "program_names", "version"),
    [
        ("redis", ["redis-server", "valkey-server"], "Valkey 9."),
        ("postgres", ["postgres", "initdb"], "PostgreSQL 18."),
        ("kafka", ["tansu"], "Tansu 0."),
    ],
)
def test_wheel_goes_before_a_program_on_path(
    contracts: Installed, tmp_path: Path, name: str, program_names: list[str], version: str
) -> None:
    for each in program_names:
        env = program(tmp_path / "bin", each, FAKE_SERVER)

    done = contracts(ALL).pytest(
        *("-m", "", "-k", f"{name.title()}Contract", "--servers", "embedded"), env=env
    )

    assert done.all_passed, done.output
    assert f"\n{name}: embedded ({version}" in done.output


@pytest.mark.engine
@pytest.mark.parametrize("source", ["auto", "containers"])
def test_image_that_cannot_be_pulled(
    checkout: Checkout, engine: None, nothing_left: Callable[[Service], None], source: str
) -> None:
    service = checkout("user")
    nothing_left(service)

    done = service.pytest(
        *("-m", "", "-k", "RedisContract or PostgresContract", "--servers", source),
        env={"POSTGRES_IMAGE": NO_IMAGE},
    )

    reason = f"the image {NO_IMAGE} cannot be pulled: "
    header = f"test-postgres of docker-compose.test.yml, {NO_IMAGE}, to be pulled"
    assert f"\npostgres: containers ({header})" in done.output
    assert "Traceback" not in done.output
    if source == "auto":
        assert done.all_passed, done.output
        assert f"\npostgres: embedded, passed over containers: {reason}" in done.output
        # The others are what the header says.
        assert "\nredis: embedded" not in done.output
    else:
        assert done.code != 0
        assert f"postgres: PostgreSQL did not come up: {reason}" in done.output


@pytest.mark.engine
def test_container_that_is_unhealthy_is_passed_over(
    checkout: Checkout, engine: None, nothing_left: Callable[[Service], None]
) -> None:
    service = checkout("user", "redis")
    nothing_left(service)
    check = {"test": ["CMD", "false"], "interval": "100ms", "retries": 1}
    edit_service(service, "test-redis", healthcheck=check)

    done = service.pytest(*CONTRACT)

    assert done.all_passed, done.output
    assert "\nredis: embedded, passed over containers: " in done.output
    assert "is unhealthy" in done.output


def test_docker_without_compose_is_passed_over(contracts: Installed, tmp_path: Path) -> None:
    missing = "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1"
    docker = FAKE_DOCKER.format(endpoint="unix:///var/run/docker.sock", compose=missing)

    done = contracts(("redis",)).pytest(*CONTRACT, env=program(tmp_path / "bin", "docker", docker))

    line = "testbed: passed over containers: `docker` has no Compose plugin: install docker-compose-plugin"
    assert done.all_passed, done.output
    assert line in done.output.splitlines()
    assert "\nredis: embedded (" in done.output


@pytest.mark.parametrize("endpoint", ["ssh://me@build.example.com", "tcp://build.example.com:2376"])
def test_engine_of_another_machine_is_passed_over(
    contracts: Installed, tmp_path: Path, endpoint: str
) -> None:
    docker = FAKE_DOCKER.format(endpoint=endpoint, compose=CONFIG)

    done = contracts(("redis",)).pytest(*CONTRACT, env=program(tmp_path / "bin", "docker", docker))

    [line] = [line for line in done.output.splitlines() if line.startswith("testbed: ")]
    assert done.all_passed, done.output
    assert line.startswith("testbed: passed over containers: the engine runs on build.example.com")
    assert "set TESTCONTAINERS_HOST_OVERRIDE=build.example.com if" in line
    assert "\nredis: embedded (" in done.output


@pytest.mark.engine
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a network namespace")
@pytest.mark.parametrize("running", [False, True], ids=["containers", "running"])
def test_engine_whose_ports_cannot_be_reached_is_passed_over(
    checkout: Checkout, engine: None, nothing_left: Callable[[Service], None], running: bool
) -> None:
    """As in a dev container that uses its host's engine: the socket is there, the ports are not."""
    service = checkout("user", "redis")
    nothing_left(service)
    if running:
        service.environment["REDIS_PORT"] = free_port(service)
        compose(service, "up", "--detach", "--wait")
    network = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    try:
        done = service.run(*network, *service.pytest_command(*CONTRACT), timeout=60)
    finally:
        compose(service, "down", "--volumes")

    assert done.all_passed, done.output
    assert "\nredis: embedded, passed over containers: " in done.output
    assert "set TESTCONTAINERS_HOST_OVERRIDE to a name of that machine" in done.output
    assert ("\ntestbed: passed over running: test-redis of project " in done.output) == running


REACH = """
import sys
from tests.testbed.dependency import known
from tests.testbed.plugin import ROOT
from tests.testbed.run import Run
from tests.testbed.testbed import Testbed

testbed = Testbed(Run.create(ROOT), ROOT, "containers", 60)
names = sys.argv[1:]
testbed.start(names)
for name in names:
    url = testbed.server(name).url
    known()[name].check(url)
    print("reached", url)
testbed.close()
"""


@pytest.mark.engine
def test_host_override_says_where_published_ports_are(checkout: Checkout, engine: None) -> None:
    service = checkout("user")
    # Any address of this machine that is not the loopback.
    found = (each for addresses in psutil.net_if_addrs().values() for each in addresses)
    inet = [each.address for each in found if each.family == socket.AF_INET]
    host = next(address for address in inet if not address.startswith("127."))

    done = service.run(
        *(str(service.python), "-c", REACH, *ALL), env={"TESTCONTAINERS_HOST_OVERRIDE": host}
    )

    reached = re.findall(r"^reached .*", done.output, re.MULTILINE)
    assert len(reached) == len(ALL), done.output
    assert all(host in line for line in reached), done.output


@pytest.mark.engine
def test_running_is_found_through_a_link_and_by_the_servers_own_port(
    checkout: Checkout, engine: None
) -> None:
    service = checkout("user", "redis")
    link = service.path.parent / "link"
    link.symlink_to(service.path)
    port = free_port(service)
    # The engine lists the lower one first.
    edit_service(service, "test-redis", ports=["127.0.0.1::1111", f"127.0.0.1:{port}:6379"])
    try:
        compose(service, "up", "--detach", "--wait", cwd=link)
        done = service.pytest(*CONTRACT)
    finally:
        compose(service, "down", "--volumes", cwd=link)

    assert done.all_passed, done.output
    assert re.search(
        rf"^redis: running \(test-redis of project \w+, port {port}, ", done.output, re.MULTILINE
    )


@pytest.mark.engine
def test_container_is_reached_by_the_servers_own_port(
    checkout: Checkout, engine: None, nothing_left: Callable[[Service], None]
) -> None:
    service = checkout("user", "redis")
    nothing_left(service)
    ports = ["127.0.0.1::1111", "127.0.0.1:${REDIS_PORT:-6380}:6379", "127.0.0.1::7777"]
    edit_service(service, "test-redis", ports=ports)

    done = service.pytest(*CONTRACT, "--servers", "containers")

    assert done.all_passed, done.output


@pytest.mark.engine
def test_running_service_that_is_paused_is_passed_over(checkout: Checkout, engine: None) -> None:
    service = checkout("user", "redis")
    service.environment["REDIS_PORT"] = free_port(service)
    try:
        compose(service, "up", "--detach", "--wait")
        compose(service, "pause")
        eventually(lambda: "(Paused)" in service.run("docker", "ps").output)
        done = service.pytest(*CONTRACT, "--servers", "auto")
    finally:
        compose(service, "unpause")
        compose(service, "down", "--volumes")

    assert done.all_passed, done.output
    assert re.search(
        r"\ntestbed: passed over running: test-redis of project \w+ is paused\n", done.output
    )
    assert "\nredis: containers (" in done.output


OLD_SERVER = """
import sys
from tests.fixtures.postgres import Databases

class Old(Databases):
    _version = int(sys.argv[1])
    def __init__(self): ...
    def _execute(self, statement): print(statement)

Old()._copy("template", "name_1")
"""


@pytest.mark.parametrize(("version", "says"), [(14, ""), (15, " STRATEGY FILE_COPY")])
def test_old_postgres_is_told_no_strategy(installed: Installed, version: int, says: str) -> None:
    service = installed(("postgres",))

    done = service.run(str(service.python), "-c", OLD_SERVER, str(version))

    assert done.output == f'CREATE DATABASE "name_1" TEMPLATE "template"{says}\n'


MIGRATION = '''
"""An extension."""
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{before}", None, None

def upgrade():
    op.execute('CREATE EXTENSION IF NOT EXISTS "no-such-thing"')
    op.execute("CREATE EXTENSION another_one")

def downgrade():
    op.execute('DROP EXTENSION "no-such-thing"')
'''


def test_extensions_that_the_server_lacks_are_named(checkout: Checkout) -> None:
    service = checkout("user", "postgres")
    versions = next(service.path.glob("src/*/adapters/postgres/migrations/versions"))
    before = re.search(
        r'^revision\b.*?"(\w+)"', max(versions.glob("0*.py")).read_text(), re.MULTILINE
    )
    assert before
    (versions / "9999_extension.py").write_text(MIGRATION.format(before=before[1]))

    done = service.pytest("-m", "", "-k", "PostgresContract", "--servers", "embedded")

    assert done.code != 0
    assert (
        "this server does not have: another_one, no-such-thing. Set POSTGRES_IMAGE" in done.output
    )
    assert 'extension "no-such-thing" is not available' in done.output
    assert "Traceback" not in done.output
    assert done.count("error") == 1


RESTRICTED = """
import sys
from urllib.parse import urlsplit
import redis

redis.Redis.from_url(sys.argv[1]).execute_command(
    "ACL", "SETUSER", "test", "on", ">secret", "~*", "&*", "+@all", "-config"
)
print("redis://test:secret@" + urlsplit(sys.argv[1]).netloc.rpartition("@")[2])
"""


def test_redis_user_without_the_right_to_configure(installed: Installed) -> None:
    service = installed(("redis",))
    with servers(service, "redis") as urls:
        made = service.run(str(service.python), "-c", RESTRICTED, urls["redis"])
        env = {"TEST_REDIS_URL": made.output.strip()}
        done: Outcome = service.pytest(
            "-m", "", "-k", "RedisCache", "--servers", "external", env=env
        )

    assert done.all_passed, done.output


def test_guide_says_where_the_sources_differ(installed: Installed) -> None:
    guide = (installed(ALL).path / "tests" / "README.md").read_text()

    for name, facts in dependencies().items():
        assert facts["differs"], name
        assert all(f"- {line}" in guide for line in facts["differs"])
