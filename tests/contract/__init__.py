"""What the fixtures of each server and of each fake promise.

tests/test_contract.py copies each module into a rendered service and runs it there.
"""
