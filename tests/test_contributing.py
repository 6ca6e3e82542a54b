"""CONTRIBUTING.md is true: its lists fit what is there, and what it links to and runs exists."""

import os
import re

import pytest

from .contributing import files_to_add
from .test_ci import SYSTEMS
from .variants import TEMPLATE, apis, dependencies, third_parties

TEXT = (TEMPLATE / "CONTRIBUTING.md").read_text()
FOLDERS = {
    "a server": dependencies(),
    "an API": apis(),
    "a third party": third_parties(),
    "a CI provider": SYSTEMS,
}


@pytest.mark.parametrize(
    ("subject", "name"), [(subject, name) for subject, found in FOLDERS.items() for name in found]
)
def test_each_folder_has_the_files_of_its_list(subject: str, name: str) -> None:
    names = {"name": name, "kind": FOLDERS[subject][name].get("kind", "")}

    listed = files_to_add(subject, **names)

    assert listed
    assert [path for path in listed if not (TEMPLATE / path).is_file()] == []


def test_files_that_it_names_exist() -> None:
    roots = ("template/", "tests/", "hooks/", "scripts/", "docs/", ".ci/", "copier.yml")
    named = {
        word
        for text in re.findall(r"`([^`\n]+)`", TEXT)
        for word in text.split()
        if word.startswith(roots) and "<" not in word
    }

    assert len(named) > 10
    assert [path for path in sorted(named) if not (TEMPLATE / path).exists()] == []


def test_links_lead_to_files_and_headings() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-")
        for line in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    }
    readmes = [TEMPLATE / "README.md", *(TEMPLATE / "template").glob("*/README.md")]

    for path in [TEMPLATE / "CONTRIBUTING.md", *readmes]:
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", path.read_text()):
            file, _, anchor = target.partition("#")
            assert (path.parent / file).exists(), f"{path}: {target}"
            assert not anchor or anchor in anchors, f"{path}: {target}"


def test_commands_exist() -> None:
    commands = re.findall(r"^\$ ((?:scripts|\.ci)/\S+)", TEXT, re.MULTILINE)

    assert {"scripts/test", "scripts/try", ".ci/run"} <= set(commands)
    assert all(os.access(TEMPLATE / command, os.X_OK) for command in commands)
