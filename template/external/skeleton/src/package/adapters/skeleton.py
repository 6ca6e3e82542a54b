"""{{ api.label }}: an HTTP API that the shop calls. Replace `get_status` by the calls that you need."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

from .http import HttpApi, open_client

if TYPE_CHECKING:
    from ..settings import {{ api.adapter }}Settings


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
        cls,
        settings: "{{ api.adapter }}Settings",
    ) -> Iterator["{{ api.adapter }}"]:
        """The API that the settings name."""
        headers = {"Authorization": f"Bearer {settings.key}"}
        with open_client(settings.url, settings.timeout_seconds, headers) as client:
            yield cls(client)

    def get_status(self) -> Status:
        """Ask how the API is.

        Raises:
            Unavailable: it does not answer, or not as documented.
        """
        return self._api.read(self._api.send("GET", "/status"), _status)


def _status(answer: Any) -> Status:
    return Status(status=str(answer["status"]), version=str(answer["version"]))
