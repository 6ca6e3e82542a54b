"""What the benchmarks work on: a release of the template, and a service rendered from it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from shutil import copy2

import copier

from tests.conftest import VERSION, make_release
from tests.service import Outcome, Service
from tests.variants import variants

PROBES = Path(__file__).parent / "probes"
ALL = variants()[-1]
COMPOSE = ("docker", "compose", "-f", "docker-compose.test.yml")


class CannotRun(Exception):
    """A benchmark could not measure. The message says what is missing or what failed."""


class Workspace:
    """A folder of its own, filled with what is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def template(self) -> Path:
        """The template as it is in the work tree, as a clean git repository with a tag."""
        target = self.folder / "template"
        make_release(target, VERSION)
        return target

    @cached_property
    def service(self) -> Service:
        """A service with all dependencies, rendered and installed."""
        service = Service(self.folder / "shop")
        answers = {"dependencies": list(ALL)}
        copier.run_copy(str(self.template), service.path, data=answers, defaults=True, quiet=True)
        service.install("dev")
        return service

    def run_probe(self, name: str, *arguments: str) -> str:
        """What a probe prints that runs with the service's Python, in its folder."""
        command = (str(self.service.python), str(PROBES / name), *arguments)
        path = {"PYTHONPATH": str(self.service.path)}
        return must(self.service.run(*command, env=path)).output

    @contextmanager
    def probe_module(self, name: str) -> Iterator[Path]:
        """A probe among the service's integration tests, for as long as the block lasts."""
        target = self.service.path / "tests" / "integration" / name
        copy2(PROBES / name, target)
        try:
            yield target
        finally:
            target.unlink()

    @contextmanager
    def services_left_up(self) -> Iterator[Service]:
        """All servers as `docker compose up --detach --wait` leaves them, on free ports.

        Yields the service with the environment in which its compose file names them.
        """
        require_engine()
        service = self.service
        code = "from tests.testbed.processes import hold_port; print(*(held.getsockname()[1] for held in [hold_port() for _ in range({})]))"
        ports = service.run(str(service.python), "-c", code.format(len(ALL))).output.split()
        names = [f"{name.upper()}_PORT" for name in ALL]
        # Another checkout in a folder of the same name may be up.
        project = {"COMPOSE_PROJECT_NAME": self.folder.name}
        up = Service(service.path, {**project, **dict(zip(names, ports, strict=True))})
        try:
            must(up.run(*COMPOSE, "up", "--detach", "--wait"))
            yield up
        finally:
            up.run(*COMPOSE, "down", "--volumes", "--timeout", "0")


def require_engine() -> None:
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CannotRun("docker is not installed") from error
    if done.returncode:
        raise CannotRun(f"no container engine answers: {done.stderr.strip()}")


def must(outcome: Outcome, *codes: int) -> Outcome:
    """The outcome of a command, if it ended with one of these codes (by default 0)."""
    if outcome.code not in (codes or (0,)):
        raise CannotRun(f"exit code {outcome.code}:\n{outcome.output[-3000:]}")
    return outcome
