"""The commands of the testbed: `python -m tests.testbed gates` and `python -m tests.testbed doctor`."""

import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "gates": "run the integration and end-to-end tests twice, and judge them",
    "doctor": "say what works on this machine, and which source each server has",
}


def main(arguments: Sequence[str]) -> int:
    usage = f"usage: python -m {__package__} {{{','.join(COMMANDS)}}} [--help]"
    if not arguments or arguments[0] not in COMMANDS:
        asked = bool(arguments) and arguments[0] in ("-h", "--help")
        lines = [f"  {name:<8} {what}" for name, what in COMMANDS.items()]
        print(usage, *lines, sep="\n", file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    # Only the gates need coverage.py.
    command = importlib.import_module(f".{arguments[0]}", __package__)
    return int(command.main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
