"""What the fixtures of tests/fixtures/skeleton_api.py promise."""

import os

import httpx2
import pytest
from pytest_httpserver import HTTPServer

from tests.fixtures.skeleton_api import PATH


def ask() -> httpx2.Response:
    """What any HTTP client gets that is told by the environment where the API is."""
    headers = {"Authorization": f"Bearer {os.environ['SKELETON_API_KEY']}"}
    return httpx2.get(f"{os.environ['SKELETON_API_URL']}{PATH}", headers=headers)


@pytest.fixture
def server(
    skeleton_api_server: HTTPServer,
) -> HTTPServer:
    return skeleton_api_server


class TestIntegrationSkeletonApiContract:
    def test_fake_answers_a_client_of_the_environment(self, server: HTTPServer) -> None:
        assert ask().json()["status"] == "ok"
        assert len(server.log) == 1

    def test_expected_answer_comes_before_the_usual_one(self, server: HTTPServer) -> None:
        server.expect_oneshot_request(PATH).respond_with_data("", 503)

        assert [ask().status_code for _ in range(2)] == [503, 200]

    @pytest.mark.parametrize("attempt", ["first", "second"])
    def test_fake_remembers_nothing_of_another_test(self, server: HTTPServer, attempt: str) -> None:
        assert not server.log

        assert ask().is_success
