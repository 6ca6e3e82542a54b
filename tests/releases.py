"""What a release of the template promises to those who update from the last one."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import copier
import yaml

from .conftest import git

VERSION_TAG = re.compile(r"v\d+\.\d+\.\d+")
MIGRATION = re.compile(r"(^|/)migrations/versions/[^/]+\.py$")
ANSWERS_FILE = ".copier-answers.yml"


def disagreements(repository: Path) -> list[str]:
    """Where pyproject.toml, CHANGELOG.md and the tag of HEAD, if any, do not name one version."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["version"]
    heading = re.search(r"^## (.+)$", (repository / "CHANGELOG.md").read_text(), re.MULTILINE)
    newest = heading[1] if heading else "nothing"
    found = []
    if newest != project:
        found.append(f"pyproject.toml has {project}, and CHANGELOG.md begins with {newest}")
    for tag in release_tags(repository, "--points-at", "HEAD"):
        if tag != f"v{project}":
            found.append(f"pyproject.toml has {project}, and HEAD is tagged {tag}")
    return found


def release_tags(repository: Path, *which: str) -> list[str]:
    """The tags of releases, the newest version first."""
    listed = git(repository, "tag", "--list", "v*", "--sort=-version:refname", *which)
    return [tag for tag in listed.splitlines() if VERSION_TAG.fullmatch(tag)]


def last_release(repository: Path) -> str | None:
    """The newest version that HEAD comes after; not HEAD's own."""
    tags = release_tags(repository, "--merged", "HEAD", "--no-contains", "HEAD")
    return tags[0] if tags else None


def broken_promises(repository: Path, tag: str, newer: Path) -> list[str]:
    """What a service of the release `tag` would lose with an update to the template in `newer`."""
    found: set[str] = set()
    for answers in release_answers(repository, tag):
        with TemporaryDirectory() as folder:
            old = rendered(repository, tag, Path(folder) / "old" / "shop", answers)
            new = rendered(newer, "HEAD", Path(folder) / "new" / "shop", answers)
        found |= {f"{path} of {tag} is not rendered any more" for path in old.keys() - new.keys()}
        found |= {
            f"{path} of {tag} was changed: a migration may have run"
            for path in old.keys() & new.keys()
            if MIGRATION.search(path) and old[path] != new[path]
        }
        asked, asks = (yaml.safe_load(each.get(ANSWERS_FILE, b"{}")) for each in (old, new))
        found |= {
            f"the question {name} of {tag} is gone" for name in asked.keys() - (asks or {}).keys()
        }
    return sorted(found)


def release_answers(repository: Path, tag: str) -> Iterator[dict[str, Any]]:
    """Answers that together render every path of a release."""
    kinds = {
        kind: [Path(name).name for name in listed.splitlines()]
        for kind in ("dependencies", "apis", "external", "ci")
        for listed in [git(repository, "ls-tree", "-d", "--name-only", tag, f"template/{kind}/")]
    }
    everything = {
        "dependencies": kinds["dependencies"],
        "apis": kinds["apis"],
        "external_apis": kinds["external"],
    }
    for ci in kinds["ci"] or ["none"]:
        yield {**everything, "ci": ci}
    yield {**everything, "ci": "none", "example": False, "asgi_app": "shop.main:app"}


def rendered(repository: Path, ref: str, target: Path, answers: dict[str, Any]) -> dict[str, bytes]:
    """The content of each file that a version of the template renders, by its path."""
    copier.run_copy(str(repository), target, vcs_ref=ref, data=answers, defaults=True, quiet=True)
    files = (path for path in target.rglob("*") if path.is_file())
    return {path.relative_to(target).as_posix(): path.read_bytes() for path in files}
