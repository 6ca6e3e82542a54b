"""Files that several folders of the template make together are those of tests/golden.

A change of the template shows there as users will see it. To accept it:
`scripts/test tests/test_golden.py --update-golden`, and look at `git diff tests/golden`.
"""

import difflib
from pathlib import Path
from typing import Any

import pytest

from .conftest import Render

GOLDEN = Path(__file__).with_name("golden")
LITTLE: dict[str, Any] = {"apis": [], "external_apis": []}
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "none": {"dependencies": [], **LITTLE},
    "postgres": {"dependencies": ["postgres"], **LITTLE},
}
FILES = ["docker-compose.test.yml", "pyproject.toml", "README.md", ".github/workflows/tests.yml"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_rendered_file_is_the_golden_one(
    render: Render, tmp_path: Path, pytestconfig: pytest.Config, variant: str, file: str
) -> None:
    service = render(tmp_path / "shop", **VARIANTS[variant])
    golden = GOLDEN / variant / file

    rendered = (service.path / file).read_text()

    if pytestconfig.getoption("--update-golden"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(rendered)
    problem = difference(golden, rendered)
    if problem:
        pytest.fail(problem, pytrace=False)


def difference(golden: Path, rendered: str) -> str:
    """What a reader has to know if a file is not the golden one, or nothing."""
    if not golden.exists():
        what = "There is no such file."
    elif golden.read_text() == rendered:
        return ""
    else:
        expected = golden.read_text().splitlines(keepends=True)
        actual = rendered.splitlines(keepends=True)
        what = "".join(difflib.unified_diff(expected, actual, "golden", "rendered", n=2))
    return f"{golden}\n{what}\nIf this is right: scripts/test tests/test_golden.py --update-golden"


def test_each_golden_file_is_compared(pytestconfig: pytest.Config) -> None:
    compared = {f"{variant}/{file}" for variant in VARIANTS for file in FILES}

    found = {path for path in GOLDEN.rglob("*") if path.is_file()}

    left = {path for path in found if path.relative_to(GOLDEN).as_posix() not in compared}
    if pytestconfig.getoption("--update-golden"):
        for path in left:
            path.unlink()
        left.clear()
    assert left == set()


def test_difference_is_shown_by_lines_with_the_way_to_accept_it(tmp_path: Path) -> None:
    golden = tmp_path / "compose.yml"
    golden.write_text("services:\n  one: {}\n  two: {}\n")

    assert difference(golden, golden.read_text()) == ""
    message = difference(golden, "services:\n  one: {}\n  three: {}\n")

    assert "-  two: {}\n+  three: {}\n" in message
    assert message.endswith("--update-golden")
    assert "There is no such file." in difference(tmp_path / "other.yml", "")
