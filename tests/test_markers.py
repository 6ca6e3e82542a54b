"""The markers: `-m "not suite"` leaves out what takes long, whoever writes a test."""

from pathlib import Path

import pytest

from .service import Service

pytest_plugins = ["pytester"]


def test_test_without_the_marker_cannot_run_a_suite(tmp_path: Path) -> None:
    service = Service(tmp_path)

    with pytest.raises(AssertionError, match="mark this test: @pytest.mark.suite"):
        service.install("dev")
    with pytest.raises(AssertionError, match="mark this test: @pytest.mark.suite"):
        service.pytest()


def test_test_that_has_an_environment_is_marked(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest
        from tests.conftest import pytest_collection_modifyitems

        @pytest.fixture
        def installed(): ...

        @pytest.fixture
        def engine(): ...
        """
    )
    pytester.makepyfile(
        """
        def test_quick(): ...
        def test_long(installed): ...
        def test_container(engine): ...
        """
    )

    result = pytester.runpytest("-p", "no:randomly", "-m", "not suite and not engine", "-v")

    result.assert_outcomes(passed=1, deselected=2)
    result.stdout.fnmatch_lines(["*::test_quick PASSED*"])
