"""memory: what the servers hold in memory once the suite has run."""

import json
import re
import subprocess
from pathlib import Path

import psutil

from .report import Report, Row
from .workspace import ALL, COMPOSE, PROBES, CannotRun, Workspace, must, require_engine

MB = 1_000_000
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
METHOD = """\
After one run of the service's whole suite against servers that stay up. Embedded: PSS of the server
processes and their children (resident memory; what PostgreSQL's processes share counts once), from
smaps_rollup. Containers: what `docker stats` shows, the cgroup's memory less the page cache that can
be given back; files on tmpfs are in it. One MB is a million bytes."""


def measure(workspace: Workspace) -> Report:
    require_engine()
    return Report("memory", METHOD, [*embedded(workspace), *containers(workspace)])


def embedded(workspace: Workspace) -> list[Row]:
    service = workspace.service
    command = [str(service.python), str(PROBES / "serve.py")]
    environment = service.clean_environment({"PYTHONPATH": str(service.path)})
    with subprocess.Popen(
        command,
        cwd=service.path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        try:
            served = json.loads(process.stdout.readline() or "null")
            if served is None:
                raise CannotRun("the embedded servers did not start")
            must(service.pytest("-m", "", "--servers", "external", env=served["environment"]))
            supervisor = int((Path(served["folder"]) / "supervisor.session").read_text())
            found = {
                # The folder of a server is named after it and its port.
                Path(server.cwd()).name.rpartition(".")[2].rpartition("-")[0]: resident(server.pid)
                for server in psutil.Process(supervisor).children()
            }
        finally:
            process.stdin.close()
    return rows_of(found, "embedded", 250)


def resident(pid: int) -> float:
    """PSS, in MB, of a process and all its children."""
    root = psutil.Process(pid)
    family = [root, *root.children(recursive=True)]
    return sum(process.memory_full_info().pss for process in family) / MB


def containers(workspace: Workspace) -> list[Row]:
    service = workspace.service
    with workspace.services_left_up() as up:
        must(service.pytest("-m", "", "--servers", "running"))
        names = must(up.run(*COMPOSE, "ps", "--format", "{{.Name}}")).output.split()
        stats = ("docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *names)
        lines = must(service.run(*stats)).output.splitlines()
    found = {}
    for line in lines:
        match = re.match(r"\S*test-(\w+)-\d+ ([\d.]+)([KMG]?i?B) ", line)
        if not match:
            raise CannotRun(f"docker stats said: {line}")
        found[match[1]] = float(match[2]) * UNITS[match[3]] / MB
    return rows_of(found, "containers", 700)


def rows_of(found: dict[str, float], mode: str, target: float) -> list[Row]:
    if set(found) != set(ALL):
        raise CannotRun(f"{mode}: found {sorted(found)}, wanted {sorted(ALL)}")
    each = [Row(f"{name}, {mode}", found[name], "MB") for name in ALL]
    return [*each, Row(f"all, {mode}", sum(found.values()), "MB", target)]
