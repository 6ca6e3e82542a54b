"""The supervisor: the process that starts the servers of a run, in the background, and ends them.

It runs slightly longer than pytest, so servers are stopped even if pytest is killed. Requests are
files named `<dependency>.requested` in the run's folder, with the sources to try in them.

Usage: python -m tests.testbed.supervisor FOLDER TIMEOUT
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from . import engine
from .cleanup import tear_down
from .dependency import Dependency, known
from .processes import Launcher, ServerFailed, stop
from .run import Run, Server, is_free, write
from .sources import HELP

Start = Callable[[list["Request"]], None]
Ports = dict[str, int]


class Supervisor:
    def __init__(self, run: Run, root: Path, timeout: float) -> None:
        self.run = run
        self.root = root
        self.timeout = timeout
        self.project = f"{engine.RUN_PREFIX}{run.id}"
        self._pool = ThreadPoolExecutor(thread_name_prefix="start")
        self._jobs: dict[Future[None], tuple[Start, list[Request]]] = {}
        self._launchers: list[Launcher] = []
        self._seen: set[str] = set()
        self._over = threading.Event()
        # Of one project, Compose starts one command at a time.
        self._compose = threading.Lock()

    def serve(self) -> None:
        """Answer requests until the last process of the run is gone, then remove everything."""
        # Everything that is started from here on can be found, even if this process is killed.
        os.environ["TESTBED_RUN"] = str(self.run.folder)
        write(self.run.session, str(os.getsid(0)))
        try:
            while not is_free(self.run.lock):
                self._start(self._requests())
                self._handle_failures()
                time.sleep(0.02)
        finally:
            self._abandon_jobs()
            stop(self._launchers)
        tear_down(self.run)

    def _requests(self) -> list["Request"]:
        new = {
            name: wanted for name, wanted in self.run.requests().items() if name not in self._seen
        }
        self._seen |= new.keys()
        return [Request(known()[name], **wanted) for name, wanted in new.items()]

    def _start(self, requests: list["Request"]) -> None:
        """Start all at once: the containers together, each program in a thread of its own."""
        containers = [request for request in requests if request.sources[0] == "containers"]
        for request in requests:
            if request not in containers:
                self._submit(self._embedded, [request])
        if containers:
            self._submit(self._containers, containers)

    def _submit(self, start: Start, requests: list["Request"]) -> None:
        self._jobs[self._pool.submit(start, requests)] = start, requests

    def _handle_failures(self) -> None:
        # A copy: jobs may add others meanwhile.
        for job in [job for job in list(self._jobs) if job.done()]:
            start, requests = self._jobs.pop(job)
            if error := job.exception():
                self._go_on(error, start, requests)

    def _go_on(self, error: BaseException, start: Start, requests: list["Request"]) -> None:
        """Try the next source of a server that did not come up."""
        if len(requests) > 1:
            # One that cannot be had does not take the others along.
            for request in requests:
                self._submit(start, [request])
            return
        for request in requests:
            known_reason = isinstance(error, ServerFailed)
            prefix = "" if known_reason else f"{type(error).__name__}: "
            self._pass_over(request, f"{prefix}{error}")

    def _pass_over(self, request: "Request", reason: str) -> None:
        """Try the next source of a request, or tell the tests that wait for it why there is no server."""
        name, source = request.dependency.name, request.sources.pop(0)
        request.passed_over.append(f"{source}: {reason}")
        if not request.sources:
            why = reason
            if len(request.passed_over) > 1:
                why = "".join(f"\n  {line}" for line in request.passed_over)
            message = f"{name}: {request.dependency.label} did not come up: {why}"
            self.run.publish(Server(name, "", error=message))
            return
        if source == "containers":
            # Its successor has the same address.
            engine.discard(self.project, request.dependency.service)
        self._start([request])

    def _abandon_jobs(self) -> None:
        """End starts that are still under way, so that none of them adds a server later."""
        self._over.set()
        if not all(job.done() for job in list(self._jobs)):
            for child in psutil.Process().children():
                child.terminate()
        self._pool.shutdown()

    def _embedded(self, requests: list["Request"]) -> None:
        [request] = requests
        dependency, password = request.dependency, self.run.password
        if (program := dependency.embedded_program()) is None:
            raise ServerFailed(HELP["embedded"])
        begun = time.monotonic()
        launcher = Launcher(dependency.name, self.run.folder, request.port, password, program)
        self._launchers.append(launcher)

        def check() -> None:
            if self._over.is_set():
                raise ServerFailed("the run ended first")
            dependency.check_embedded(launcher)

        dependency.launch(launcher)
        launched = time.monotonic()
        launcher.wait(check, self.timeout)
        self.run.publish(
            Server(
                dependency.name,
                "embedded",
                dependency.url(request.port, password),
                started=launched - begun,
                seconds=time.monotonic() - begun,
                ready=time.time(),
                log_size=launcher.log.stat().st_size,
                passed_over=request.passed_over,
            )
        )

    def _containers(self, requests: list["Request"]) -> None:
        # The engine tells the time of a start by the clock on the wall.
        begun, clock = time.monotonic(), time.time()
        (self.run.folder / f"{self.project}.project").touch()
        with self._compose:
            ports = self._attended(requests)
        seconds = time.monotonic() - begun
        servers = {}
        for request in requests:
            dependency = request.dependency
            if reason := engine.unreachable(ports[dependency.service]):
                raise ServerFailed(reason)
            servers[dependency.service] = Server(
                dependency.name,
                "containers",
                engine.at_published_host(
                    dependency.url(ports[dependency.service], self.run.password)
                ),
                project=self.project,
                seconds=seconds,
                ready=clock + seconds,
                passed_over=request.passed_over,
            )
        for server in servers.values():
            self.run.publish(server)
        # Only a report wants to know: no test waits for it, and no server is lost if it fails.
        self._jobs[self._pool.submit(self._add_starts, servers, clock)] = self._containers, []

    def _add_starts(self, servers: dict[str, Server], begun: float) -> None:
        started = engine.starts(self.project)
        for service in servers.keys() & started.keys():
            self.run.publish(replace(servers[service], started=started[service] - begun))

    def _attended(self, requests: list["Request"]) -> Ports:
        """Wait for containers as long as the engine answers: a first pull may take minutes.

        Raises:
            ServerFailed: it no longer answers.
        """
        job = self._pool.submit(self._compose_up, requests)
        while not wait([job], timeout=self.timeout).done:
            if trouble := engine.Engine(self.root).trouble:
                raise ServerFailed(f"the container engine no longer answers: {trouble}")
        return job.result()

    def _compose_up(self, requests: list["Request"]) -> Ports:
        variables = {each.dependency.port_variable: str(each.port) for each in requests}
        for each in requests:
            if each.dependency.password_variable:
                variables[each.dependency.password_variable] = self.run.password
        services = {each.dependency.service: each.dependency.container_port for each in requests}
        return engine.start(self.root, self.project, services, variables)


@dataclass(eq=False)
class Request:
    """A server that tests wait for."""

    dependency: Dependency
    sources: list[str]
    """Where it may come from: the next one to try comes first."""
    passed_over: list[str]
    """Why each source before these was passed over."""
    port: int
    """The port at which it is to listen, whatever its source."""


def main(folder: str, timeout: str) -> None:
    # The lock came as standard input. What is started here must not hold it: it stands for this
    # process alone, and a sweep ends the programs of one that was killed.
    os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    Supervisor(Run(Path(folder)), Path.cwd(), float(timeout)).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
