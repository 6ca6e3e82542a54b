"""Removes what a run made, at its end and after it was killed."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from . import engine, processes
from .dependency import known
from .run import Run, is_free, locked, runs_of, sweep_lock, write

PATIENCE_SECONDS = 24 * 60 * 60.0
"""How long a server of somebody else may be gone before what a run left there is given up."""


def tear_down(run: Run) -> list[str]:
    """End all that a run started and remove all that it made. Its processes have to be gone.

    Own servers come first: nothing else can keep them from ending. What fails stays written
    down in the folder, for the sweep of the next run.

    Returns:
        A line for each thing that could not be removed.
    """
    report: list[str] = []
    _try(report, _end_programs, run)
    for project in run.folder.glob("*.project"):
        _try(report, _remove_project, project)
    for record in run.folder.glob("*.leftovers"):
        _try(report, _discard, record)
    # Data takes up memory, whatever else is left to do.
    for data in run.data():
        shutil.rmtree(data, ignore_errors=True)
    if not report:
        # A sweep may be at it too: it cannot tell a run that ends from one that was killed.
        shutil.rmtree(run.folder, ignore_errors=True)
    elif run.folder.exists():
        write(run.problems, "\n".join(report))
    return report


def _try(report: list[str], remove: Callable[..., None], target: object) -> None:
    try:
        remove(target)
    # A dependency may raise anything, and no run may end in a traceback for an earlier one.
    except Exception as error:  # noqa: BLE001
        report.append(" ".join(str(error).split()) or type(error).__name__)


def _end_programs(run: Run) -> None:
    if run.session.exists():
        processes.end_session(int(run.session.read_text()), run.folder)
    for dependency in known().values():
        for data in run.data(f"{dependency.name}-*"):
            dependency.remove_traces(data)


def _remove_project(record: Path) -> None:
    engine.remove(record.stem)
    record.unlink(missing_ok=True)


def _discard(record: Path) -> None:
    """Remove what a run made on a server that outlives it."""
    age = time.time() - record.stat().st_mtime
    try:
        entry = json.loads(record.read_text())
        name, url, prefix = entry["name"], entry["url"], entry["prefix"]
    except (ValueError, TypeError, KeyError):
        record.unlink(missing_ok=True)
        raise ValueError(
            f"{record.name} was damaged: look for names of this run on the server yourself"
        ) from None
    try:
        # Names that begin with something else were not made by this run.
        if name in known() and Run(record.parent).id in prefix:
            known()[name].discard(url, prefix)
    except Exception as error:
        reason = f"{prefix}* on {name}: {error}"
        if age < PATIENCE_SECONDS:
            raise OSError(reason) from error
        record.unlink(missing_ok=True)
        raise OSError(f"{reason} (given up: it was tried for a day)") from error
    record.unlink(missing_ok=True)


def sweep(root: Path) -> list[str]:
    """Remove what earlier runs of a checkout left: only those of which no process is alive.

    Returns:
        A line for each run that was removed or could not be.
    """
    report = []
    with locked(sweep_lock()):
        for run in runs_of(root):
            if not is_free(run.lock) or not is_free(run.supervisor_lock):
                continue
            left = f"what the killed run {run.id} left"
            problems = tear_down(run)
            report += [f"could not remove all of {left}: {problem}" for problem in problems]
            if not problems:
                report.append(f"removed {left}")
    return report
