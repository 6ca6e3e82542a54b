{% set own_process = offered_apis or wiring.separable %}
{% if own_process %}
"""The shop in a process of its own, as in production, and a customer of it."""
{% else %}
"""The shop as it runs in production, and a customer of it."""
{% endif %}

{% if own_process %}
import os
import subprocess
import sys
import threading
{% else %}
import threading
{% endif %}
import time
from collections.abc import Callable, Iterator
{% if offered_apis %}
from contextlib import AbstractContextManager
{% endif %}
from dataclasses import dataclass
{% if not own_process %}
from decimal import Decimal
{% endif %}
from email import message_from_bytes
from pathlib import Path

import pytest

{% if not offered_apis %}
from {{ package_name }}.bootstrap import bootstrap
{% if not own_process %}
from {{ package_name }}.entrypoints import consumer
{% endif %}

{% endif %}
{% if offered_apis %}
from tests.customers import Customer
{% for api in offered_apis | sort(attribute='name') %}
from tests.customers.{{ api.name }} import {{ api.customer }}
{% endfor %}
{% else %}
from tests.customers import Customer, LibraryCustomer
{% endif %}
{% if own_process %}
from tests.testbed.plugin import ROOT
{% endif %}

SECONDS = 30.0
"""How long anything may take."""
CATALOGUE = "sku,name,price,quantity\nSKU-MUG,Mug,7.50,10\n"


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
    """What a customer knows of a shop that runs."""

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


{% if own_process %}
@pytest.fixture
def service(shop_environment: Path, tmp_path: Path) -> Iterator[Service]:
    """The shop in a process of its own, on the servers that the tests use. Ten mugs are on sale."""
    catalogue, log = tmp_path / "catalogue.csv", tmp_path / "log"
    catalogue.write_text(CATALOGUE)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
{% for api in offered_apis %}
        "{{ api.address }}": "127.0.0.1:0",
{% endfor %}
    }
    command = [sys.executable, "-m", "{{ package_name }}"]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*command, "--catalogue", str(catalogue)],
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
@pytest.fixture
def visitor(shop_environment: Path) -> Iterator[Customer]:
    """A customer of a shop that has ten mugs on sale. Its worker runs beside it, in a thread."""
    stop = threading.Event()
    with bootstrap() as shop:
        shop.inventory.create_item("SKU-MUG", 10, name="Mug", price=Decimal("7.50"))
        # What is in memory can be shared by threads only.
        worker = threading.Thread(target=consumer.run, args=(shop, stop))
        worker.start()
        try:
            yield LibraryCustomer(shop)
        finally:
            stop.set()
            worker.join()


@pytest.fixture
def service(shop_environment: Path) -> Service:
    return Service({}, shop_environment)
{% endif %}
{% if offered_apis %}


CUSTOMERS: dict[str, Callable[[str], AbstractContextManager[Customer]]] = {
{% for api in offered_apis %}
    "{{ api.name }}": {{ api.customer }}.connect,
{% endfor %}
}


@pytest.fixture(params=CUSTOMERS)
def visitor(request: pytest.FixtureRequest, service: Service) -> Iterator[Customer]:
    """A customer of the shop, by each of its APIs in turn."""
    with CUSTOMERS[request.param](service.addresses[request.param]) as customer:
        yield customer
{% elif own_process %}


@pytest.fixture
def visitor(service: Service) -> Iterator[Customer]:
    """A customer of the shop, on the same servers; its worker is the process."""
    with bootstrap() as shop:
        yield LibraryCustomer(shop)
{% endif %}
