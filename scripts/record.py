"""Run the commands of README.md's first example in a new folder and draw what the terminal showed.

Usage: scripts/record.py FILE
"""

import os
import pty
import re
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
COLUMNS = 100
LONGEST = 34
"""Lines that are shown of one command; the middle of a longer output is left out, marked by `…`."""
COMMANDS = [
    (
        "uvx copier copy --defaults URL shop",
        "copier copy --defaults --quiet --vcs-ref HEAD {template} shop",
    ),
    ("cd shop", None),
    ("uv sync --quiet", "uv sync --quiet"),
    ('uv run pytest -m ""', 'uv run pytest -m ""'),
]
"""What is shown, and what is run for it: the work tree stands for the URL."""


def output(command: str, folder: Path, environment: dict[str, str]) -> list[str]:
    """Run a command in a terminal and return its lines.

    Raises:
        SystemExit: the command failed.
    """
    reader, writer = pty.openpty()
    with subprocess.Popen(
        ["/bin/bash", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
    ) as process:
        os.close(writer)
        text = b""
        while True:
            try:
                chunk = os.read(reader, 65536)
            except OSError:  # Linux says so when the last writer is gone
                break
            if not chunk:
                break
            text += chunk
    os.close(reader)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.decode(errors="replace"))
    # A carriage return begins the line again.
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in shown.split("\n")]
    if process.returncode:
        raise SystemExit(f"{command} failed:\n" + "\n".join(lines))
    return lines


def session() -> list[str]:
    """The lines of the whole session."""
    lines = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        # The session of a machine without a container engine.
        programs = folder / "bin"
        programs.mkdir()
        for place in [str(TEMPLATE / ".venv" / "bin"), *os.environ["PATH"].split(os.pathsep)]:
            for program in Path(place).glob("*"):
                name = program.name
                if not name.startswith(("docker", "podman")) and not (programs / name).exists():
                    (programs / name).unlink(missing_ok=True)
                    (programs / name).symlink_to(program)
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST", "TEST_", "VIRTUAL_ENV"))
        }
        environment |= {
            "PATH": str(programs),
            "COLUMNS": str(COLUMNS),
            "NO_COLOR": "1",
        }
        for shown, run in COMMANDS:
            lines.append(f"$ {shown}")
            if run:
                printed = output(run.format(template=TEMPLATE), folder, environment)
                lines += shortened(printed)
            else:
                folder = folder / shown.removeprefix("cd ")
        return [line.replace(temporary, "") for line in lines]


def shortened(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) <= LONGEST:
        return lines
    half = LONGEST // 2
    return [*lines[:half], "…", *lines[-half:]]


def drawing(lines: list[str]) -> str:
    """The lines as an SVG image."""
    height = 19 * len(lines) + 36
    rows = [
        f'<text x="18" y="{19 * number + 32}" class="{"c" if line.startswith("$ ") else "o"}" '
        f'xml:space="preserve">{escape(line[:COLUMNS])}</text>'
        for number, line in enumerate(lines)
    ]
    size = f'width="{COLUMNS * 8 + 50}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="A terminal session">',
        "<style>text{font:13px ui-monospace,Menlo,Consolas,monospace}.c{fill:#fff}.o{fill:#b8c2cc}</style>",
        '<rect width="100%" height="100%" rx="8" fill="#1e2429"/>',
        *rows,
        "</svg>\n",
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(drawing(session()), encoding="utf-8")
