import pytest
from pytest_httpserver import HTTPServer

from {{ package_name }}.adapters.{{ api.name }} import (
    {{ api.adapter }},
    Status,
)
from {{ package_name }}.domain import Unavailable
from {{ package_name }}.settings import {{ api.adapter }}Settings

from tests.fixtures.{{ api.name }} import PATH


@pytest.fixture(params=["client", pytest.param("sandbox", marks=pytest.mark.network)])
def client_or_sandbox(request: pytest.FixtureRequest) -> {{ api.adapter }}:
    """The API's fake, then its real sandbox: what holds for one has to hold for the other."""
    found: {{ api.adapter }} = request.getfixturevalue(
        f"{{ api.name }}_{request.param}",
    )
    return found


@pytest.fixture
def client(
    {{ api.name }}_client: {{ api.adapter }},
) -> {{ api.adapter }}:
    return {{ api.name }}_client


@pytest.fixture
def server(
    {{ api.name }}_server: HTTPServer,
) -> HTTPServer:
    return {{ api.name }}_server


class TestIntegration{{ api.adapter }}:
    def test_status_is_read(
        self,
        client_or_sandbox: {{ api.adapter }},
    ) -> None:
        assert client_or_sandbox.get_status().status == "ok"

    def test_every_field_is_read(
        self,
        client: {{ api.adapter }},
        server: HTTPServer,
    ) -> None:
        answer = {"status": "degraded", "version": "2"}
        server.expect_oneshot_request(PATH).respond_with_json(answer)

        assert client.get_status() == Status("degraded", "2")

    def test_error_then_success_is_read(
        self,
        client: {{ api.adapter }},
        server: HTTPServer,
    ) -> None:
        for status in (429, 500):
            server.expect_oneshot_request(PATH).respond_with_data("", status)

        assert client.get_status().status == "ok"
        assert len(server.log) == 3

    def test_error_every_time_is_unavailable(
        self,
        client: {{ api.adapter }},
        server: HTTPServer,
    ) -> None:
        for _ in range(3):
            server.expect_oneshot_request(PATH).respond_with_data("", 503)

        with pytest.raises(Unavailable, match="answered 503"):
            client.get_status()

    @pytest.mark.parametrize("answer", ["", "{", "[]", "null", '{"status": "ok"}'])
    def test_malformed_answer_is_unavailable(
        self,
        client: {{ api.adapter }},
        server: HTTPServer,
        answer: str,
    ) -> None:
        server.expect_oneshot_request(PATH).respond_with_data(answer)

        with pytest.raises(Unavailable, match="that nobody documented"):
            client.get_status()

    def test_refusal_is_unavailable_at_once(
        self,
        client: {{ api.adapter }},
        server: HTTPServer,
    ) -> None:
        server.expect_oneshot_request(PATH).respond_with_data("", 403)

        with pytest.raises(Unavailable, match="refused with 403"):
            client.get_status()
        assert len(server.log) == 1

    @pytest.mark.fault("{{ api.name }}", black_hole=True)
    @pytest.mark.usefixtures("client")
    def test_no_answer_in_time_is_unavailable(self) -> None:
        settings = {{ api.adapter }}Settings.load(timeout_seconds=0.05)
        connection = {{ api.adapter }}.connect(settings)

        with connection as client, pytest.raises(Unavailable, match="timed out"):
            client.get_status()
