"""Tests that have to give the same result from every source of servers.

tests/test_sources.py copies each module into a rendered service and runs it there.
"""
