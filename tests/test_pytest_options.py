"""What `pytest` does in a rendered service: which tests it runs, how long they may take, what it logs."""

import pytest

from .conftest import Checkout

FAILS = "def test_fails():\n    assert False\n"
HANGS = "import threading\n\n\ndef test_hangs():\n    threading.Event().wait()\n"
QUERY = """\
from sqlalchemy import text


class TestIntegrationQuery:
    def test_query_is_logged(self, postgres_session) -> None:
        postgres_session.execute(text("SELECT 1 AS shown_in_the_log"))
"""


@pytest.mark.parametrize("path", ["tests/test_top_level.py", "tests/contract/test_contract.py"])
@pytest.mark.parametrize("options", [[], ["-m", "integration or e2e"], ["-n", "1"]])
def test_test_outside_the_layers_is_an_error(
    checkout: Checkout, path: str, options: list[str]
) -> None:
    service = checkout("user", "postgres")
    (service.path / path).parent.mkdir(exist_ok=True)
    (service.path / path).write_text(FAILS)

    done = service.pytest("--collect-only" if not options else "-q", *options, "-k", "test_fails")

    assert done.code != 0
    assert (
        f"{path} is outside the test layers, so no command runs it: "
        "move it to tests/unit, tests/integration or tests/e2e\n"
    ) in done.output
    assert "Traceback" not in done.output


def test_test_that_hangs_fails(checkout: Checkout) -> None:
    service = checkout("user", "postgres")
    (service.path / "tests" / "unit" / "test_hang.py").write_text(HANGS)

    assert "\ntimeout = 120\n" in (service.path / "pyproject.toml").read_text()
    done = service.pytest("-o", "timeout=0.5", "tests/unit/test_hang.py")

    assert done.count("failed") == 1, done.output
    assert "Timeout (>0.5s) from pytest-timeout" in done.output


def test_coverage_and_sql_are_shown_where_they_are_asked_for(checkout: Checkout) -> None:
    service = checkout("user", "postgres")
    (service.path / "tests" / "integration" / "test_query.py").write_text(QUERY)
    command = ("tests/integration/test_query.py", "--servers", "embedded")

    quiet = service.pytest(*command)
    shown = service.pytest(*command, "--log-cli-level=DEBUG", "--cov=src")

    assert quiet.all_passed, quiet.output
    assert "shown_in_the_log" not in quiet.output
    assert shown.all_passed, shown.output
    assert "SELECT 1 AS shown_in_the_log" in shown.output
    assert "src/shop/domain.py" in shown.output
