"""copy: a copy of this template against a copy of one that holds next to nothing."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from tests.conftest import VERSION, git, release

from .report import Report, Row
from .workspace import CannotRun, Workspace

ROUNDS = 9
METHOD = f"""\
`copier copy --defaults --quiet` as a command, from a clean git repository with a tag, of this
template and of one with one question and one file; in turns, medians of {ROUNDS}."""


def measure(workspace: Workspace) -> Report:
    sources = {"this": workspace.template, "empty": empty_template(workspace.folder / "empty")}
    seconds: dict[str, list[float]] = {name: [] for name in sources}
    for turn in range(ROUNDS + 1):
        for name, source in sources.items():
            spent = copy(source, workspace.folder / "copies" / f"{name}-{turn}")
            if turn:  # The first one fills the caches.
                seconds[name].append(spent)
    this, empty = median(seconds["this"]), median(seconds["empty"])
    rows = [
        Row("copy of an empty template", empty, "s"),
        Row("copy of this template", this, "s"),
        Row("ratio", this / empty, "×", 1.5, min(seconds["this"]) / min(seconds["empty"])),
    ]
    return Report("copy", METHOD, rows)


def empty_template(target: Path) -> Path:
    target.mkdir()
    git(target, "init", "--quiet", "--initial-branch", "main")
    (target / "copier.yml").write_text("name:\n  type: str\n  default: shop\n")
    (target / "README.md.jinja").write_text("# {{ name }}\n")
    release(target, VERSION)
    return target


def copy(source: Path, target: Path) -> float:
    command = [sys.executable, "-m", "copier", "copy", "--defaults", "--quiet"]
    begun = time.perf_counter()
    done = subprocess.run(
        [*command, str(source), str(target)], capture_output=True, text=True, check=False
    )
    spent = time.perf_counter() - begun
    if done.returncode:
        raise CannotRun(done.stderr)
    return spent
