{% if wiring.separable %}
"""The whole shop in one process: `python -m {{ package_name }}`. Each of entrypoints/ runs alone as well."""
{% else %}
"""The whole shop: `python -m {{ package_name }}`. It is one process, as some of it is in memory: see bootstrap.py."""
{% endif %}

import logging
import signal
import threading
{% if offered_apis %}
from contextlib import ExitStack
{% endif %}

from .bootstrap import bootstrap
{% if offered_apis %}
from .entrypoints import consumer, {{ offered_apis | map(attribute='name') | sort | join(', ') }}
{% else %}
from .entrypoints import consumer
{% endif %}
from .settings import Settings


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    settings = Settings.load()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
{% if offered_apis %}
    with bootstrap(settings) as shop, ExitStack() as served:
{% for api in offered_apis %}
        address = settings.service.{{ api.address | lower }}
        print("{{ api.name }}", served.enter_context({{ api.name }}.serve(shop, address)), flush=True)
{% endfor %}
{% else %}
    with bootstrap(settings) as shop:
{% endif %}
        print("ready", flush=True)
        consumer.run(shop, stop)


if __name__ == "__main__":
    main()
