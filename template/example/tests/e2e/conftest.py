{% if wiring.separable %}
"""The shop in a process of its own, as in production, and a client of it."""
{% else %}
"""The shop as it runs in production, but for its process, and a client of it."""
{% endif %}

{% if wiring.separable %}
import os
import subprocess
import sys
{% endif %}
import threading
import time
from collections.abc import Callable, Iterator
{% if offered_apis and wiring.separable %}
from contextlib import AbstractContextManager
{% elif offered_apis %}
from contextlib import AbstractContextManager, ExitStack
{% endif %}
from dataclasses import dataclass
from decimal import Decimal
from email import message_from_bytes
from pathlib import Path

import pytest

from {{ package_name }}.bootstrap import Shop
{% if not wiring.separable %}
from {{ package_name }}.entrypoints import {{ (['consumer'] + offered_apis | map(attribute='name') | list) | sort | join(', ') }}
{% endif %}

{% if offered_apis %}
from tests.clients import ShopClient
{% for api in offered_apis | sort(attribute='name') %}
from tests.clients.{{ api.name }} import {{ api.client }}
{% endfor %}
{% else %}
from tests.clients import LibraryClient, ShopClient
{% endif %}
{% if wiring.separable %}
from tests.testbed.plugin import ROOT
{% endif %}

SECONDS = 30.0
"""How long anything may take."""


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it did not in time; the message is `what`.
    """
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} after {SECONDS:g} s"
        time.sleep(0.01)


@dataclass(frozen=True)
class Service:
    """What a client knows of a running shop."""

    addresses: dict[str, str]
    """Where it offers each of its APIs."""
    mail: Path
    """The folder in which its mail arrives."""

    def mail_to(self, address: str) -> str:
        """The text of a mail to an address, as soon as there is one."""
        found: list[str] = []

        def look() -> bool:
            for file in self.mail.glob("*.eml"):
                message = message_from_bytes(file.read_bytes())
                if message["To"] == address:
                    found.append(str(message.get_payload()).strip())
            return bool(found)

        eventually(look, f"no mail to {address}")
        return found[0]


@pytest.fixture
def service(shop_from_env: Shop, shop_environment: Path{% if wiring.separable %}, tmp_path: Path{% endif %}) -> Iterator[Service]:
{% if wiring.separable %}
    """The shop in a process of its own, on the servers that the tests use. Ten mugs are on sale."""
    shop_from_env.inventory.create_item("SKU-MUG", 10, name="Mug", price=Decimal("7.50"))
    log = tmp_path / "log"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
{% for api in offered_apis %}
        "{{ api.address }}": "127.0.0.1:0",
{% endfor %}
    }
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "{{ package_name }}"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            yield Service(started(process, log), shop_environment)
        finally:
            process.terminate()
            try:
                code = process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
            # Shown with the test, if that failed.
            print(log.read_text())
    assert code == 0, f"the shop ended with exit code {code}"


def started(process: "subprocess.Popen[str]", log: Path) -> dict[str, str]:
    """Wait until the shop is ready: where it offers each of its APIs."""
    addresses: dict[str, str] = {}
    assert process.stdout is not None
    patience = threading.Timer(SECONDS, process.kill)
    patience.start()
    try:
        for line in process.stdout:
            if line == "ready\n":
                return addresses
            api, _, addresses[api] = line.strip().partition(" ")
    finally:
        patience.cancel()
    pytest.fail(f"the shop did not start:\n{log.read_text()}", pytrace=False)
{% else %}
    """The shop in this process, as some of it is in memory. Ten mugs are on sale."""
    shop_from_env.inventory.create_item("SKU-MUG", 10, name="Mug", price=Decimal("7.50"))
    stop = threading.Event()
    worker = threading.Thread(target=consumer.run, args=(shop_from_env, stop), daemon=True)
    worker.start()
    try:
{% if offered_apis %}
        with ExitStack() as served:
            addresses = {
{% for api in offered_apis %}
                "{{ api.name }}": served.enter_context({{ api.name }}.serve(shop_from_env, "127.0.0.1:0")),
{% endfor %}
            }
            yield Service(addresses, shop_environment)
{% else %}
        yield Service({}, shop_environment)
{% endif %}
    finally:
        stop.set()
        worker.join(SECONDS)
    assert not worker.is_alive(), "the worker does not stop"
{% endif %}


{% if offered_apis %}
CLIENTS: dict[str, Callable[[str], AbstractContextManager[ShopClient]]] = {
{% for api in offered_apis %}
    "{{ api.name }}": {{ api.client }}.connect,
{% endfor %}
}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, service: Service) -> Iterator[ShopClient]:
    """Client of the shop: one for each of its APIs."""
    with CLIENTS[request.param](service.addresses[request.param]) as shop_client:
        yield shop_client
{% else %}
@pytest.fixture
def client(service: Service, shop_from_env: Shop) -> ShopClient:
    """Client of the shop on the same servers."""
    return LibraryClient(shop_from_env)
{% endif %}
