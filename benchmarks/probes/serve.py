"""Runs in the rendered service: all embedded servers, until standard input is closed.

Prints the folder of the run, and the environment in which a developer names these servers.
"""

import json
import sys

from tests.testbed.dependency import known
from tests.testbed.plugin import ROOT
from tests.testbed.run import Run
from tests.testbed.testbed import Testbed

testbed = Testbed(Run.create(ROOT), ROOT, "embedded", 60)
try:
    testbed.start(known())
    # A Redis database has no name that could say "test", a client has.
    suffix = {"redis": "?client_name=test"}
    environment = {
        dependency.address_variable: testbed.server(name).url + suffix.get(name, "")
        for name, dependency in known().items()
    }
    report = {"folder": str(testbed.run.folder), "environment": environment}
    print(json.dumps(report), flush=True)
    sys.stdin.read()
finally:
    testbed.close()
