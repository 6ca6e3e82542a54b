"""Runs in the rendered service: seconds from asking for servers until all of them answer.

Usage: python start.py embedded|containers DEPENDENCY…
"""

import sys
import time

from tests.testbed.plugin import ROOT
from tests.testbed.run import Run
from tests.testbed.testbed import Testbed

mode, *names = sys.argv[1:]
testbed = Testbed(Run.create(ROOT), ROOT, mode, 120)
try:
    begun = time.perf_counter()
    testbed.start(names)
    for name in names:
        testbed.server(name)
    print(time.perf_counter() - begun)
finally:
    testbed.close()
