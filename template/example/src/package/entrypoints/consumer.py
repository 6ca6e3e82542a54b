{% if wiring.separable %}
"""Worker: publishes what the shop did and acts on what is published: `python -m {{ package_name }}.entrypoints.consumer`."""
{% else %}
"""Worker: publishes what the shop did and acts on what is published. It is started by __main__.py."""
{% endif %}

import logging
import signal
import threading

from ..bootstrap import Shop, bootstrap
from ..domain import Unavailable

PAUSE = 0.2
"""Seconds until the next look, where nothing was there to do."""

log = logging.getLogger(__name__)


def run(shop: Shop, stop: threading.Event) -> None:
    """Relay and process events until `stop` is set, whatever else is away meanwhile."""
    while not stop.is_set():
        try:
            shop.events.relay()
            if shop.events.process_next(timeout=PAUSE):
                continue
        except Unavailable as error:
            log.warning("events have to wait: %s", error)
        except Exception:
            # The event comes again; what is wrong with it should not end the worker.
            log.exception("an event has to wait")
        stop.wait(PAUSE)


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with bootstrap() as shop:
        run(shop, stop)


if __name__ == "__main__":
    main()
