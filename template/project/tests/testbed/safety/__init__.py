"""Keeps tests away from servers that are not for tests.

guard.py    refuses connections to servers that the testbed did not hand out
clients.py  guards clients that connect in C
places.py   knows who listens where on this machine
hooks.py    tells the guard what runs, and reports what was refused
check.py    refuses an address that does not say `test`
"""
