"""The fixture and the marker `fault`: a proxy before a server, for the length of one test."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import NoReturn, TypedDict, Unpack

import pytest

from .dependency import known
from .environment import changed
from .proxy import TcpProxy
from .testbed import Testbed

_faults = pytest.StashKey["Faults"]()


class Fault(TypedDict, total=False):
    """Faults that can be set from the beginning, named as the methods of TcpProxy."""

    delay: float
    throttle: float
    refuse: bool
    black_hole: bool


class Faults:
    """Puts a proxy before each server that a test names."""

    def __init__(self, request: pytest.FixtureRequest, stack: ExitStack) -> None:
        self._request = request
        self._stack = stack
        self._proxies: dict[str, TcpProxy] = {}

    def __call__(self, name: str, /, **faults: Unpack[Fault]) -> TcpProxy:
        """The proxy before a server, with these faults set.

        Until the end of the test, every environment variable that is made of the server's address
        is made of the proxy's: the code under test has to read it after this call.
        """
        if unknown := faults.keys() - Fault.__annotations__.keys():
            _fail(name, f"knows {_join(Fault.__annotations__)}, not {_join(unknown)}")
        if name not in self._proxies:
            self._proxies[name] = self._stand_before(name)
        proxy = self._proxies[name]
        for fault, value in faults.items():
            if value is not False:
                getattr(proxy, fault)(*(() if value is True else (value,)))
        return proxy

    def end(self) -> None:
        """End all faults; the proxies stay. What they held back is lost: its test no longer waits for it."""
        for proxy in self._proxies.values():
            proxy.cut()
            proxy.restore()

    def _stand_before(self, name: str) -> TcpProxy:
        url = self._url(name)
        dependency = known().get(name)
        try:
            if dependency:
                announcement = partial(dependency.announcement, url)
                # The port in a container is the usual one.
                proxy = TcpProxy(url, dependency.container_port, announcement)
            else:
                proxy = TcpProxy(url)
        except ValueError as error:
            _fail(name, str(error))
        self._stack.callback(proxy.close)
        variables = {variable: proxy.url for variable, value in os.environ.items() if value == url}
        if dependency:
            testbed: Testbed = self._request.getfixturevalue("testbed")
            variables |= testbed.environment.variables(name, proxy.url)
        self._stack.enter_context(changed(variables))
        return proxy

    def _url(self, name: str) -> str:
        fixture = f"{name}_url"
        try:
            url: str = self._request.getfixturevalue(fixture)
        except pytest.FixtureLookupError as error:
            if error.argname != fixture:
                raise
            # The text of this error lists the fixtures that there are, and nothing else does.
            found = set(re.findall(r"\b(\w+)_url\b", error.formatrepr().errorstring)) - {name}
            _fail(name, f"there is no fixture {fixture}, but one for {_join(found) or 'nothing'}")
        return url


def _fail(name: str, reason: str) -> NoReturn:
    pytest.fail(f'fault("{name}"): {reason}', pytrace=False)


def _join(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Iterator[Faults]:
    """Function that starts a proxy in front of a server: `fault("<name>", delay=0.2)`, then `.cut()`."""
    with ExitStack() as stack:
        request.node.stash[_faults] = faults = Faults(request, stack)
        yield faults
        del request.node.stash[_faults]


@pytest.fixture(autouse=True)
def _marked_faults(request: pytest.FixtureRequest) -> None:
    """Sets what `@pytest.mark.fault` says, before the fixtures that read an address."""
    # The closest comes last, so that it prevails.
    for marker in reversed([*request.node.iter_markers("fault")]):
        if not (marker.args or marker.kwargs) and "fault" in request.fixturenames:
            continue  # set by the plugin, for the choice of tests only
        if len(marker.args) != 1:
            pytest.fail("pytest.mark.fault takes the name of one server first", pytrace=False)
        request.getfixturevalue("fault")(marker.args[0], **marker.kwargs)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Let the other fixtures of a test clean up without its faults."""
    if faults := item.stash.get(_faults, None):
        faults.end()
