{% if wiring.separable %}
"""The whole shop in one process: `python -m {{ package_name }}`. Each of entrypoints/ runs alone as well."""
{% else %}
"""The whole shop: `python -m {{ package_name }}`. It is one process, as some of it is in memory: see bootstrap.py."""
{% endif %}

import argparse
import csv
import logging
{% if offered_apis %}
import os
{% endif %}
import signal
import threading
{% if offered_apis %}
from contextlib import ExitStack
{% endif %}
from decimal import Decimal
from pathlib import Path

from .bootstrap import Shop, bootstrap
from .domain import NotFound
{% if offered_apis %}
from .entrypoints import consumer, {{ offered_apis | map(attribute='name') | sort | join(', ') }}
{% else %}
from .entrypoints import consumer
{% endif %}


def load(shop: Shop, catalogue: Path) -> None:
    """Add the items of a CSV file with the columns sku, name, price, quantity; those that exist are left alone."""
    with catalogue.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                shop.inventory.get_item(row["sku"])
            except NotFound:
                shop.inventory.create_item(
                    row["sku"],
                    int(row["quantity"]),
                    name=row["name"],
                    price=Decimal(row["price"]),
                )


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs the shop.")
    parser.add_argument("--catalogue", type=Path, help="CSV file of items: sku,name,price,quantity")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
{% if offered_apis %}
    with bootstrap() as shop, ExitStack() as served:
        if options.catalogue:
            load(shop, options.catalogue)
{% for api in offered_apis %}
        address = os.environ.get("{{ api.address }}", "127.0.0.1:{{ api.port }}")
        print("{{ api.name }}", served.enter_context({{ api.name }}.serve(shop, address)), flush=True)
{% endfor %}
{% else %}
    with bootstrap() as shop:
        if options.catalogue:
            load(shop, options.catalogue)
{% endif %}
        print("ready", flush=True)
        consumer.run(shop, stop)


if __name__ == "__main__":
    main()
