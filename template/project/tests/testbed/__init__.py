"""Real servers for the tests: chosen, started once for a run, shared and removed.

Read in this order:

address.py       addresses as their drivers understand them, shown without passwords
dependency.py    what the testbed knows about a dependency; one module each in dependencies/
sources.py        which way a dependency is provided: address, running, containers, embedded
run.py           the folder that all processes of one pytest run share
supervisor.py        the process that starts the servers of a run and ends them
processes.py     embedded servers: programs started as plain processes
engine.py        containers: docker-compose.test.yml through the container engine
cleanup.py       what is removed after a run, and after a run that was killed
safety/          nothing is emptied that is not for tests, and no other server is connected to
environment.py   the variables of the code under test, as environment.toml maps them
faults.py        the fixture and the marker `fault`, which put a proxy before a server
proxy.py         the proxy: cuts, refuses, delays, throttles or holds back what passes
plugin.py        the pytest hooks that tie these together
recorder.py      what one run of pytest was like, written down for tests/gates.py

`copier update` keeps this folder current: put your own fixtures in tests/fixtures/.
"""
