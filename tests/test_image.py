"""The image that the example's Dockerfile makes: it starts, serves, and runs as nobody in particular.

Where no registry answers, the base image is a stand-in with this machine's Python and the service's packages.
"""

import _ssl
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Render
from .service import Service

PYTHON = "python:3.13-slim"
BASE = "testbed-standin-base:bookworm"
"""Made by tests/standins.py."""
STANDIN = """
FROM {base}
COPY python /opt/python
COPY packages /opt/packages
ENV PATH=/opt/python/bin:$PATH LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/packages
ENV PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=0
"""
SECONDS = 30.0

pytestmark = [pytest.mark.engine, pytest.mark.suite]


def docker(*arguments: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        ["docker", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def python_image(service: Service, folder: Path) -> str:
    """The base image, or the id of one that stands in for it."""
    pulled = subprocess.run(["docker", "pull", "--quiet", PYTHON], capture_output=True, check=False)
    if pulled.returncode == 0:
        return PYTHON
    left_out = shutil.ignore_patterns(
        "test", "site-packages", "__pycache__", "*.a", "idlelib", "include", "share"
    )
    shutil.copytree(sys.base_prefix, folder / "python", ignore=left_out, symlinks=True)
    for line in subprocess.check_output(["ldd", _ssl.__file__], text=True).splitlines():
        if match := re.search(r"=> (\S+/lib(?:ssl|crypto)\S+)", line):
            shutil.copy(match[1], folder / "python" / "lib")
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python"]
    command += [sys.executable, "--target", str(folder / "packages")]
    subprocess.run([*command, "pip", "hatchling", str(service.path)], check=True)
    for own in folder.glob("packages/shop*"):
        shutil.rmtree(own)
    (folder / "Dockerfile").write_text(STANDIN.format(base=BASE))
    return docker("build", "--quiet", ".", cwd=folder)


@pytest.fixture(scope="module")
def image(engine: None, render: Render, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image of a shop that needs no server."""
    folder = tmp_path_factory.mktemp("image")
    service = render(folder / "shop", dependencies=[], external_apis=[])
    base = python_image(service, folder / "base")
    try:
        chosen = f"PYTHON_IMAGE={base}"
        built = docker(
            "build", "--quiet", "--force-rm", "--build-arg", chosen, ".", cwd=service.path
        )
        yield built
        docker("rmi", "--force", built)
    finally:
        if base != PYTHON:
            docker("rmi", "--force", base)


def test_image_runs_as_nobody_and_has_no_tests(image: str) -> None:
    listing = docker("run", "--rm", image, "sh", "-c", "id -u; ls")

    assert listing.split() == ["10001", "README.md", "pyproject.toml", "src"]


def test_container_serves_its_api(image: str) -> None:
    container = docker("run", "--detach", "--publish", "127.0.0.1::8000", image)
    try:
        address = docker("port", container, "8000/tcp")
        assert answer(f"http://{address}/health") == '{"unavailable":[]}'
    finally:
        # Shown with the test, if that failed.
        print(subprocess.run(["docker", "logs", container], capture_output=True, check=False))
        docker("rm", "--force", container)


def answer(url: str) -> str:
    """What a server says as soon as it answers."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=SECONDS) as response:
                return str(response.read().decode())
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.05)
