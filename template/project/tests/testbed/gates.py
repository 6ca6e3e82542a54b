"""Quality gates: `python -m tests.testbed gates [pytest options]`.

Runs the integration and end-to-end tests twice, the second time in the reverse order, and compares
the results with the limits in tests/gates.toml. Below a gate that failed stands what to look at. If
a test fails in the first run, the second one is left out: --keep-going runs it all the same.

Exit code: 0 if no gate failed, 1 if one did, 2 if tests/gates.toml is invalid, and pytest's own
exit code if it could not run the tests.
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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import psutil
from coverage import Coverage
from pytest import ExitCode

from . import engine, recorder
from .recorder import Record

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
SETTINGS = f"{TESTS.name}/gates.toml"
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

    @property
    def again(self) -> str:
        """The command that runs the tests in the same order."""
        seed = self.record.seed
        command = f'pytest -m "{MARKERS}"'
        if seed is not None:
            command += f" --randomly-seed={seed}"
        return command if self.name == "first" else f"{command} -p {recorder.__name__} --reversed"


@dataclass(frozen=True)
class Gate:
    """The result of one gate."""

    name: str
    run: str
    """Which run it judges: first, second or both."""
    required: str
    actual: str
    verdict: str
    details: Sequence[str] = ()


def judged(name: str, run: str, required: str, actual: str, faults: Sequence[str]) -> Gate:
    return Gate(name, run, required, actual, "FAILED" if faults else "passed", faults)


def not_judged(name: str, run: str, required: str, reason: str) -> Gate:
    return Gate(name, run, required, "-", "not judged", [reason])


def read_settings() -> Settings:
    """What tests/gates.toml asks for. Raises Misconfigured."""
    try:
        found = tomllib.loads((ROOT / SETTINGS).read_text())
    except FileNotFoundError:
        raise Misconfigured(f"not found: `git restore {SETTINGS}`") from None
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
                raise Misconfigured(f"{table}: {pattern!r} matches no Python file")
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
    """Run the tests in a pytest of their own, whose output goes to the terminal.

    Raises:
        NotRun: pytest could not run the tests.
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
    changed = changed_files()
    started = time.monotonic()
    done = subprocess.run([*command, *options], cwd=ROOT, env=environment, check=False)
    seconds = time.monotonic() - started
    if done.returncode not in RAN or not path.exists():
        raise NotRun(done.returncode or ExitCode.INTERNAL_ERROR)
    record = Record(**json.loads(path.read_text()))
    files = [f"file {name}" for name, _ in sorted(changed_files().items() - changed.items())]
    return Run(name, seconds, record, [*leftovers(record, path), *record.left, *files])


def changed_files() -> dict[str, float]:
    """The untracked and modified files of the checkout, with the time of their last change."""
    command = ["git", "ls-files", "-z", "--modified", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return {}
    found = {name: ROOT / name for name in done.stdout.split("\0") if name}
    return {n: path.stat().st_mtime if path.exists() else 0.0 for n, path in found.items()}


def fails_alone(test: str, options: Sequence[str]) -> bool:
    """Run one test by itself."""
    command = [sys.executable, "-m", "pytest", "-m", "", "-q", "--no-header", test, *options]
    print(f"== alone: {test}", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode != ExitCode.OK


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


def judge_tests(runs: Sequence[Run]) -> Gate:
    """Whether every test passes in each of the runs."""
    first = runs[0].record
    count = len(first.tests)
    if not count:
        return Gate("tests pass", "both", "all", "none", "not configured", ["no test was selected"])
    always = sorted(set.intersection(*(set(run.record.failed) for run in runs)))
    passed = count - len(always) - len(first.skipped) - len(first.xfailed)
    actual = f"{passed} of {count}"
    notes = []
    for word, reasons in ("skipped", first.skipped), ("xfailed", first.xfailed):
        if reasons:
            actual += f", {len(reasons)} {word}"
        for reason in sorted(set(reasons.values())):
            tests = sorted(test for test in reasons if reasons[test] == reason)
            more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
            notes.append(f"{word}: {tests[0]}{more}: {reason or 'no reason given'}")
    which = "both" if len(runs) > 1 else "first"
    verdict = "FAILED" if always else "passed"
    return Gate("tests pass", which, "all", actual, verdict, [*always, *notes])


def judge_order(first: Run, second: Run, fails_alone: Callable[[str], bool]) -> Gate:
    """Whether a test passes in one order and fails in the other."""
    faults = []
    once = set(first.record.failed) ^ set(second.record.failed)
    for run in first, second:
        failed = sorted(once & set(run.record.failed))
        for test in failed:
            cause = (
                "fails alone too: it needs another test to run first"
                if fails_alone(test)
                else "passes alone: another test disturbs it, or it is unreliable"
            )
            faults += [f"fails only in the {run.name} run: {test}", f"    {cause}"]
        if failed:
            faults.append(f"to repeat that order: {run.again}")
    return judged("pass in either order", "both", "all", _all_but(len(once)), faults)


def judge_coverage(covered: Mapping[str, Target], data: Path) -> list[Gate]:
    """Whether the tests run enough of each group: of its lines, and of the ways that its branches take."""
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
            else:
                branches = coverage.branch_stats(str(ROOT / path))
                total += sum(ways for ways, _ in branches.values())
                hit += sum(taken for _, taken in branches.values())
                half = sorted(line for line, (ways, taken) in branches.items() if 0 < taken < ways)
                if half:
                    one_way = f"one way only from {', '.join(map(str, half))}"
                    spans = f"{spans}; {one_way}" if spans else one_way
            total += len(statements)
            hit += len(statements) - len(missing)
            if spans:
                faults.append(f"{path}: {spans}")
        required = f"{target.percent:g} %"
        if not total:
            hint = f"fill in `paths` of [covered.{group}] in {SETTINGS}"
            gates.append(Gate(title, "first", required, "no code", "not configured", [hint]))
            continue
        # Rounded down: what is shown as enough is enough.
        actual = f"{math.floor(1000 * hit / total) / 10:g} %"
        enough = 100 * hit >= target.percent * total
        gates.append(judged(title, "first", required, actual, [] if enough else faults))
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
    return judged("suite is quick", "second", f"{limit:g} s", f"{seconds:.1f} s", faults)


def judge_names(names: Iterable[list[str]], ignore: Iterable[str]) -> Gate:
    """Whether files, classes and functions of tests/integration are called as they should be."""
    paths = (TESTS / "integration").rglob("*.py")
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
    return judged("names follow the rules", "first", "all", _all_but(len(faults)), details)


def _all_but(count: int) -> str:
    return f"all but {count}" if count else "all"


def judge_leftovers(runs: Sequence[Run]) -> Gate:
    faults = [f"after the {run.name} run: {left}" for run in runs for left in run.leftovers]
    which = "both" if len(runs) > 1 else "first"
    return judged("left behind", which, "nothing", str(len(faults) or "nothing"), faults)


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
    rows = [
        ("gate", "run", "required", "actual", ""),
        *((g.name, g.run, g.required, g.actual, g.verdict) for g in gates),
    ]
    header, *lines = aligned(rows)
    details = [[f"    {detail}" for detail in gate.details] for gate in gates]
    return [header, *(text for line, more in zip(lines, details) for text in (line, *more))]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["   ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__} gates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--keep-going", action="store_true", help="go on after a failed first run")
    known, options = parser.parse_known_args(arguments)
    try:
        settings = read_settings()
    except Misconfigured as error:
        print(f"{SETTINGS}: {error}", file=sys.stderr)
        return 2

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        try:
            first = run_tests("first", options, folder, measured=True)
            failed = len(first.record.failed)
            runs = [first]
            if known.keep_going or not failed:
                order = ["--reversed"]
                if first.record.seed is not None:
                    order.append(f"--randomly-seed={first.record.seed}")
                runs.append(run_tests("second", [*order, *options], folder, measured=False))
        except NotRun as error:
            (code,) = error.args
            print(f"Gates not evaluated: pytest exited with code {code}.", file=sys.stderr)
            return int(code)
        gates = [judge_tests(runs)]
        if len(runs) > 1:
            gates.append(judge_order(first, runs[1], lambda test: fails_alone(test, options)))
        else:
            reason = f"{failed} failed in the first run: --keep-going runs them once more"
            gates.append(not_judged("pass in either order", "both", "all", reason))
        if failed:
            reason = "a failed test may not reach the code that it covers"
            gates += [
                not_judged(title, "first", f"{settings.covered[group].percent:g} %", reason)
                for group, title in GROUPS.items()
            ]
        else:
            gates += judge_coverage(settings.covered, folder / "coverage")
        if len(runs) > 1:
            gates.append(judge_time(runs[1].seconds, settings.max_seconds))
        gates += [judge_names(first.record.names, settings.ignore), judge_leftovers(runs)]

    measured = ", of the second run: it measures no coverage" if len(runs) > 1 else ""
    print(f"\n== times{measured}", *time_report(runs[-1].record), sep="\n")
    print("\n== gates", *gate_report(gates), sep="\n")
    return int(any(gate.verdict == "FAILED" for gate in gates))
