"""A plugin that connects before the guard comes and after the tests: CASE says where."""

import contextlib
import json
import os
import socket
import threading

import pytest

CASE = os.environ["CASE"]
PORT = json.loads(os.environ["PLACES"])[CASE]
opened = []


def connect():
    with contextlib.suppress(BaseException):
        opened.append(socket.create_connection(("127.0.0.1", PORT), 2))


class SlowReport:
    """Outside of the testbed's hooks, as it is registered after them."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, call):
        if call.when == "call":
            threading.Event().wait(1.5)
        return (yield)


def pytest_sessionstart(session):
    if CASE == "slow report":
        session.config.pluginmanager.register(SlowReport())


def pytest_sessionfinish(session):
    # Of a run with workers, only those do.
    if CASE == "finish" and not session.config.getoption("numprocesses", None):
        connect()


def pytest_unconfigure():
    if CASE == "unconfigure":
        connect()


if CASE == "before":
    connect()
