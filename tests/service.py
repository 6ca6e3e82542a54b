"""A rendered service, and what a developer does with it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import psutil

CONSTRAINTS = Path(__file__).with_name("constraints.txt")
OURS = re.compile(
    r"^(PYTEST|COLUMNS|COV|VIRTUAL_ENV|PYTHONPATH|PYTHONDONTWRITEBYTECODE|TEST_|DATABASE_URL|REDIS_URL"
    r"|KAFKA_|COMPOSE_|\w+_SANDBOX_)"
)
SUMMARY = re.compile(r"^(?:=+ )?(.*\d+ \w+.* in [\d.]+s\b.*)$", re.MULTILINE)
"""The line in which pytest counts, such as `== 3 passed, 1 warning in 0.12s ==`."""

EXPECTED_SKIPS = re.compile(
    r"^SKIPPED \[(\d+)\] .*: (?:\w+_SANDBOX_KEY is not set"
    r"|the embedded broker Tansu has no limit of the size of messages: .*)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Outcome:
    """How a command ended and all that it printed."""

    code: int
    output: str

    def count(self, word: str) -> int:
        """How many tests pytest's summary gives that word: passed, failed, skipped …"""
        # A client's log may follow it, as librdkafka's does when a broker goes.
        summaries = SUMMARY.findall(self.output)
        found = re.findall(rf"(\d+) {word}", summaries[-1]) if summaries else []
        return int(found[0]) if found else 0

    @property
    def all_passed(self) -> bool:
        bad = ("failed", "error", "errors", "xfailed", "warnings", "warning")
        # Nobody has a key to the sandbox of a made-up API, and Tansu refuses no large message.
        # Every other skip is a fault.
        expected = sum(int(count) for count in EXPECTED_SKIPS.findall(self.output))
        return (
            self.code == 0
            and self.count("passed") > 0
            and self.count("skipped") == expected
            and not any(map(self.count, bad))
        )


@dataclass
class Service:
    """A service that was rendered into `path`, with an environment of its own."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)
    allowed: ClassVar[bool] = True
    """Whether this test may install services and run their tests: `suite` says that it does."""

    @property
    def python(self) -> Path:
        return self.path / ".venv" / "bin" / "python"

    def install(self, *groups: str, constraints: Path | None = CONSTRAINTS) -> None:
        """Install the service into an empty environment, from its own pyproject.toml."""
        self._must_be_allowed()
        uv = [sys.executable, "-m", "uv"]
        self._must([*uv, "venv", "--quiet", "--python", sys.executable, str(self.path / ".venv")])
        options = [option for group in groups for option in ("--group", group)]
        if constraints:
            options += ["--constraint", str(constraints)]
        python = ["--python", str(self.python)]
        self._must([*uv, "pip", "install", "--quiet", *python, *options, "--editable", "."])

    def run(
        self, *command: str, env: Mapping[str, str] | None = None, timeout: float = 300
    ) -> Outcome:
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.clean_environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Outcome(done.returncode, done.stdout)

    def pytest(
        self, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 300
    ) -> Outcome:
        return self.run(*self.pytest_command(*arguments), env=env, timeout=timeout)

    def pytest_command(self, *arguments: str) -> list[str]:
        self._must_be_allowed()
        return [str(self.python), "-m", "pytest", *arguments]

    def clean_environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a developer: nothing of the meta-tests' own run."""
        outside = {name: value for name, value in os.environ.items() if not OURS.match(name)}
        return {**outside, **self.environment, **(env or {})}

    def add_tests(self, kind: str) -> None:
        """Copy the modules of tests/<kind>/ that are about a server or a fake of this service."""
        folder = self.path / "tests" / "integration" / kind
        folder.mkdir()
        for module in (Path(__file__).parent / kind).glob("[!_]*.py"):
            if (self.path / "tests" / "fixtures" / module.name).exists():
                shutil.copy(module, folder / f"test_{module.stem}_{kind}.py")

    def leftovers(self) -> list[str]:
        """What a run of this service's tests left behind: processes, folders, containers."""
        folders = self._run_folders()
        found = [f"folder {path}" for path in folders]
        ours = [str(path) for path in (self.path, *folders)]
        for process in psutil.process_iter(["cmdline", "cwd"]):
            words = " ".join([*(process.info["cmdline"] or []), process.info["cwd"] or ""])
            if any(path in words for path in ours):
                found.append(f"process {process.pid}: {words}")
        label = f"label=com.docker.compose.project.working_dir={self.path}"
        listing = self.run("docker", "ps", "--all", "--filter", label, "--format", "{{.Names}}")
        if listing.code == 0:
            found += [f"container {name}" for name in listing.output.split()]
        return found

    def _run_folders(self) -> list[Path]:
        code = "from tests.testbed.plugin import ROOT; from tests.testbed.run import runs_of; "
        code += "print(*(run.folder for run in runs_of(ROOT)), sep='\\n')"
        return [Path(line) for line in self.run(str(self.python), "-c", code).output.split()]

    def _must_be_allowed(self) -> None:
        assert self.allowed, "mark this test: @pytest.mark.suite"

    def _must(self, command: list[str]) -> None:
        done = self.run(*command)
        assert done.code == 0, done.output
