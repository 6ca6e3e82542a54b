"""What is removed after a run, and after a run that was killed."""

import json
import shutil
from pathlib import Path

from . import engine, processes
from .dependency import known
from .processes import NotReady, ServerFailed
from .run import Run, home, is_free, locked, runs_of


def tear_down(run: Run) -> None:
    """End all that a run started and remove all that it made. Its processes have to be gone.

    The folder goes last: what fails here is tried again by the sweep of the next run.
    """
    for record in run.folder.glob("*.leftovers"):
        entry = json.loads(record.read_text())
        # Names that begin with something else were not made by this run.
        if entry["name"] in known() and run.id in entry["prefix"]:
            known()[entry["name"]].discard(entry["url"], entry["prefix"])
    processes.stop(list(run.folder.glob("*.process")))
    for project in run.folder.glob("*.project"):
        engine.remove(project.stem)
    # A sweep may be at it too: it cannot tell a run that ends from one that was killed.
    shutil.rmtree(run.folder, ignore_errors=True)


def sweep(root: Path) -> list[str]:
    """Remove what earlier runs of a checkout left: only those of which no process is alive.

    Returns:
        A line for each run that was removed or could not be.
    """
    report = []
    with locked(home() / "sweep.lock"):
        for run in runs_of(root):
            if not is_free(run.lock) or not is_free(run.keeper_lock):
                continue
            try:
                tear_down(run)
                report.append(f"removed what the killed run {run.id} left")
            except (OSError, NotReady, ServerFailed) as error:
                report.append(f"could not remove what the killed run {run.id} left: {error}")
    return report
