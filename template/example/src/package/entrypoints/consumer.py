"""Worker that handles the shop's events, one at a time: `python -m {{ package_name }}.entrypoints.consumer`."""

import logging
import signal
import threading

from ..bootstrap import bootstrap
from ..domain import Event
from ..ports import Broker

log = logging.getLogger(__name__)


def handle(event: Event) -> None:
    log.info("%s %s", event.type, event.key)


def run(broker: Broker, stop: threading.Event) -> None:
    """Process events until `stop` is set."""
    while not stop.is_set():
        broker.process_next(handle, timeout=1.0)


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with bootstrap() as shop:
        run(shop.broker, stop)


if __name__ == "__main__":
    main()
