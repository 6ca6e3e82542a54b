"""Real servers for the tests: chosen, started once for a run, shared and removed.

README.md draws how, and lists the modules. `copier update` keeps this folder current: put your own
fixtures in tests/fixtures/.
"""
