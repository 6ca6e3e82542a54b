"""Containers: what the container engine runs, and what it is asked to start."""

import ipaddress
import json
import os
import re
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .processes import ServerFailed

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
TO_BE_PULLED = ", to be pulled"
"""Follows the name of an image that this machine does not have yet."""
HOST_VARIABLE = "TESTCONTAINERS_HOST_OVERRIDE"
"""Names the host that publishes the ports of containers, where it is not this one."""
REACH_SECONDS = 5.0
"""How long a published port of a healthy container may take to accept a connection."""
NOT_FOUND, TIMED_OUT = 127, 124
"""Exit codes of a command that is not installed or takes too long, as shells have them."""

_FOLDER = "com.docker.compose.project.working_dir"


@dataclass(frozen=True)
class Container:
    """A running container of this checkout."""

    project: str
    image: str
    ports: Mapping[int, int]
    """The published port of each port inside."""
    health: str
    """healthy, starting or unhealthy; or the state of a container that does not run, such as paused."""
    variables: Mapping[str, str] = field(repr=False)
    """Its environment, passwords included."""


class Engine:
    """The container engine of this machine, as seen from one checkout."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def _listing(self) -> subprocess.CompletedProcess[str]:
        columns = f'{{{{.ID}}}}\t{{{{.Label "{_FOLDER}"}}}}'
        command = ["docker", "ps", "--filter", f"label={_FOLDER}", "--format", columns]
        return _run(command, timeout=ANSWER_SECONDS)

    @property
    def is_installed(self) -> bool:
        return self._listing.returncode != NOT_FOUND

    @property
    def versions(self) -> str:
        """The versions of the engine and of Compose."""
        engine = _run(["docker", "version", "--format", "{{.Server.Version}}"]).stdout.strip()
        compose = _run(["docker", "compose", "version", "--short"]).stdout.strip()
        return f"{engine}, Compose {compose}"

    @cached_property
    def trouble(self) -> str:
        """Why the engine can start no containers for the tests, in one line; empty if it can."""
        if self._listing.returncode:
            return _last_line(self._listing.stderr)
        if not (self.root / COMPOSE_FILE).exists():
            return f"{COMPOSE_FILE} is missing"
        if self._config.returncode:
            if _run(["docker", "compose", "version"]).returncode:
                return "`docker` has no Compose plugin: install docker-compose-plugin"
            return f"{COMPOSE_FILE}: {_last_line(self._config.stderr)}"
        return self.distance

    @cached_property
    def distance(self) -> str:
        """Why this machine cannot reach published ports, as far as the engine's address tells."""
        if os.environ.get(HOST_VARIABLE):
            return ""
        address = _run(["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"])
        url = urlsplit(address.stdout.strip())
        if url.scheme not in ("tcp", "http", "https", "ssh") or is_loopback(url.hostname or ""):
            return ""
        return (
            f"the engine runs on {url.hostname}, and so do the ports that it publishes: "
            f"set {HOST_VARIABLE}={url.hostname} if this machine may connect to them there"
        )

    @cached_property
    def _config(self) -> subprocess.CompletedProcess[str]:
        command = ["docker", "compose", "--file", str(self.root / COMPOSE_FILE)]
        return _run([*command, "config", "--format", "json"])

    def image(self, service: str) -> str:
        """The image of a service of the compose file; says if the engine has to pull it first."""
        services = json.loads(self._config.stdout)["services"]
        name = str(services.get(service, {}).get("image", "no such service"))
        return name if has_image(name) else f"{name}{TO_BE_PULLED}"

    @cached_property
    def running(self) -> dict[str, Container]:
        """By service, what `docker compose up` left running for this checkout."""
        if self._listing.returncode:
            return {}
        here = os.path.realpath(self.root)
        rows = [line.partition("\t") for line in self._listing.stdout.splitlines()]
        # The folder of a checkout may be reached by several paths.
        ids = [each for each, _, folder in rows if os.path.realpath(folder) == here]
        found = {}
        for each in json.loads(_run(["docker", "inspect", *ids]).stdout or "[]") if ids else []:
            labels = each["Config"]["Labels"]
            if not labels["com.docker.compose.project"].startswith(RUN_PREFIX):
                found[labels["com.docker.compose.service"]] = _container(each)
        return found


def _container(inspected: dict[str, Any]) -> Container:
    ports = {
        int(inside.partition("/")[0]): int(published[0]["HostPort"])
        for inside, published in inspected["NetworkSettings"]["Ports"].items()
        if published and inside.endswith("/tcp")
    }
    state = inspected["State"]
    health = state.get("Health", {}).get("Status", "starting")
    return Container(
        project=inspected["Config"]["Labels"]["com.docker.compose.project"],
        image=inspected["Config"]["Image"],
        ports=ports,
        health=health if state["Status"] == "running" else state["Status"],
        variables=dict(entry.partition("=")[::2] for entry in inspected["Config"]["Env"] or []),
    )


def has_image(name: str) -> bool:
    return _run(["docker", "image", "inspect", "--format", "{{.Id}}", name]).returncode == 0


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def published_host() -> str:
    """The host at which this machine reaches the published ports of containers."""
    host = os.environ.get(HOST_VARIABLE) or "127.0.0.1"
    return "127.0.0.1" if is_loopback(host) else host


def at_published_host(url: str) -> str:
    """The address of a container, from its address on the engine's own loopback."""
    return url.replace("127.0.0.1", published_host(), 1)


def unreachable(port: int) -> str | None:
    """Why this machine cannot connect to a published port of a healthy container, None if it can."""
    host = published_host()
    try:
        socket.create_connection((host, port), timeout=REACH_SECONDS).close()
    except OSError as error:
        return (
            f"the container is healthy, but {host}:{port} cannot be reached from here ({error}): the engine "
            f"publishes ports on another machine; set {HOST_VARIABLE} to a name of that machine, such as "
            "host.docker.internal or docker"
        )
    return None


def start(
    root: Path, project: str, services: Mapping[str, int], variables: Mapping[str, str]
) -> dict[str, int]:
    """Start services of the compose file together and wait until all are healthy.

    Args:
        root: the folder of the compose file.
        project: name of the compose project, unique to the run.
        services: for each service to start, the port that its server listens on inside.
        variables: what the compose file reads: ports and passwords.

    Returns:
        The published port of each service.

    Raises:
        ServerFailed: a service did not come up; the message ends with its log.
    """
    from testcontainers.compose import DockerCompose

    os.environ.update(variables, COMPOSE_PROJECT_NAME=project)
    if published_host() != "127.0.0.1":
        os.environ.update(TEST_HOST=published_host(), TEST_BIND_ADDRESS="0.0.0.0")
    compose = DockerCompose(root, compose_file_name=COMPOSE_FILE, services=list(services))
    try:
        compose.start()
        # All at once: each call of `docker compose` takes as long for one as for many.
        found = {
            (container.Service, port.TargetPort): port.PublishedPort
            for container in compose.get_containers()
            for port in container.Publishers or []
            if port.PublishedPort
        }
    except subprocess.CalledProcessError as error:
        raise ServerFailed(_explain(project, error.stderr.decode(errors="replace"))) from error
    for service, inside in services.items():
        if (service, inside) not in found:
            raise ServerFailed(f"{service} of {COMPOSE_FILE} does not publish its port {inside}")
    return {service: found[service, inside] or 0 for service, inside in services.items()}


def discard(project: str, service: str) -> None:
    """Remove the container of one service, if there is one, so that its port is free again."""
    if names := containers(project, f"label=com.docker.compose.service={service}"):
        _run(["docker", "rm", "--force", "--volumes", *names], timeout=END_SECONDS)


def remove(project: str) -> None:
    """Remove the containers, networks and volumes of a compose project; nothing in them is kept."""
    options = ("--volumes", "--remove-orphans", "--timeout", "0")
    # The engine is asked first: it may be gone for good, and this has to take a while.
    done = _run(["docker", "ps", "--quiet"])
    if not done.returncode:
        # From the root folder, where no compose file changes what belongs to the project.
        command = ["docker", "compose", "--project-name", project, "down", *options]
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
    # Its last words name neither the image nor what to do.
    if missing := re.search(r"^ *(?:Image )?(\S+) Error (.*)$", stderr, re.MULTILINE):
        reason = f"the image {missing[1]} cannot be pulled: {missing[2]}"
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


def _last_line(output: str) -> str:
    return (output.strip().splitlines() or ["no answer"])[-1]


def _run(
    command: Sequence[str], cwd: str | None = None, timeout: float = ANSWER_SECONDS
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, cwd=cwd, check=False
        )
    except subprocess.TimeoutExpired:
        reason = f"the engine does not answer `docker {command[1]}` within {timeout:g} s"
        return subprocess.CompletedProcess(command, TIMED_OUT, "", reason)
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(command, NOT_FOUND, "", str(error))
