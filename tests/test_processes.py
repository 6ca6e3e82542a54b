"""Processes and files of a run: who can reach them, and what remains after a failure."""

import json
import os
import pwd
import random
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from .conftest import Checkout, Installed, Render
from .kills import Kills
from .service import Outcome, Service
from .test_run import ALL, eventually, servers

PLACES = """
import json, os, shutil, sys
from pathlib import Path
from tests.testbed import cleanup, dependency, processes, run
from tests.testbed.plugin import ROOT
from tests.testbed.run import Run, Server

memory, disk = Path(sys.argv[1]) / "memory", Path(sys.argv[1]) / "disk"
memory.mkdir(exist_ok=True)
disk.mkdir(exist_ok=True)
run.SHARED_MEMORY = memory
run.tempfile.gettempdir = lambda: str(disk)
name = f"testbed-{os.getuid()}"

def room(megabytes):
    usage = shutil._ntuple_diskusage(0, 0, megabytes * 1024 * 1024)
    shutil.disk_usage = lambda path: usage
"""
"""Where runs go, moved to a folder of the test, so that what it leaves disturbs nobody."""


@pytest.fixture
def python(render: Render, tmp_path: Path) -> Callable[..., Outcome]:
    """Function that runs code with the testbed of a rendered service; its runs are in `tmp_path`."""
    service = render(tmp_path / "shop", dependencies=["postgres", "redis"])

    def python(code: str, path: str | None = None) -> Outcome:
        env = {"PATH": path} if path else {}
        command = (sys.executable, "-c", PLACES + code, str(tmp_path))
        return service.run(*command, env={**env, "HOME": str(tmp_path)})

    return python


@pytest.fixture
def docker(tmp_path: Path) -> Callable[[str], str]:
    """Function that puts a script in the place of `docker`, and returns the PATH for it."""

    def docker(script: str) -> str:
        program = tmp_path / "bin" / "docker"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return f"{program.parent}:{os.environ['PATH']}"

    return docker


@pytest.mark.parametrize(
    "obstacle",
    [
        "(memory / name).symlink_to(disk)",
        "(memory / name).write_text('a file')",
        pytest.param(
            "(memory / name).mkdir(); os.chown(memory / name, 65534, 65534)",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away"),
        ),
    ],
    ids=["link", "file", "another user"],
)
def test_the_next_place_is_taken_if_a_folder_belongs_to_somebody_else(
    python: Callable[..., Outcome], obstacle: str
) -> None:
    code = """
print(Run.create(ROOT).folder.parent == disk / name)
(disk / name).rename(disk / "away")
(disk / name).symlink_to(memory)
print(run.home() == Path.home() / f".{name}")
"""

    done = python(obstacle + code)

    assert done.output.split() == ["True", "True"], done.output


def test_claims_and_runs_do_not_depend_on_free_memory(python: Callable[..., Outcome]) -> None:
    done = python("""
server = Server("redis", "external", "redis://somewhere")
room(10_000)
holder = Run.create(ROOT)
number = holder.claim(server, [1, 2])
first = Run.shared(ROOT, "worker-1")
room(1)
print(number, Run.create(ROOT).claim(server, [1, 2]))
print(Run.shared(ROOT, "worker-1").folder == first.folder)
print(sorted(folder.folder.parent.parent.name for folder in run.runs_of(ROOT)))
""")

    assert done.output.splitlines() == ["1 2", "True", "['disk', 'memory', 'memory']"], done.output


def test_only_the_user_reads_the_files_of_a_run(python: Callable[..., Outcome]) -> None:
    done = python("""
from tests.testbed.testbed import Testbed
os.umask(0)
created = Run.create(ROOT)
assert created.password == Run(created.folder).password != Run.create(ROOT).password
created.publish(Server("redis", "embedded", f"redis://:{created.password}@somewhere"))
created.remember(Server("redis", "external"), "test-")
created.claim(Server("redis", "embedded"), [1])
with created.once("it"):
    pass
launcher = processes.Launcher("redis", created.folder, 1234, created.password)
launcher.spawn(["true"])
launcher.process.wait()
for path in [created.folder, *created.folder.rglob("*")]:
    print(oct(path.stat().st_mode & 0o777), path.name)
    if path.name not in ("it.done",):
        assert not path.stat().st_mode & 0o077, path
""")

    assert done.code == 0, done.output


def test_record_is_written_whole_or_not_at_all(python: Callable[..., Outcome]) -> None:
    done = python("""
record = Run.create(ROOT).folder / "postgres.leftovers"
run.write(record, "whole")
try:
    # A text that cannot be encoded stands for a disk that is full.
    run.write(record, "half \\udcff")
except UnicodeEncodeError:
    print(record.read_text())
""")

    assert done.output == "whole\n", done.output


def test_unreadable_record_is_a_line_in_the_report(python: Callable[..., Outcome]) -> None:
    done = python("""
for text in ("", "[]", '{"name": "postgres"}'):
    killed = Run.create(ROOT)
    (killed.folder / "postgres.leftovers").write_text(text)
    killed.leave()
    print(*cleanup.sweep(ROOT), sep="\\n")
    print(cleanup.sweep(ROOT), cleanup.sweep(ROOT), run.runs_of(ROOT))
""")

    lines = done.output.splitlines()
    assert done.code == 0, done.output
    assert len(lines) == 6
    for problem, after in zip(lines[::2], lines[1::2], strict=True):
        assert "postgres.leftovers was damaged" in problem
        assert after.startswith("['removed what the killed run ")
        assert after.endswith("'] [] []")


def test_own_servers_end_although_the_server_of_somebody_else_is_gone(
    python: Callable[..., Outcome], docker: Callable[[str], str], tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    path = docker(f'echo "$@" >> {calls}')

    done = python(
        """
import time
killed = Run.create(ROOT)
server = Server("postgres", "external", "postgresql://me:secret@127.0.0.1:1/x")
killed.remember(server, f"test_db_{killed.id}_")
(killed.folder / "testbed-1234.project").touch()
(killed.folder / "redis-1234").mkdir()
class Known:
    def discard(self, url, prefix):
        assert Path(sys.argv[1], "calls").read_text().count("down") == 1, "it comes last"
        raise OSError("connection refused")
    def remove_traces(self, data): pass
    name = "postgres"
cleanup.known = lambda: {"postgres": Known()}
killed.leave()
print(*cleanup.sweep(ROOT), sep="\\n")
print(sorted(path.name for path in killed.folder.iterdir() if path.is_dir()))
print(*cleanup.sweep(ROOT), sep="\\n")
record = killed.folder / "postgres.leftovers"
os.utime(record, (time.time() - 90_000,) * 2)
print(*cleanup.sweep(ROOT), sep="\\n")
print(*cleanup.sweep(ROOT), sep="\\n")
print(cleanup.sweep(ROOT))
""",
        path,
    )

    first, folders, second, given_up, removed, last = done.output.splitlines()
    assert first == second
    assert first.startswith("could not remove all of what the killed run")
    assert first.endswith("_* on postgres: connection refused")
    assert folders == "[]"
    assert given_up.endswith("connection refused (given up: it was tried for a day)")
    assert removed.startswith("removed what the killed run")
    assert last == "[]"


@pytest.mark.parametrize("moment", ["before exec", "after exec"])
def test_server_of_a_supervisor_that_was_killed_is_found_without_a_record(
    python: Callable[..., Outcome], moment: str
) -> None:
    die = "os.kill(supervisor, 9); time.sleep(0.2)" if moment == "before exec" else "pass"
    done = python(f"""
import contextlib, signal, subprocess, time
import psutil
killed = Run.create(ROOT)
if not (supervisor := os.fork()):
    os.setsid()
    supervisor = os.getpid()
    os.environ["TESTBED_RUN"] = str(killed.folder)
    run.write(killed.session, str(os.getsid(0)))
    launcher = processes.Launcher("redis", killed.folder, 1234, killed.password)
    identity = launcher._identity()
    launcher._identity = lambda: {{**identity, "preexec_fn": lambda: {die!r} and exec({die!r})}}
    launcher.spawn(["sleep", "1000"])
    os.kill(supervisor, 9)
os.waitpid(supervisor, 0)
killed.leave()
found = []
for pid in psutil.pids():
    # Processes of others end meanwhile.
    with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
        found += [psutil.Process(pid)] if os.getsid(pid) == supervisor else []
print(len(found))
# Until its exec, the program holds the locks of the run.
deadline = time.monotonic() + 30
while not (report := cleanup.sweep(ROOT)) and time.monotonic() < deadline:
    time.sleep(0.01)
print(*report, sep="\\n")
print([each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in found])
print(run.runs_of(ROOT))
""")

    before, report, running, left = done.output.splitlines()
    assert (before, running, left) == ("1", "[False]", "[]"), done.output
    assert report.startswith("removed what the killed run"), done.output


def test_session_of_somebody_else_with_the_same_number_is_left_alone(
    python: Callable[..., Outcome],
) -> None:
    done = python("""
import subprocess
innocent = subprocess.Popen(["sleep", "1000"], start_new_session=True, cwd="/")
killed = Run.create(ROOT)
run.write(killed.session, str(innocent.pid))
killed.leave()
print(*cleanup.sweep(ROOT), sep="\\n")
print(innocent.poll())
innocent.kill()
""")

    assert done.output.splitlines()[1:] == ["None"], done.output


def test_second_attempt_of_a_server_has_an_empty_folder(python: Callable[..., Outcome]) -> None:
    done = python("""
folder = Run.create(ROOT).folder
attempts = [processes.Launcher("postgres", folder, port, "secret") for port in (1234, 1235)]
(attempts[0].data / "PG_VERSION").touch()
print(*attempts[1].data.iterdir())
print(len(Run(folder).data("postgres-*")))
""")

    assert done.output.splitlines() == ["", "2"], done.output


def test_full_disk_is_the_reason_in_the_message(python: Callable[..., Outcome]) -> None:
    done = python("""
created = Run.create(ROOT)
launcher = processes.Launcher("postgres", created.folder, 1234, created.password)
room(0)
for start in (
    lambda: launcher.prepare(["sh", "-c", "echo it says why >&2; exit 1"]),
    lambda: (launcher.spawn(["true"]), launcher.wait(not_ready, 5)),
):
    def not_ready():
        raise processes.NotReady
    try:
        start()
    except processes.ServerFailed as error:
        print(str(error).replace("\\n", " "))
""")

    first, second = done.output.splitlines()
    assert "it says why" in first
    for line in (first, second):
        assert "No space is left on the disk of" in line


def test_supervisor_that_cannot_write_ends_with_the_reason(python: Callable[..., Outcome]) -> None:
    done = python("""
import errno
from tests.testbed import supervisor
created = Run.create(ROOT)
created.request("redis", {"sources": ["embedded"], "passed_over": [], "port": 1234})
def full(self, server):
    raise OSError(errno.ENOSPC, "No space left on device")
Run.publish = full
dependency.known()["redis"].__class__.launch = lambda self, launcher: launcher.spawn(["false"])
try:
    supervisor.Supervisor(created, ROOT, 5).serve()
except OSError as error:
    print(error)
""")

    assert done.output.splitlines() == ["[Errno 28] No space left on device"], done.output


@pytest.mark.suite
def test_silent_engine_costs_seconds(
    python: Callable[..., Outcome], docker: Callable[[str], str]
) -> None:
    path = docker("exec sleep 1000")

    done = python(
        """
import time
from tests.testbed import engine
begun = time.monotonic()
print(engine.Engine(ROOT).trouble)
killed = Run.create(ROOT)
(killed.folder / "testbed-1234.project").touch()
killed.leave()
print(*cleanup.sweep(ROOT), sep="\\n")
print(killed.folder.exists(), time.monotonic() - begun)
""",
        path,
    )

    trouble, report, end = done.output.splitlines()
    kept, seconds = end.split()
    assert trouble == "the engine does not answer `docker ps` within 5 s"
    assert report.endswith(f"the containers of testbed-1234: {trouble}")
    assert kept == "True"
    assert 10 <= float(seconds) < 20


def test_engine_that_goes_away_is_noticed_while_containers_start(
    python: Callable[..., Outcome], docker: Callable[[str], str]
) -> None:
    path = docker("echo Cannot connect to the daemon >&2; exit 1")

    done = python(
        """
import threading
from tests.testbed import supervisor
created = Run.create(ROOT)
over = threading.Event()
supervisor.Supervisor._compose_up = lambda self, requests: over.wait()
try:
    supervisor.Supervisor(created, ROOT, 0.1)._attended([])
except processes.ServerFailed as error:
    print(error)
over.set()
""",
        path,
    )

    assert done.output.splitlines() == [
        "the container engine no longer answers: Cannot connect to the daemon"
    ], done.output


def test_end_of_a_run_without_its_engine_is_one_line(
    checkout: Checkout, docker: Callable[[str], str], tmp_path: Path
) -> None:
    service = checkout("user", "redis")
    gone = tmp_path / "gone"
    path = docker(f"[ -e {gone} ] && {{ echo Cannot connect >&2; exit 1; }}; exit 0")
    (service.path / "tests" / "integration" / "test_gone.py").write_text(
        "from pathlib import Path\n"
        "def test_gone(redis_client, testbed):\n"
        "    (testbed.run.folder / 'testbed-1234.project').touch()\n"
        f"    Path({str(gone)!r}).touch()\n"
    )

    command = ("-m", "", "--servers", "embedded", "-k", "test_gone")
    first = service.pytest(*command, env={"PATH": path})
    gone.unlink()
    second = service.pytest(*command, "--collect-only", env={"PATH": path})

    assert (first.code, first.count("passed")) == (0, 1), first.output
    assert "could not remove all of this run: the containers of testbed-1234: Cannot conn" in (
        first.output
    )
    assert "Traceback" not in first.output
    assert "testbed: removed what the killed run" in second.output
    assert service.leftovers() == []


def test_collecting_asks_no_engine_and_has_addresses(
    checkout: Checkout, docker: Callable[[str], str], tmp_path: Path
) -> None:
    service = checkout("user")
    asked = tmp_path / "asked"
    path = docker(f"touch {asked}; exit 1")
    (service.path / "tests" / "integration" / "test_import.py").write_text(
        "import os\nURL = os.environ['DATABASE_URL']\n\n\ndef test_of_import(): ...\n"
    )

    done = service.pytest(
        "--collect-only", "-q", "tests/integration/test_import.py", env={"PATH": path}
    )

    assert done.code == 0, done.output
    assert "::test_of_import" in done.output
    assert not asked.exists()


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["alone", "worker"])
def test_server_that_falls_silent_ends_the_run_with_one_line(
    checkout: Checkout, options: tuple[str, ...]
) -> None:
    service = checkout("user", "redis")
    (service.path / "tests" / "integration" / "test_silent.py").write_text(SILENT)

    command = ("-m", "", "--servers", "embedded", "-k", "test_silent", "--servers-timeout", "8")
    done = service.pytest(*command, *options)

    assert done.code == pytest.ExitCode.INTERNAL_ERROR, done.output
    assert "\ntestbed: redis: no answer for 8 s: Timeout" in done.output
    assert "Traceback" not in done.output
    eventually(lambda: service.leftovers() == [])


@pytest.mark.engine
def test_container_that_is_paused_ends_the_run_with_one_line(checkout: Checkout) -> None:
    service = checkout("user", "redis")
    (service.path / "tests" / "integration" / "test_silent.py").write_text(SILENT)

    command = ("-m", "", "--servers", "containers", "-k", "test_silent", "--servers-timeout", "8")
    done = service.pytest(*command)

    assert done.code == pytest.ExitCode.INTERNAL_ERROR, done.output
    assert "\ntestbed: redis: no answer for 8 s: Timeout" in done.output
    assert "Traceback" not in done.output
    eventually(lambda: service.leftovers() == [])


SILENT = """
import signal, subprocess, psutil, redis

def test_silent(redis_url, testbed):
    # A client that waits for ever, as many do.
    client = redis.Redis.from_url(redis_url, socket_timeout=None)
    client.ping()
    if testbed.run.find("redis").source == "containers":
        label = f"label=com.docker.compose.project=testbed-{testbed.run.id}"
        listing = subprocess.run(
            ["docker", "ps", "--quiet", "--filter", label], capture_output=True, text=True, check=True
        )
        subprocess.run(["docker", "pause", *listing.stdout.split()], check=True)
    else:
        supervisor = int((testbed.run.folder / "supervisor.session").read_text())
        for server in psutil.Process(supervisor).children():
            server.send_signal(signal.SIGSTOP)
    client.get("key")
"""


def test_nothing_warns_of_a_process_that_nobody_waited_for(checkout: Checkout) -> None:
    service = checkout("user", "redis")
    command = ("-W", "error", "-m", "", "--servers", "embedded", "-k", "Contract")

    for options in ((), ("-n", "2")):
        done = service.pytest(*command, *options)
        assert done.all_passed, done.output
        assert "ResourceWarning" not in done.output


STRANGER = """
import json, sys
import psycopg, redis

postgres, cache = sys.argv[1:3]
plain = postgres.replace("+psycopg", "")
password = plain.partition("test_user:")[2].partition("@")[0]
assert len(password) >= 32
refused = []
for wrong in ("test_password", "postgres", ""):
    try:
        psycopg.connect(plain.replace(password, wrong), connect_timeout=5)
    except psycopg.OperationalError:
        refused.append("postgres")
    try:
        login = f":{wrong}@" if wrong else ""
        redis.Redis.from_url(cache.replace(f":{password}@", login)).ping()
    except redis.RedisError:
        refused.append("redis")
with psycopg.connect(plain, autocommit=True) as connection:
    connection.execute("CREATE TABLE who (line text)")
    connection.execute("COPY who FROM PROGRAM 'id -u; id -G; cat /etc/shadow >&2; env'")
    lines = [line for (line,) in connection.execute("SELECT line FROM who")]
print(json.dumps({"refused": refused, "lines": lines, "password": password}))
"""


def test_another_user_cannot_log_in_and_no_command_runs_as_root(
    installed: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = installed(ALL)
    monkeypatch.setenv("SECRET_OF_ROOT", "token")
    with servers(service, "postgres", "redis") as urls:
        done = service.run(str(service.python), "-c", STRANGER, urls["postgres"], urls["redis"])
        seen = json.loads(done.output)
        words = [" ".join(each.info["cmdline"] or []) for each in psutil.process_iter(["cmdline"])]
        [folder] = [each for each in service._run_folders() if (each / "redis.log").exists()]
        logs = {path: path.read_text() for path in folder.glob("*.log")}
        modes = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
        folder_mode = stat.S_IMODE(folder.stat().st_mode)

    assert sorted(seen["refused"]) == ["postgres"] * 3 + ["redis"] * 3
    assert not [line for line in words if seen["password"] in line]
    assert not [path for path, text in logs.items() if seen["password"] in text]
    assert folder_mode == 0o700
    assert [mode for path, mode in modes.items() if path.suffix == ".log" and mode != 0o600] == []
    assert modes[folder / "password"] == 0o600
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        assert seen["lines"][:2] == [str(nobody.pw_uid), str(nobody.pw_gid)]
        assert not [line for line in seen["lines"] if "token" in line]


def test_segment_of_a_killed_postgres_is_removed(checkout: Checkout) -> None:
    if not Path("/proc/sysvipc/shm").exists():
        pytest.skip("this system does not list its segments")
    service = checkout("user", "postgres")
    with served(service, "postgres") as supervisor:
        [postmaster] = [
            each for each in psutil.Process(supervisor).children() if "postgres" in each.name()
        ]
        assert postmaster.pid in segment_makers()
        family = [postmaster, *postmaster.children(recursive=True), psutil.Process(supervisor)]
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=30)
        assert postmaster.pid in segment_makers()

    eventually(lambda: postmaster.pid not in segment_makers())
    assert service.leftovers() == []


@contextmanager
def served(service: Service, *names: str) -> Iterator[int]:
    """Servers of a run, as the number of the process that keeps them."""
    with servers(service, *names):
        [folder] = service._run_folders()
        yield int((folder / "supervisor.session").read_text())


def segment_makers() -> list[int]:
    rows = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return [int(row.split()[4]) for row in rows]


@pytest.mark.slow
def test_kills_at_random_moments_leave_nothing(checkout: Checkout) -> None:
    """`scripts/kill-test` is the long version."""
    kills = Kills(checkout("user"), "embedded", seed=random.randrange(10**6))

    try:
        kills.round(4)
    except AssertionError as error:
        pytest.fail(f"--seed {kills.seed}: {error}", pytrace=False)
