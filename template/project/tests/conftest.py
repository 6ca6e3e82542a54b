"""Ties the tests to the testbed, which finds the fixtures in tests/fixtures/ by itself."""

import os

from tests.testbed.dependency import known

pytest_plugins = ["tests.testbed.plugin"]

# A real address in a developer's shell is none of the tests' business: fixtures set their own.
for dependency in known().values():
    os.environ.pop(dependency.service_variable, None)
