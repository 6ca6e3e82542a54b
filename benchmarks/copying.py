"""copy: a copy of this template against copies of one that holds next to nothing, and of plain files."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from .report import Report, Row
from .workspace import CannotRun, Workspace
from tests.conftest import VERSION, git, release

ROUNDS = 9
QUESTION = "name:\n  type: str\n  default: shop\n"
METHOD = f"""\
`copier copy --defaults --quiet` as a command, from a clean git repository with a tag, of this
template, of one with one question and one file, and of one with one question and the files that
this one renders, as they are; in turns, medians of {ROUNDS}. The last is what Copier itself takes for
that many files: it asks git about each one that it writes."""


def measure(workspace: Workspace) -> Report:
    sources = {
        "this": workspace.template,
        "empty": empty_template(workspace.folder / "empty"),
        "plain": plain_template(workspace.template, workspace.folder / "plain"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sources}
    for turn in range(ROUNDS + 1):
        for name, source in sources.items():
            spent = copy(source, workspace.folder / "copies" / f"{name}-{turn}")
            if turn:  # The first one fills the caches.
                seconds[name].append(spent)
    this, empty, plain = (median(seconds[name]) for name in ("this", "empty", "plain"))
    fastest = {name: min(each) for name, each in seconds.items()}
    count = sum(path.is_file() for path in (workspace.folder / "plain" / "files").rglob("*"))
    rows = [
        Row("copy of an empty template", empty, "s"),
        Row("copy of this template", this, "s"),
        Row("this / empty", this / empty, "×", 1.9, fastest["this"] / fastest["empty"]),
        Row(f"copy of {count} plain files", plain, "s"),
        Row("plain / empty", plain / empty, "×", None, fastest["plain"] / fastest["empty"]),
        Row("this / plain", this / plain, "×", 1.1, fastest["this"] / fastest["plain"]),
    ]
    return Report("copy", METHOD, rows)


def empty_template(target: Path) -> Path:
    target.mkdir()
    git(target, "init", "--quiet", "--initial-branch", "main")
    (target / "copier.yml").write_text(QUESTION)
    (target / "README.md.jinja").write_text("# {{ name }}\n")
    release(target, VERSION)
    return target


def plain_template(source: Path, target: Path) -> Path:
    copy(source, target / "files")
    git(target, "init", "--quiet", "--initial-branch", "main")
    (target / "copier.yml").write_text(f"_subdirectory: files\n{QUESTION}")
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
