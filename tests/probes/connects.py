"""A plugin that connects before the guard comes and after the tests: CASE says where."""

import contextlib
import json
import os
import socket

CASE = os.environ["CASE"]
PORT = json.loads(os.environ["PLACES"])[CASE]
opened = []


def connect():
    with contextlib.suppress(BaseException):
        opened.append(socket.create_connection(("127.0.0.1", PORT), 2))


def pytest_sessionfinish(session):
    # Of a run with workers, only those do.
    if CASE == "finish" and not session.config.getoption("numprocesses", None):
        connect()


def pytest_unconfigure():
    if CASE == "unconfigure":
        connect()


if CASE == "before":
    connect()
