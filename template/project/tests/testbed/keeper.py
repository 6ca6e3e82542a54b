"""The keeper: the process that starts the servers of a run, in the background, and ends them.

It outlives pytest by a moment, so however pytest ends, its servers end too. Requests are
files named `<dependency>.requested` in the run's folder, with the rung in them.

Usage: python -m tests.testbed.keeper FOLDER TIMEOUT
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

import psutil

from . import engine
from .cleanup import tear_down
from .dependency import Dependency, known
from .processes import Launcher, ServerFailed, stop
from .run import Run, Server, is_free, write

Start = Callable[[list[Dependency]], None]
Ports = dict[str, int]


class Keeper:
    def __init__(self, run: Run, root: Path, timeout: float) -> None:
        self.run = run
        self.root = root
        self.timeout = timeout
        self.project = f"{engine.RUN_PREFIX}{run.id}"
        self._ports: dict[str, int] = {}
        self._pool = ThreadPoolExecutor(thread_name_prefix="start")
        self._jobs: dict[Future[None], list[Dependency]] = {}
        self._launchers: list[Launcher] = []
        self._seen: set[Path] = set()
        self._over = threading.Event()

    def serve(self) -> None:
        """Answer requests until the last process of the run is gone, then remove everything."""
        # Everything that is started from here on can be found, even if this process is killed.
        os.environ["TESTBED_RUN"] = str(self.run.folder)
        write(self.run.session, str(os.getsid(0)))
        try:
            while not is_free(self.run.lock):
                self._start(self._requests())
                self._report_failures()
                time.sleep(0.02)
        finally:
            self._abandon_jobs()
            stop(self._launchers)
        tear_down(self.run)

    def _requests(self) -> dict[str, list[Dependency]]:
        wanted: dict[str, list[Dependency]] = {"containers": [], "embedded": []}
        for request in set(self.run.folder.glob("*.requested")) - self._seen:
            self._seen.add(request)
            how, port = request.read_text().split()
            wanted[how].append(known()[request.stem])
            self._ports[request.stem] = int(port)
        return wanted

    def _start(self, wanted: dict[str, list[Dependency]]) -> None:
        """Start all at once: the containers together, each program in a thread of its own."""
        for dependency in wanted["embedded"]:
            self._submit(self._embedded, [dependency])
        if wanted["containers"]:
            self._submit(self._containers, wanted["containers"])

    def _submit(self, start: Start, dependencies: list[Dependency]) -> None:
        self._jobs[self._pool.submit(start, dependencies)] = dependencies

    def _report_failures(self) -> None:
        for job in [job for job in self._jobs if job.done()]:
            self._report(job.exception(), self._jobs.pop(job))

    def _abandon_jobs(self) -> None:
        """End starts that are still under way, so that none of them adds a server later."""
        self._over.set()
        if not all(job.done() for job in self._jobs):
            for child in psutil.Process().children():
                child.terminate()
        self._pool.shutdown()

    def _embedded(self, dependencies: list[Dependency]) -> None:
        (dependency,) = dependencies
        begun = time.monotonic()
        url, launched = self._launch(dependency)
        seconds = time.monotonic() - begun
        self.run.publish(
            Server(dependency.name, "embedded", url, started=launched - begun, seconds=seconds)
        )

    def _launch(self, dependency: Dependency) -> tuple[str, float]:
        launcher = Launcher(
            dependency.name, self.run.folder, self._ports[dependency.name], self.run.password
        )
        self._launchers.append(launcher)

        def check() -> None:
            if self._over.is_set():
                raise ServerFailed("the run ended first")
            dependency.check_embedded(launcher)

        dependency.launch(launcher)
        launched = time.monotonic()
        launcher.wait(check, self.timeout)
        return dependency.url(launcher.port, launcher.password), launched

    def _containers(self, dependencies: list[Dependency]) -> None:
        # The engine tells the time of a start by the clock on the wall.
        begun, clock = time.monotonic(), time.time()
        (self.run.folder / f"{self.project}.project").touch()
        ports = self._attended(self._compose_up, dependencies)
        seconds = time.monotonic() - begun
        servers = {
            each.service: Server(
                each.name,
                "containers",
                each.url(ports[each.service], self.run.password),
                project=self.project,
                seconds=seconds,
            )
            for each in dependencies
        }
        for server in servers.values():
            self.run.publish(server)
        # Only a report wants to know: no test waits for it, and no server is lost if it fails.
        self._jobs[self._pool.submit(self._add_starts, servers, clock)] = []

    def _add_starts(self, servers: dict[str, Server], begun: float) -> None:
        started = engine.starts(self.project)
        for service in servers.keys() & started.keys():
            self.run.publish(replace(servers[service], started=started[service] - begun))

    def _attended(
        self, start: Callable[[list[Dependency]], Ports], dependencies: list[Dependency]
    ) -> Ports:
        """Wait for containers as long as the engine answers: a first pull may take minutes.

        Raises:
            ServerFailed: it no longer answers.
        """
        job = self._pool.submit(start, dependencies)
        while not wait([job], timeout=self.timeout).done:
            if trouble := engine.Engine(self.root).trouble:
                raise ServerFailed(f"the container engine no longer answers: {trouble}")
        return job.result()

    def _compose_up(self, dependencies: list[Dependency]) -> Ports:
        variables = {each.port_variable: str(self._ports[each.name]) for each in dependencies}
        for each in dependencies:
            if each.password_variable:
                variables[each.password_variable] = self.run.password
        services = [each.service for each in dependencies]
        return engine.start(self.root, self.project, services, variables)

    def _report(self, error: BaseException | None, dependencies: list[Dependency]) -> None:
        """Tell the tests that wait for a server why it does not come."""
        if error is None:
            return
        reason = error if isinstance(error, ServerFailed) else f"{type(error).__name__}: {error}"
        for each in dependencies:
            message = f"{each.name}: {each.label} did not come up: {reason}"
            self.run.publish(Server(each.name, "", error=message))


def main(folder: str, timeout: str) -> None:
    # The lock came as standard input. What is started here must not hold it: it stands for this
    # process alone, and a sweep ends the programs of one that was killed.
    os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    Keeper(Run(Path(folder)), Path.cwd(), float(timeout)).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
