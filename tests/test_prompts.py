"""The questions in a terminal: keys, a wrong answer and its correction, and Ctrl-C."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

DOWN, ENTER, INTERRUPT, DELETE_LINE = "\x1b[B", "\r", "\x03", "\x15"
TIMEOUT = 60.0


class Terminal:
    """A copy of the template in a pseudo-terminal."""

    def __init__(self, template: Path, folder: Path) -> None:
        self.output = ""
        self._end, end = pty.openpty()
        command = [sys.executable, "-m", "copier", "copy", str(template), str(folder)]
        env = os.environ | {"TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
        self.process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=env)
        os.close(end)

    def wait_for(self, text: str) -> None:
        """Read until a text appears that was not there at the last call."""
        deadline = time.monotonic() + TIMEOUT
        while text not in self.output:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._end], [], [], left)[0], self.output
            self.output += os.read(self._end, 65536).decode(errors="replace")
        self.output = self.output.partition(text)[2]

    def type(self, *keys: str) -> None:
        for key in keys:
            os.write(self._end, key.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._end)


@pytest.fixture
def terminal(template: Path, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(template, tmp_path / "shop")
    yield terminal
    terminal.close()


def test_answers_are_chosen_with_the_keys_and_a_wrong_one_is_corrected(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.wait_for("What is the service called?")
    terminal.type(ENTER)
    terminal.wait_for("What is the name of its Python package?")
    terminal.type(DELETE_LINE, "class", ENTER)
    terminal.wait_for("class is a keyword of Python")
    terminal.type(DELETE_LINE, "store", ENTER)
    terminal.wait_for("Which servers does the service talk to?")
    terminal.wait_for("runs without Docker")
    terminal.type(DOWN, " ", DOWN, " ", ENTER)
    terminal.wait_for("Which APIs does the service offer?")
    terminal.type(ENTER)
    terminal.wait_for("Which third-party HTTP APIs does it call?")
    terminal.type(DELETE_LINE, "[]", ENTER)
    terminal.wait_for("Render a small example")
    terminal.type("n")
    terminal.wait_for("Where is your SQLAlchemy metadata?")
    terminal.type(ENTER)
    terminal.wait_for("Which file configures Alembic?")
    terminal.type(ENTER)
    terminal.wait_for("Where is your ASGI app?")
    terminal.type(ENTER)
    terminal.wait_for("Which CI system")
    terminal.type(DOWN, ENTER)
    terminal.wait_for("The guide is tests/README.md")

    answers = yaml.safe_load((tmp_path / "shop" / ".copier-answers.yml").read_text())
    assert answers["package_name"] == "store"
    assert answers["dependencies"] == ["postgres"]
    assert (answers["example"], answers["ci"]) == (False, "gitlab")


def test_interrupt_is_one_line_and_renders_nothing(terminal: Terminal, tmp_path: Path) -> None:
    terminal.wait_for("What is the service called?")
    terminal.type(INTERRUPT)
    terminal.wait_for("Execution stopped by user")

    assert terminal.process.wait(TIMEOUT) != 0
    assert not (tmp_path / "shop").exists()
