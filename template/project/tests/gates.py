"""Quality gates of the integration and end-to-end tests: `python -m tests.gates [pytest options]`.

Runs these tests twice, the second time in the reversed order of the first, and judges them by
tests/gates.toml. Each gate that is missed is followed by what to look at; one that is open has
nothing to judge yet.

Exit code: 0 if no gate is missed, 1 if one is, 2 if tests/gates.toml is at fault, and pytest's
own if it could not run the tests.
"""

import argparse
import ast
import contextlib
import glob
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import psutil
from coverage import Coverage
from pytest import ExitCode

from tests.testbed import engine, recorder
from tests.testbed.recorder import Record

ROOT = Path(__file__).parents[1]
SETTINGS = "tests/gates.toml"
MARKERS = "integration or e2e"
GROUPS = {
    "critical_flows": "critical flows covered",
    "database": "database covered",
    "messaging": "messaging covered",
    "external": "external APIs covered",
    "error_paths": "error paths covered",
}
KINDS = {"a number": (int, float), "a list": (list,), "a table": (dict,)}

FILE = re.compile(r"test(_[a-z0-9]+)+\.py")
CLASS = re.compile(r"TestIntegration[A-Z0-9]\w*")
FUNCTION = re.compile(r"test(_[a-z0-9]+){2,}")
LOOKS_LIKE_TESTS = re.compile(r"[Tt]est([^a-z].*)?\.py|.*(_t|T)ests?\.py")
"""Files of which pytest may pass over some without a word."""

RAN = (ExitCode.OK, ExitCode.TESTS_FAILED, ExitCode.NO_TESTS_COLLECTED)
PATIENCE = 5.0
"""Seconds that the processes of a run get to end after it."""


class Misconfigured(Exception):
    """What is wrong with tests/gates.toml, and what to do."""


class NotRun(Exception):
    """Pytest could not run the tests. The argument is its exit code."""


@dataclass(frozen=True)
class Target:
    """How much of some files the tests have to cover."""

    percent: float
    files: list[str]


@dataclass(frozen=True)
class Settings:
    """What tests/gates.toml asks for."""

    max_seconds: float
    ignore: list[str]
    covered: dict[str, Target]


@dataclass(frozen=True)
class Run:
    """One run of the tests, and what was left after it."""

    name: str
    seconds: float
    record: Record
    leftovers: list[str]


@dataclass(frozen=True)
class Gate:
    """What one gate asks for and sees."""

    name: str
    asked: str
    seen: str
    verdict: str
    details: Sequence[str] = ()


def judged(name: str, asked: str, seen: str, faults: Sequence[str]) -> Gate:
    return Gate(name, asked, seen, "MISSED" if faults else "ok", faults)


def read_settings() -> Settings:
    """What tests/gates.toml asks for. Raises Misconfigured."""
    try:
        found = tomllib.loads((ROOT / SETTINGS).read_text())
    except FileNotFoundError:
        raise Misconfigured(f"there is no such file: `git restore {SETTINGS}`") from None
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(str(error)) from error
    kinds = {"max_seconds": "a number", "ignore": "a list", "covered": "a table", "tool": "a table"}
    _require(found, kinds, "the file")
    _require(found["covered"], dict.fromkeys(GROUPS, "a table"), "[covered]")
    omit = found["tool"].get("coverage", {}).get("run", {}).get("omit", [])
    covered = {}
    for group, entry in found["covered"].items():
        table = f"[covered.{group}]"
        _require(entry, {"percent": "a number", "paths": "a list"}, table)
        for pattern in entry["paths"]:
            if not _files([pattern]):
                raise Misconfigured(f"{table} has {pattern!r}, which no Python file matches")
        files = set(_files(entry["paths"])) - set(_files(omit))
        covered[group] = Target(entry["percent"], sorted(files))
    return Settings(found["max_seconds"], found["ignore"], covered)


def _require(table: Mapping[str, object], kinds: Mapping[str, str], name: str) -> None:
    for key in table.keys() - kinds.keys():
        raise Misconfigured(f"{name} has the unknown key {key!r}: use {', '.join(kinds)}")
    for key, kind in kinds.items():
        if not isinstance(table.get(key), KINDS[kind]):
            raise Misconfigured(f"{name} needs the key {key!r} with {kind}")


def _files(patterns: Iterable[str]) -> list[str]:
    """The Python files that match, as paths from the root folder."""
    found = [glob.glob(pattern, root_dir=ROOT, recursive=True) for pattern in patterns]
    return [path for paths in found for path in paths if path.endswith(".py")]


def run_tests(name: str, options: Sequence[str], folder: Path, *, measured: bool) -> Run:
    """Run the tests in a pytest of their own, which writes to the terminal as ever.

    Raises:
        NotRun: pytest did not come to its end.
    """
    path = folder / f"{name}.json"
    command = [sys.executable, "-m"]
    if measured:
        command += ["coverage", "run", f"--rcfile={SETTINGS}", "-m"]
    command += ["pytest", "-m", MARKERS, "-p", recorder.__name__]
    if importlib.util.find_spec("pytest_cov"):
        command.append("--no-cov")  # Two measurements at once disturb each other.
    variables = {recorder.VARIABLE: str(path), "COVERAGE_FILE": str(folder / "coverage")}
    environment = {**os.environ, **variables}
    print(f"== {name} run", flush=True)
    begun = time.monotonic()
    done = subprocess.run([*command, *options], cwd=ROOT, env=environment, check=False)
    seconds = time.monotonic() - begun
    if done.returncode not in RAN or not path.exists():
        raise NotRun(done.returncode or ExitCode.INTERNAL_ERROR)
    record = Record(**json.loads(path.read_text()))
    return Run(name, seconds, record, leftovers(record, path))


def leftovers(record: Record, path: Path) -> list[str]:
    """The folder, containers and processes that a run left behind."""
    found = []
    if record.folder:
        if Path(record.folder).exists():
            found.append(f"folder {record.folder}")
        project = engine.RUN_PREFIX + record.folder.rpartition("-")[2]
        found += [f"container {name}" for name in engine.containers(project)]
    ours = [each for each in psutil.process_iter() if _comes_from(each, record, path)]
    for process in psutil.wait_procs(ours, PATIENCE)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            words = " ".join(process.cmdline()).split()
            found.append(f"process {process.pid}: {' '.join(words)[:120]}")
    return found


def _comes_from(process: psutil.Process, record: Record, path: Path) -> bool:
    """Whether a process belongs to a run, however it was started."""
    # What is gone or belongs to somebody else is not of this run.
    with contextlib.suppress(psutil.Error):
        if process.environ().get(recorder.VARIABLE) == str(path):
            return True
        # Some servers write their titles over their environment.
        words = [*process.cmdline(), process.cwd()]
        return record.folder != "" and any(record.folder in word for word in words)
    return False


def judge_tests(first: Run, second: Run) -> list[Gate]:
    """Whether the tests pass, and whether they do in either order."""
    count = len(first.record.tests)
    if not count:
        return [Gate("tests pass", "all", "none", "open", ["no test was selected"])]
    always = sorted(set(first.record.failed) & set(second.record.failed))
    again = f'pytest -m "{MARKERS}"'
    if first.record.seed is not None:
        again += f" --randomly-seed={first.record.seed}"
    once = set(first.record.failed) ^ set(second.record.failed)
    faults = []
    for run, command in (first, again), (second, f"{again} -p {recorder.__name__} --reversed"):
        if failed := sorted(once & set(run.record.failed)):
            faults += [f"fails only in the {run.name} run: {test}" for test in failed]
            faults.append(f"the same again: {command}")
    return [
        judged("tests pass", "all", f"{count - len(always)} of {count}", always),
        judged("pass in either order", "all", _all_but(len(once)), faults),
    ]


def judge_coverage(covered: Mapping[str, Target], data: Path) -> list[Gate]:
    coverage = Coverage(data_file=data, config_file=str(ROOT / SETTINGS))
    coverage.combine()
    gates = []
    for group, title in GROUPS.items():
        target = covered[group]
        total = hit = 0
        faults = []
        for path in target.files:
            _, statements, _, missing, spans = coverage.analysis2(str(ROOT / path))
            if group == "error_paths":
                lines = error_lines(path)
                statements = [line for line in statements if line in lines]
                missing = [line for line in missing if line in lines]
                spans = ", ".join(map(str, missing))
            total += len(statements)
            hit += len(statements) - len(missing)
            if missing:
                faults.append(f"{path}: {spans}")
        asked = f"{target.percent:g} %"
        if not total:
            hint = f"fill in `paths` of [covered.{group}] in {SETTINGS}"
            gates.append(Gate(title, asked, "no code", "open", [hint]))
            continue
        # Rounded down: what is shown as enough is enough.
        seen = f"{math.floor(1000 * hit / total) / 10:g} %"
        enough = 100 * hit >= target.percent * total
        gates.append(judged(title, asked, seen, [] if enough else faults))
    return gates


def error_lines(path: str) -> set[int]:
    """The lines that run when something fails: exception handlers and `raise` statements."""
    tree = ast.parse((ROOT / path).read_bytes())
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler | ast.Raise)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def judge_time(seconds: float, limit: float) -> Gate:
    faults = ["see the slowest tests above"] if seconds > limit else []
    return judged("suite is quick", f"{limit:g} s", f"{seconds:.1f} s", faults)


def judge_names(names: Iterable[list[str]], ignore: Iterable[str]) -> Gate:
    """Whether files, classes and functions of tests/integration are called as they should be."""
    paths = (ROOT / "tests" / "integration").rglob("*.py")
    passed_over = [path for path in paths if LOOKS_LIKE_TESTS.fullmatch(path.name)]
    found = [[str(path.relative_to(ROOT)), "", ""] for path in passed_over]
    faults = {}
    for path, group, function in sorted([*found, *names]):
        name = "::".join(filter(None, (path, group, function)))
        if any(fnmatch(name, pattern) for pattern in ignore):
            continue
        if not FILE.fullmatch(Path(path).name):
            faults[path] = "test_<component>_<kind>.py"
        if group and not CLASS.fullmatch(group):
            faults[f"{path}::{group}"] = "TestIntegration<Component>"
        if function and not group:
            faults[name] = "a method of a class TestIntegration<Component>"
        elif function and not FUNCTION.fullmatch(function):
            faults[name] = "test_<scenario>_<expected_outcome>"
    details = [f"{name}: should be {form}" for name, form in faults.items()]
    return judged("names keep to the rules", "all", _all_but(len(faults)), details)


def _all_but(count: int) -> str:
    return f"all but {count}" if count else "all"


def judge_leftovers(runs: Iterable[Run]) -> Gate:
    faults = [f"after the {run.name} run: {left}" for run in runs for left in run.leftovers]
    return judged("left behind", "nothing", str(len(faults) or "nothing"), faults)


def time_report(record: Record) -> list[str]:
    """What the servers and the slowest tests took."""
    rows = [("server", "started", "ready", "reset for each test")]
    for name in sorted(record.servers.keys() | record.resets.keys()):
        started, ready = (
            f"{1000 * seconds:.0f} ms" if seconds else "-"
            for seconds in record.servers.get(name, (0, 0))
        )
        reset = f"{1000 * record.resets[name]:.1f} ms" if name in record.resets else "-"
        rows.append((name, started, ready, reset))
    slowest = sorted(record.tests.items(), key=lambda test: test[1], reverse=True)[:10]
    lines = [*aligned(rows), ""] if len(rows) > 1 else []
    return [*lines, *(f"{seconds:6.2f} s  {name}" for name, seconds in slowest)]


def gate_report(gates: Iterable[Gate]) -> list[str]:
    rows = [("gate", "asked", "seen", ""), *((g.name, g.asked, g.seen, g.verdict) for g in gates)]
    header, *lines = aligned(rows)
    details = [[f"    {detail}" for detail in gate.details] for gate in gates]
    return [header, *(text for line, more in zip(lines, details) for text in (line, *more))]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["   ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.gates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _, options = parser.parse_known_args(arguments)
    try:
        settings = read_settings()
    except Misconfigured as error:
        print(f"{SETTINGS}: {error}", file=sys.stderr)
        return 2

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            first = run_tests("first", options, folder, measured=True)
            order = ["--reversed"]
            if first.record.seed is not None:
                order.append(f"--randomly-seed={first.record.seed}")
            second = run_tests("second", [*order, *options], folder, measured=False)
        except NotRun as error:
            (code,) = error.args
            print(f"The gates cannot judge: pytest ended with exit code {code}.", file=sys.stderr)
            return int(code)
        gates = [
            *judge_tests(first, second),
            *judge_coverage(settings.covered, folder / "coverage"),
            judge_time(second.seconds, settings.max_seconds),
            judge_names(first.record.names, settings.ignore),
            judge_leftovers((first, second)),
        ]

    times = time_report(second.record)
    print("\n== times, of the second run: it measures no coverage", *times, sep="\n")
    print("\n== gates", *gate_report(gates), sep="\n")
    return int(any(gate.verdict == "MISSED" for gate in gates))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
