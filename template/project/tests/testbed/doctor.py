"""What works on this machine: `python -m tests.testbed doctor`.

Shows the source that pytest uses for each server, and for every source whether it can be used and,
if not, what to do. Nothing is started, and no server is asked anything.

Exit code: 0 if every server has a source, 1 if one has none or environment.toml is wrong.
"""

import argparse
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from .dependency import Dependency, known
from .engine import Engine
from .environment import FILE, Environment, WiringError
from .processes import hold_port
from .sources import FINDERS, HELP, SOURCES, PassedOver, Unavailable, choose_source

ROOT = Path(__file__).parents[2]
LIMITS = Path("/sys/fs/cgroup")
"""Where Linux says how much memory a container may use."""
ENOUGH = 1.0
"""GiB: more than the containers of all servers take together."""

Row = tuple[str, bool, str]
"""What was looked at, whether it can be used, and a detail or what to do."""


def machine(engine: Engine) -> Iterator[Row]:
    """What the servers need of this machine."""
    yield "python", True, platform.python_version()
    memory = available_memory()
    few = "" if memory >= ENOUGH else ", which is little: --servers=embedded needs the least"
    yield "memory", memory >= ENOUGH, f"{memory:.1f} GiB available{few}"
    try:
        hold_port().close()
        yield "ports", True, "the loopback gives free ones"
    except OSError as error:
        yield "ports", False, f"the loopback gives none ({error}): allow this process to listen"
    if not engine.is_installed:
        yield "engine", False, f"`docker` is not installed: {HELP['containers']}, if you want one"
    elif engine.trouble:
        yield "engine", False, engine.trouble
    else:
        yield "engine", True, engine.versions
    try:
        Environment.load(ROOT)
        yield FILE, True, "can be read"
    except WiringError as error:
        yield FILE, False, str(error)


def available_memory() -> float:
    """GiB that new processes may take here, also where a container limits them."""
    free = int(psutil.virtual_memory().available)
    try:
        limit, used = ((LIMITS / f"memory.{name}").read_text() for name in ("max", "current"))
        free = min(free, int(limit) - int(used))
    except (OSError, ValueError):
        pass  # No limit.
    return free / 2**30


def look(dependency: Dependency, name: str, engine: Engine) -> Row:
    """Whether one source can provide a server."""
    try:
        source = FINDERS[name](dependency, engine)
    except (PassedOver, Unavailable) as reason:
        return name, False, str(reason)
    if source is None:
        return name, False, HELP[name].format(variable=dependency.address_variable)
    return name, True, source.detail


def show(rows: Sequence[Row]) -> None:
    width = max(len(name) for name, _, _ in rows)
    for name, usable, detail in rows:
        print(f"  {name:<{width}}  {'yes' if usable else 'no':<3}  {detail}")


def main(arguments: Sequence[str]) -> int:
    argparse.ArgumentParser(
        prog=f"python -m {__package__} doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args(arguments)
    engine = Engine(ROOT)
    rows = list(machine(engine))
    print("this machine")
    show(rows)
    complete = all(usable for name, usable, _ in rows if name == FILE)
    for name, dependency in known().items():
        try:
            found = f"source {choose_source(dependency, 'auto', engine).name!r}"
        except Unavailable:
            found, complete = "no source: its tests cannot run", False
        print(f"\n{name}: {found}")
        show([look(dependency, source, engine) for source in SOURCES])
    return 0 if complete else 1
