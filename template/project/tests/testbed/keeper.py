"""The keeper: the process that starts the servers of a run, in the background, and ends them.

It outlives pytest by a moment, so however pytest ends, its servers end too. Requests are
files named `<dependency>.want` in the run's folder, with the rung in them.

Usage: python -m tests.testbed.keeper FOLDER TIMEOUT
"""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil

from . import engine
from .cleanup import tear_down
from .dependency import Dependency, known
from .processes import Launcher, ServerFailed
from .run import Run, Server, is_free

Start = Callable[[list[Dependency]], None]


class Keeper:
    def __init__(self, run: Run, root: Path, timeout: float) -> None:
        self.run = run
        self.root = root
        self.timeout = timeout
        self.project = f"{engine.RUN_PREFIX}{run.id}"
        self._ports: dict[str, int] = {}
        self._pool = ThreadPoolExecutor(thread_name_prefix="start")
        self._jobs: list[Future[None]] = []
        self._over = threading.Event()

    def serve(self) -> None:
        """Answer requests until the last process of the run is gone, then remove everything."""
        while not is_free(self.run.lock):
            self._start(self._requests())
            time.sleep(0.02)
        self._abandon_jobs()
        tear_down(self.run)

    def _requests(self) -> dict[str, list[Dependency]]:
        wanted: dict[str, list[Dependency]] = {"containers": [], "embedded": []}
        for request in self.run.folder.glob("*.want"):
            how, port = request.read_text().split()
            wanted[how].append(known()[request.stem])
            self._ports[request.stem] = int(port)
            request.unlink()
        return wanted

    def _start(self, wanted: dict[str, list[Dependency]]) -> None:
        """Start all at once: the containers together, each program in a thread of its own."""
        for dependency in wanted["embedded"]:
            self._submit(self._embedded, [dependency])
        if wanted["containers"]:
            self._submit(self._containers, wanted["containers"])

    def _submit(self, start: Start, dependencies: list[Dependency]) -> None:
        job = self._pool.submit(start, dependencies)
        self._jobs.append(job)
        job.add_done_callback(lambda job: self._report(job.exception(), dependencies))

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
        ports = self._compose_up(dependencies)
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
        self._jobs.append(self._pool.submit(self._add_starts, servers, clock))

    def _add_starts(self, servers: dict[str, Server], begun: float) -> None:
        started = engine.starts(self.project)
        for service in servers.keys() & started.keys():
            self.run.publish(replace(servers[service], started=started[service] - begun))

    def _compose_up(self, dependencies: list[Dependency]) -> dict[str, int]:
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
    Keeper(Run(Path(folder)), Path.cwd(), float(timeout)).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
