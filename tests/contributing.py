"""The lists of files in CONTRIBUTING.md."""

import re

from .variants import TEMPLATE

ITEM = re.compile(r"^- `([^`]+)`: \S", re.MULTILINE)


def files_to_add(subject: str, **names: str) -> list[str]:
    """The files that make a server, an API …: the first list of its section, with the names in it."""
    text = (TEMPLATE / "CONTRIBUTING.md").read_text()
    section = re.split(r"^## ", text.partition(f"\n## Add {subject}\n")[2], flags=re.MULTILINE)[0]
    (block,) = re.findall(rf"These files make {subject}\b.*:\n\n((?s:.+?))\n\n", section + "\n")
    paths = ITEM.findall(block)
    for name, value in names.items():
        paths = [path.replace(f"<{name}>", value) for path in paths]
    return paths
