"""Connects where no test runs: CASE says where. Its only test passes."""

import atexit
import contextlib
import json
import os
import socket

import pytest

CASE = os.environ["CASE"]
PORT = json.loads(os.environ["PLACES"])[CASE]


def connect():
    socket.create_connection(("127.0.0.1", PORT), 2).close()


def swallow():
    with contextlib.suppress(BaseException):
        connect()


@pytest.fixture(scope="session", autouse=True)
def engine():
    if CASE == "fixture":
        connect()
    if CASE == "swallowed in a fixture":
        swallow()
    yield
    if CASE == "end of a fixture":
        connect()
    if CASE == "swallowed at the end of a fixture":
        swallow()


def test_passes():
    if CASE == "slow report":
        swallow()


if CASE == "collection":
    connect()
if CASE == "swallowed in collection":
    swallow()
if CASE == "pool":
    import sqlalchemy

    sqlalchemy.create_engine(f"postgresql+psycopg://me:secret@127.0.0.1:{PORT}/app").connect()
if CASE == "exit":
    atexit.register(swallow)
