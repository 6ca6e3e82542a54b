"""Renders services for the meta-tests, each into a folder of its own, without trust."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import copier
import pytest

from .service import Service
from .variants import EVERYTHING, TEMPLATE, variant_id, variants

VERSION = "v1.0.0"
RUNS_A_SUITE = {"installed", "everything", "contracts", "checkout"}
"""Fixtures with an environment, in which the tests of a rendered service run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "write what is rendered to tests/golden instead of comparing it"
    parser.addoption("--update-golden", action="store_true", help=text)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & RUNS_A_SUITE:
            item.add_marker("suite")
        if "engine" in fixtures:
            item.add_marker("engine")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    Service.allowed = item.get_closest_marker("suite") is not None


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all xdist workers of this run."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


@pytest.fixture(scope="session")
def template(shared_folder: Path) -> Path:
    """The template as it is in the work tree, as a clean git repository with a tag."""
    target = shared_folder / "template"
    with exclusive(shared_folder / "template.lock"):
        if not target.exists():
            make_release(target, VERSION)
    return target


def make_release(target: Path, version: str) -> None:
    """Copy the work tree to a git repository of its own and tag it."""
    listed = git(TEMPLATE, "ls-files", "--cached", "--others", "--exclude-standard")
    for name in listed.splitlines():
        if (TEMPLATE / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TEMPLATE / name, target / name)
    git(target, "init", "--quiet", "--initial-branch", "main")
    release(target, version)


def release(target: Path, version: str) -> None:
    """Commit all changes of a repository and tag them."""
    commit(target, version)
    git(target, "tag", version)


def commit(repository: Path, message: str) -> None:
    git(repository, "add", "--all")
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.com")
    git(repository, *identity, "commit", "--quiet", "--allow-empty", "--message", message)


def git(repository: Path, *arguments: str) -> str:
    command = ["git", "-C", str(repository), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class exclusive:
    """A block that one process at a time may be in."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


Render = Callable[..., Service]
Installed = Callable[[tuple[str, ...]], Service]
Checkout = Callable[..., Service]


@pytest.fixture(scope="session")
def render(template: Path, shared_folder: Path) -> Render:
    """Function that renders the template into a folder, with the given answers.

    What depends on the answers alone is rendered once for the run, and copied.
    """

    def render(path: Path, **answers: Any) -> Service:
        # Copier looks at what is there, and for a git repository above.
        if path.exists() or any((parent / ".git").exists() for parent in path.parents):
            copier.run_copy(str(template), path, data=answers, defaults=True, quiet=True)
            return Service(path)
        key = json.dumps([path.name, answers], sort_keys=True)
        once = shared_folder / "rendered" / hashlib.sha256(key.encode()).hexdigest() / path.name
        once.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(once.parent / "lock"):
            if not once.exists():
                copier.run_copy(str(template), once, data=answers, defaults=True, quiet=True)
        shutil.copytree(once, path, symlinks=True)
        return Service(path)

    return render


@pytest.fixture(scope="session")
def installed(render: Render, shared_folder: Path) -> Installed:
    """Function that returns a service of a variant, rendered and installed once for the run.

    Tests share it: they run its tests and leave its files alone.
    """

    def installed(variant: tuple[str, ...]) -> Service:
        path = shared_folder / "services" / variant_id(variant) / "shop"
        path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(path.parent / "lock"):
            if not (path.parent / "ready").exists():
                render(path, dependencies=list(variant)).install("dev")
                (path.parent / "ready").touch()
        return Service(path)

    return installed


@pytest.fixture(scope="session")
def everything(render: Render, shared_folder: Path) -> Service:
    """A service with all that can be chosen, rendered and installed once for the run; tests leave its files alone."""
    path = shared_folder / "everything" / "shop"
    path.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(path.parent / "lock"):
        if not (path.parent / "ready").exists():
            render(path, **EVERYTHING).install("dev")
            (path.parent / "ready").touch()
    return Service(path)


@pytest.fixture(scope="session")
def contracts(render: Render, installed: Installed, shared_folder: Path) -> Installed:
    """Function that returns a service as `installed` does, with the tests of tests/contract in it."""

    def contracts(variant: tuple[str, ...]) -> Service:
        path = shared_folder / "contracts" / variant_id(variant) / "shop"
        path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(path.parent / "lock"):
            if not (path.parent / "ready").exists():
                service = render(path, dependencies=list(variant))
                service.add_tests("contract")
                (path / ".venv").symlink_to(installed(variant).path / ".venv")
                (path.parent / "ready").touch()
        return Service(path)

    return contracts


@pytest.fixture
def checkout(render: Render, installed: Installed, tmp_path: Path) -> Checkout:
    """Function that returns a service of a variant, or of all, which the test may change.

    It shares an environment with others; its own code comes first on the path. The tests of
    tests/contract are in it.
    """

    def checkout(name: str, *variant: str) -> Service:
        variant = variant or variants()[-1]
        service = render(tmp_path / name / "shop", dependencies=list(variant))
        service.add_tests("contract")
        (service.path / ".venv").symlink_to(installed(variant).path / ".venv")
        return service

    return checkout


@pytest.fixture(scope="session")
def engine() -> None:
    """A container engine with Compose and with the images that the services use."""
    done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    reason = ""
    if done.returncode:
        reason = "no container engine answers: " + (done.stderr.strip().splitlines() or ["?"])[-1]
    if reason and os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    if reason:
        pytest.skip(reason)


@pytest.fixture
def nothing_left(tmp_path: Path) -> Iterator[Callable[[Service], None]]:
    """Function that names a service of this test which has to leave nothing behind by its end."""
    watched: list[Service] = []

    def watch(service: Service) -> None:
        # Other tests run those that are shared, at any time.
        assert service.path.is_relative_to(tmp_path), "use a checkout"
        watched.append(service)

    yield watch
    for service in watched:
        assert service.leftovers() == []
