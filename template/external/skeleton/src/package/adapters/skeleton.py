"""{{ api.label }}: an HTTP API that the shop calls. Replace `get_status` by the calls that you need."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from .http import TIMEOUT, HttpApi, open_client


@dataclass(frozen=True)
class Status:
    """What the API says of itself."""

    status: str
    version: str


class {{ api.adapter }}:
    """`client` knows the API's address and its key."""

    def __init__(self, client: httpx2.Client) -> None:
        self._api = HttpApi("{{ api.label }}", client)

    @classmethod
    @contextmanager
    def connect(
        cls, environment: Mapping[str, str], timeout: float = TIMEOUT
    ) -> Iterator["{{ api.adapter }}"]:
        """The API at {{ api.variable }}_URL, with {{ api.variable }}_KEY."""
        headers = {"Authorization": f"Bearer {environment['{{ api.variable }}_KEY']}"}
        url = environment["{{ api.variable }}_URL"]
        with open_client(url, timeout, headers) as client:
            yield cls(client)

    def get_status(self) -> Status:
        """Ask how the API is.

        Raises:
            Unavailable: it does not answer, or not as documented.
        """
        return self._api.read(self._api.send("GET", "/status"), _status)


def _status(answer: Any) -> Status:
    return Status(status=str(answer["status"]), version=str(answer["version"]))
