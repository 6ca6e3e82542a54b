"""Containers: what the container engine runs, and what it is asked to start."""

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .processes import ServerFailed

if TYPE_CHECKING:
    from testcontainers.compose import ComposeContainer

_ROOT = Path(__file__).parents[2]
# The first name is for a repository that had a file of the second one before.
_NAMES = ("docker-compose.testbed.yml", "docker-compose.test.yml")
COMPOSE_FILE = next((name for name in _NAMES if (_ROOT / name).exists()), _NAMES[-1])
RUN_PREFIX = "testbed-"
"""Compose project names of test runs begin so; every other project of this folder is `running`."""
ANSWER_SECONDS = 5.0
"""How long the engine may take to say what there is."""
END_SECONDS = 40.0
"""How long it may take to remove the containers of a run; less than pytest waits at its end."""
PORT_TAKEN = re.compile(r"address already in use|port is already allocated", re.IGNORECASE)


@dataclass(frozen=True)
class Container:
    """A container that runs: its compose project, and the first port it publishes."""

    project: str
    port: int
    id: str

    def variable(self, name: str) -> str:
        """Return the value of an environment variable in the container, or nothing."""
        done = _run(["docker", "inspect", "--format", "{{json .Config.Env}}", self.id])
        variables = dict(entry.partition("=")[::2] for entry in json.loads(done.stdout or "[]"))
        return str(variables.get(name, ""))


class Engine:
    """The container engine of this machine, as seen from one checkout."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def _listing(self) -> subprocess.CompletedProcess[str]:
        folder = f"label=com.docker.compose.project.working_dir={self.root}"
        return _run(["docker", "ps", "--filter", folder, "--format", "{{json .}}"])

    @property
    def answers(self) -> bool:
        return self._listing.returncode == 0 and (self.root / COMPOSE_FILE).exists()

    @property
    def trouble(self) -> str:
        """Why the engine is of no use, in its own words."""
        if self._listing.returncode:
            return (self._listing.stderr.strip().splitlines() or ["no answer"])[-1]
        return "" if self.answers else f"{COMPOSE_FILE} is missing"

    @cached_property
    def running(self) -> dict[str, Container]:
        """By service, what `docker compose up` left running for this checkout."""
        if self._listing.returncode:
            return {}
        found = {}
        for line in self._listing.stdout.splitlines():
            container = json.loads(line)
            labels = dict(label.partition("=")[::2] for label in container["Labels"].split(","))
            published = re.search(r"(\d+)->", container["Ports"])
            project = labels["com.docker.compose.project"]
            if published and not project.startswith(RUN_PREFIX):
                found[labels["com.docker.compose.service"]] = Container(
                    project, int(published[1]), container["ID"]
                )
        return found


def start(
    root: Path, project: str, services: Sequence[str], variables: Mapping[str, str]
) -> dict[str, int]:
    """Start services of the compose file together and wait until all are healthy.

    Args:
        root: the folder of the compose file.
        project: name of the compose project, unique to the run.
        services: names of the services to start.
        variables: what the compose file reads: ports and passwords.

    Returns:
        The published port of each service.

    Raises:
        ServerFailed: a service did not come up; the message ends with its log.
    """
    from testcontainers.compose import DockerCompose

    os.environ.update(variables, COMPOSE_PROJECT_NAME=project)
    compose = DockerCompose(root, compose_file_name=COMPOSE_FILE, services=list(services))
    try:
        compose.start()
        # All at once: each call of `docker compose` takes as long for one as for many.
        found = {container.Service: container for container in compose.get_containers()}
        return {service: _published_port(found[service]) for service in services}
    except subprocess.CalledProcessError as error:
        raise ServerFailed(_explain(project, error.stderr.decode(errors="replace"))) from error


def _published_port(container: "ComposeContainer") -> int:
    """The port by which this machine reaches a container; an image may expose others besides."""
    return next(port.PublishedPort for port in container.Publishers or [] if port.PublishedPort)


def remove(project: str) -> None:
    """Remove the containers, networks and volumes of a compose project; nothing in them is kept."""
    command = [
        "docker",
        "compose",
        "--project-name",
        project,
        "down",
        "--volumes",
        "--remove-orphans",
        "--timeout",
        "0",
    ]
    # The engine is asked first: it may be gone for good, and this has to take a while.
    done = _run(["docker", "ps", "--quiet"])
    if not done.returncode:
        # From the root folder, where no compose file changes what belongs to the project.
        done = _run(command, cwd="/", timeout=END_SECONDS)
    if done.returncode:
        raise ServerFailed(f"the containers of {project}: {done.stderr.strip()}")


def log(container_project: str, service: str, *options: str) -> str:
    """Log lines of one service; `options` are those of `docker logs`."""
    names = containers(container_project, f"label=com.docker.compose.service={service}")
    if not names:
        return ""
    done = _run(["docker", "logs", *options, names[0]])
    return done.stdout + done.stderr


def containers(project: str, *filters: str) -> list[str]:
    """Names of all containers of a compose project, running or not; none if no engine answers."""
    wanted = [f"label=com.docker.compose.project={project}", *filters]
    options = [option for each in wanted for option in ("--filter", each)]
    return _run(["docker", "ps", "--all", "--format", "{{.Names}}", *options]).stdout.split()


def starts(project: str) -> dict[str, float]:
    """When the container of each service of a compose project began to run, as `time.time()`."""
    done = _run(["docker", "inspect", *containers(project)])
    return {
        each["Config"]["Labels"]["com.docker.compose.service"]: datetime.fromisoformat(
            each["State"]["StartedAt"]
        ).timestamp()
        for each in json.loads(done.stdout or "[]")
    }


def _explain(project: str, stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    reason = lines[-1] if lines else "docker compose failed without a word"
    if PORT_TAKEN.search(stderr):
        reason += (
            f"\n    Another program uses that port: end it, or change the port in {COMPOSE_FILE}."
        )
    if culprit := re.search(rf"container {project}-(\S+)-\d+ (?:is unhealthy|exited)", stderr):
        last = log(project, culprit[1], "--tail", "20").splitlines() or ["(it wrote no log)"]
        reason += f"\n  Last log lines of {culprit[1]}:\n" + "\n".join(
            f"    {line}" for line in last
        )
    return reason.replace(f"{project}-", "")


def _run(
    command: Sequence[str], cwd: str | None = None, timeout: float = ANSWER_SECONDS
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, cwd=cwd, check=False
        )
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))
    except subprocess.TimeoutExpired:
        trouble = f"the container engine did not answer within {timeout:g} s"
        return subprocess.CompletedProcess(command, 127, "", trouble)
