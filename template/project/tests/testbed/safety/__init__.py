"""Keeps tests away from servers that are not for tests.

check.py    refuses an address that does not say `test`
"""
