"""Kills processes of a rendered service's test runs, and looks at what the next run leaves.

Usage: scripts/kill-test [COUNT] [--servers WAY] [--seed NUMBER]
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from .service import Service

VICTIMS = ("controller", "worker", "supervisor", "server", "all")
"""What is killed: one process of a kind, or all of a run."""
RUNS_IN_A_ROW = 4
"""Runs that are killed before one may end."""
END_SECONDS = 120.0
"""How long a run may go on after a kill."""

TESTS = """\
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_{name}({fixture}, number):
    pass
"""


@dataclass
class Kills:
    """Runs of a service's tests that are killed at random moments."""

    service: Service
    way: str
    seed: int
    done: Counter[str] = field(default_factory=Counter)
    """How often each kind of process was killed."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._checkout, *self._homes = self._facts()
        fixtures = {"postgres": "postgres_session", "redis": "redis_client", "kafka": "kafka_topic"}
        folder = self.service.path / "tests" / "integration" / "kills"
        folder.mkdir()
        for name, fixture in fixtures.items():
            if (self.service.path / "tests" / "fixtures" / f"{name}.py").exists():
                text = TESTS.format(name=name, fixture=fixture, count=10)
                (folder / f"test_{name}.py").write_text(text)
        self._command = self.service.pytest_command("-q", "--servers", self.way, str(folder))
        begun = time.monotonic()
        self._clean_run()
        self._seconds = time.monotonic() - begun

    def round(self, runs: int) -> None:
        """Kill something of each of so many runs, and check the next: green, with nothing left.

        Raises:
            AssertionError: it is not, or a killed run did not end.
        """
        servers = [self._killed_run() for _ in range(runs)]
        self._clean_run()
        self._must_be_gone(set().union(*servers))

    def _killed_run(self) -> set[int]:
        """Kill up to three processes of a run, one after the other, and return its servers."""
        wanted = self._random.sample(VICTIMS, self._random.randint(1, 3))
        several = "worker" in wanted or self._random.random() < 0.3
        process = self._start(*(("-n", "2") if several else ()))
        servers: set[int] = set()
        try:
            for kind in wanted:
                servers |= self._kill(process, kind)
            process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the run hangs after a kill of {', '.join(wanted)}") from None
        finally:
            process.kill()
            process.communicate()
        return servers

    def _kill(self, controller: subprocess.Popen[str], kind: str) -> set[int]:
        """Kill a process of a kind, some time after there is one; return the servers."""
        while not self._kinds(controller)[kind]:
            if controller.poll() is not None:
                return set()
            time.sleep(0.05)
        with contextlib.suppress(subprocess.TimeoutExpired):
            controller.wait(self._random.uniform(0, self._seconds / 3))
        kinds = self._kinds(controller)
        victims = kinds[kind]
        if victims and kind != "all":
            victims = [self._random.choice(victims)]
        for pid in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).send_signal(signal.SIGKILL)
        self.done[kind] += bool(victims)
        return set(kinds["server"])

    def _kinds(self, controller: subprocess.Popen[str]) -> dict[str, list[int]]:
        supervisors = [
            each for each in self._processes() if "tests.testbed.supervisor" in _words(each)
        ]
        kinds = {
            "controller": [controller.pid] if controller.poll() is None else [],
            "worker": [
                child.pid for child in _children(controller.pid) if "exec(eval(" in _words(child)
            ],
            "supervisor": [each.pid for each in supervisors],
            "server": [child.pid for each in supervisors for child in _children(each.pid)],
        }
        kinds["all"] = [pid for pids in kinds.values() for pid in pids]
        return kinds

    def _clean_run(self) -> None:
        process = self._start()
        output, _ = process.communicate(timeout=END_SECONDS)
        assert process.returncode == 0, f"the next run is not green:\n{output}"
        assert "Traceback" not in output, output

    def _start(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._command, *options],
            cwd=self.service.path,
            env=self.service.clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # What pytest starts must not keep this pipe open.
            close_fds=True,
        )

    def _must_be_gone(self, servers: set[int]) -> None:
        found = [f"process {each.pid}: {_words(each)}" for each in self._processes()]
        found += [str(path) for home in self._homes for path in Path(home).glob(self._pattern)]
        segments = Path("/proc/sysvipc/shm")
        rows = segments.read_text().splitlines()[1:] if segments.exists() else []
        found += [f"segment {row}" for row in rows if int(row.split()[4]) in servers]
        label = f"label=com.docker.compose.project.working_dir={self.service.path}"
        if self.way == "containers":
            listing = self.service.run("docker", "ps", "--all", "--quiet", "--filter", label)
            found += [f"container {name}" for name in listing.output.split()]
        assert not found, "left behind: " + "\n".join(found)

    @property
    def _pattern(self) -> str:
        return f"{self._checkout}-*"

    def _processes(self) -> Iterator[psutil.Process]:
        """Yield the processes that work in the checkout or in a folder of its runs."""
        names = re.compile(rf"{re.escape(str(self.service.path))}|{self._checkout}-")
        us = [psutil.Process(), *psutil.Process().parents()]
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process not in us and names.search(f"{process.cwd()} {_words(process)}"):
                    yield process

    def _facts(self) -> list[str]:
        code = (
            "from tests.testbed.plugin import ROOT; from tests.testbed.run import _checkout, homes;"
        )
        code += "print(_checkout(ROOT), *homes(), sep='\\n')"
        return self.service.run(str(self.service.python), "-c", code).output.split()


def _children(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def _words(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, help="a rendered service with its environment")
    parser.add_argument("count", type=int, nargs="?", default=100)
    parser.add_argument("--servers", default="embedded", choices=["embedded", "containers"])
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args(arguments)
    print(f"{options.count} kills, --seed {options.seed}", flush=True)
    kills = Kills(Service(options.folder), options.servers, options.seed)
    while (number := kills.done.total()) < options.count:
        try:
            kills.round(RUNS_IN_A_ROW)
        except AssertionError as error:
            print(f"after {number} kills, --seed {options.seed}: {error}", file=sys.stderr)
            return 1
        counts = ", ".join(f"{kind} {count}" for kind, count in sorted(kills.done.items()))
        print(f"{kills.done.total()} kills ({counts}): nothing is left", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
