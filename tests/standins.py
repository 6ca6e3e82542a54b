"""Builds stand-ins for the images of the template on an engine that cannot pull them.

A stand-in bears the name of a published image and keeps its contract, with the real program
inside. `template/dependencies/*/standin/` holds one each: a Dockerfile whose label
`standin.for` is the image's name, and what to fetch on this machine before the build:

    requirements.txt    wheels, unpacked to wheels/ in the build context
    pom.xml             jars with their dependencies, copied to jars/

An image that the engine already has is left alone, and a published one wins over its stand-in.
To build one anew, remove its image first.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

DEPENDENCIES = Path(__file__).resolve().parent.parent / "template" / "dependencies"
# What a registry says when it answers and has not that image.
ANSWERS = ("manifest unknown", "no matching manifest", "pull access denied")


class StandinError(Exception):
    """What failed and what to do."""


@dataclass(frozen=True)
class Standin:
    image: str
    base: str
    folder: Path


def run(*command: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise StandinError(f"{command[0]} is not installed.") from None
    except subprocess.CalledProcessError as error:
        output = (error.stdout + error.stderr).strip()
        raise StandinError(f"{' '.join(command)} failed:\n{output[-3000:]}") from None
    return done.stdout


def discover(dependencies: Path = DEPENDENCIES) -> list[Standin]:
    """Every stand-in that a dependency's folder declares, by image name."""
    standins = []
    for dockerfile in sorted(dependencies.glob("*/standin/Dockerfile")):
        text = dockerfile.read_text()
        image = re.search(r'\bstandin\.for="([^"]+)"', text)
        base = re.search(r"^FROM (\S+)", text, re.MULTILINE)
        if not image or not base:
            raise StandinError(f"{dockerfile} needs a FROM line and a label standin.for.")
        standins.append(Standin(image[1], base[1], dockerfile.parent))
    return standins


def require_engine() -> None:
    if not shutil.which("docker"):
        raise StandinError("docker is not installed.")
    try:
        run("docker", "version", "--format", "{{.Server.Version}}")
    except StandinError:
        raise StandinError(
            "No container engine answers: start one (systemctl start docker, or dockerd as root)."
        ) from None


def labels(image: str) -> dict[str, str] | None:
    """The labels of an image, or None if the engine does not have it."""
    found = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", image],
        capture_output=True,
        text=True,
        check=False,
    )
    return (json.loads(found.stdout) or {}) if found.returncode == 0 else None


def resolve(image: str) -> str:
    """What the name stands for on this engine: nothing, the published image or a stand-in."""
    found = labels(image)
    if found is None:
        return "missing"
    if found.get("standin.for") == image:
        return f"stand-in: {found['standin.program']}"
    return "published"


def pull_published(images: Sequence[str]) -> list[str]:
    """Pulls what the registry has; returns the rest. A silent registry is asked once."""
    missing = list(images)
    for image in images:
        pull = subprocess.run(
            ["docker", "pull", "--quiet", image], capture_output=True, text=True, check=False
        )
        if pull.returncode == 0:
            missing.remove(image)
        elif not any(answer in pull.stderr for answer in ANSWERS):
            break
    return missing


def debian_mirror(suite: str) -> list[str]:
    """The mirror that apt uses here for the suite; none on another distribution."""
    if not shutil.which("apt-get"):
        return []
    which = ["--format=$(REPO_URI)", "Created-By: Packages", f"Release: {suite}"]
    return run("apt-get", "indextargets", *which).split()[:1]


def build_base(base: str) -> None:
    """A minimal Debian, of the release that the tag names."""
    if labels(base) is not None:
        return
    if os.geteuid() != 0:
        raise StandinError(f"Building {base} needs root: debootstrap makes a system in a folder.")
    suite = base.rpartition(":")[2]
    with tempfile.TemporaryDirectory() as temporary:
        root = f"{temporary}/root"
        run("debootstrap", "--variant=minbase", suite, root, *debian_mirror(suite))
        shutil.rmtree(f"{root}/var/cache/apt/archives")
        archive = f"{temporary}/root.tar"
        run("tar", "--create", "--file", archive, "--directory", root, ".")
        run("docker", "import", archive, base)


def prepare(context: Path) -> None:
    """Fetches what the build context declares, with this machine's own package managers."""
    if (context / "requirements.txt").exists():
        in_python = importlib.util.find_spec("pip") is not None
        pip = [sys.executable, "-m", "pip"] if in_python else ["pip3"]
        options = ["--quiet", "--no-deps", "--no-compile", "--only-binary=:all:"]
        wheels = ["--target", "wheels", "--requirement", "requirements.txt"]
        run(*pip, "install", *options, *wheels, cwd=context)
    if (context / "pom.xml").exists():
        copy = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
        run("mvn", "--batch-mode", "--quiet", *copy, "-DoutputDirectory=jars", cwd=context)


def build(standin: Standin, base: Future[None]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        context = Path(temporary) / "context"
        shutil.copytree(standin.folder, context)
        prepare(context)
        base.result()
        # The classic builder: it finds a base that only this engine has, and needs no plugin.
        command = ("docker", "build", "--network", "host", "--tag", standin.image, ".")
        run(*command, cwd=context, env={**os.environ, "DOCKER_BUILDKIT": "0"})


def ensure(standins: Sequence[Standin]) -> None:
    """Makes every image available, published if possible."""
    absent = [standin.image for standin in standins if labels(standin.image) is None]
    wanted = set(pull_published(absent))
    missing = [standin for standin in standins if standin.image in wanted]
    with ThreadPoolExecutor() as pool:
        bases = {base: pool.submit(build_base, base) for base in {s.base for s in missing}}
        builds = [pool.submit(build, standin, bases[standin.base]) for standin in missing]
    for done in builds:
        done.result()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--list", action="store_true", help="only print what each image name stands for"
    )
    options = parser.parse_args(arguments)
    try:
        standins = discover()
        require_engine()
        if not options.list:
            ensure(standins)
    except StandinError as error:
        print(error, file=sys.stderr)
        return 1
    for standin in standins:
        print(f"{standin.image}  {resolve(standin.image)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
