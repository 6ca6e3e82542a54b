"""Runs pytest in a service many times without importing its packages each time."""

import json
import subprocess
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from .service import Service

# Each run is a fork of a process that has imported what a collection imports, but nothing of the
# service itself: that is read anew.
SCRIPT = """
import contextlib, importlib, json, os, signal, sys

own = ("shop", "tests", "__main__")
reader, writer = os.pipe()


def run(arguments):
    import pytest

    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    output = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    return int(pytest.main(arguments))


if not os.fork():
    code = run(["--collect-only", "-q", "-m", ""])
    names = [name for name in sys.modules if name.partition(".")[0] not in own]
    with open(writer, "w") as pipe:
        json.dump(names, pipe)
    os._exit(code)
os.close(writer)
for name in json.load(open(reader)):
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
print("ready", flush=True)
for line in sys.stdin:
    arguments, seconds = json.loads(line)
    child = os.fork()
    if not child:
        os._exit(run(arguments))
    # Not in the child: there, pytest-timeout takes the alarm for itself.
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(seconds)
    status = os.waitpid(child, 0)[1]
    signal.alarm(0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class WarmPytest:
    """pytest of one service, started warm. Use it as a context manager."""

    def __init__(self, service: Service) -> None:
        self._output = service.path.with_name("pytest-output")
        self._process = subprocess.Popen(
            [str(service.python), "-c", SCRIPT, str(self._output)],
            cwd=service.path,
            env=service.clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        assert self._read() == "ready"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def run(self, arguments: Sequence[str], seconds: int) -> int:
        """The exit code of pytest, negative if it had to be ended after that time."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps([arguments, seconds]) + "\n")
        self._process.stdin.flush()
        return int(self._read())

    @property
    def output(self) -> str:
        """What the last run printed."""
        return self._output.read_text(errors="replace")

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()
