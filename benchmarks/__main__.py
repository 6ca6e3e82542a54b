"""Runs the benchmarks and compares what they measure with the targets.

A target that is missed is reported, not an error. The exit code is 1 when one could not run.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from . import copying, first_hour, guard, isolation, memory, start
from .machine import describe
from .report import Report
from .workspace import CannotRun, Workspace

BENCHMARKS: dict[str, Callable[[Workspace], Report]] = {
    "copy": copying.measure,
    "first-hour": first_hour.measure,
    "guard": guard.measure,
    "isolation": isolation.measure,
    "start": start.measure,
    "memory": memory.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/benchmark", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"{', '.join(BENCHMARKS)} (default: all)"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the results here")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")

    failed = False
    page = []
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        workspace = Workspace(Path(folder))
        machine = "\n".join(f"- {line}" for line in describe(workspace.service))
        page.append(machine)
        print(machine, flush=True)
        for name in options.names or BENCHMARKS:
            before = os.getloadavg()[0]
            try:
                report = BENCHMARKS[name](workspace)
            except CannotRun as error:
                failed = True
                print(f"\n## {name}\ncould not run: {error}", file=sys.stderr, flush=True)
                continue
            report.load = (before, os.getloadavg()[0])
            page.append(str(report))
            print(f"\n{report}", flush=True)
    if options.markdown:
        title = "# Results\nWritten by `scripts/benchmark --markdown FILE`; what is measured and why is in README.md."
        options.markdown.write_text("\n\n".join([title, *page]) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
