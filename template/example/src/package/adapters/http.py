"""What every HTTP API of somebody else needs: timeouts, retries, and errors that the shop knows."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

import httpx2
import stamina

from ..domain import Unavailable

ATTEMPTS = 3

Answer = TypeVar("Answer")

# The same for every client: to read them takes longer than a request.
_certificates = cache(httpx2.create_ssl_context)


def open_client(
    url: str, timeout: float, headers: Mapping[str, str] | None = None
) -> httpx2.Client:
    """A client of the API at this URL."""
    return httpx2.Client(base_url=url, headers=headers, timeout=timeout, verify=_certificates())


class _TryLater(Exception):
    """An answer of the server that may be another one the next time."""


class HttpApi:
    """Sends requests to one API, again where that may help.

    Args:
        name: what errors call it.
        client: knows the API's address, its credentials and how long an attempt may take.
    """

    def __init__(self, name: str, client: httpx2.Client) -> None:
        self._name = name
        self._client = client
        self._retry = stamina.RetryingCaller(attempts=ATTEMPTS).on((httpx2.RequestError, _TryLater))

    def send(
        self, method: str, path: str, *, once: bool = False, **content: Any
    ) -> httpx2.Response:
        """The answer to a request. After 429, 5xx or no answer it is sent again, unless it may arrive only `once`.

        Raises:
            Unavailable: there was no other answer.
        """
        try:
            if once:
                return self._send_once(method, path, **content)
            return self._retry(self._send_once, method, path, **content)
        except (httpx2.RequestError, _TryLater) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"{self._name}: {reason}") from error

    def _send_once(self, method: str, path: str, **content: Any) -> httpx2.Response:
        response = self._client.request(method, path, **content)
        if response.status_code == 429 or response.status_code >= 500:
            raise _TryLater(f"{method} {path} answered {response.status_code}")
        return response

    def read(self, response: httpx2.Response, build: Callable[[Any], Answer]) -> Answer:
        """What `build` makes of the JSON in an answer.

        Raises:
            Unavailable: the request was refused, or the answer is not what the API documents.
        """
        if not response.is_success:
            raise Unavailable(f"{self._name}: refused with {response.status_code}")
        try:
            return build(response.json())
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable(f"{self._name}: an answer that nobody documented: {error}") from error
