{% if wiring.separable %}
"""Worker: publishes what the shop did and acts on what is published: `python -m {{ package_name }}.entrypoints.consumer`."""
{% else %}
"""Worker: publishes what the shop did and acts on what is published. It is started by __main__.py."""
{% endif %}

import logging
import signal
import threading
from collections.abc import Callable

from ..bootstrap import Shop, bootstrap
from ..domain import Unavailable

PAUSE = 0.2
"""Seconds until the next look, where nothing was there to do."""

log = logging.getLogger(__name__)


def run(shop: Shop, stop: threading.Event, pause: float = PAUSE) -> None:
    """Publish and process events until `stop` is set. Neither waits for the other."""
    relay = threading.Thread(target=_repeat, args=(shop.events.relay_next, stop, pause))
    relay.start()
    _repeat(lambda: shop.events.process_next(timeout=pause), stop, pause)
    relay.join()


def _repeat(step: Callable[[], bool], stop: threading.Event, pause: float) -> None:
    """Take steps until `stop` is set, with a pause after each that found nothing to do or failed."""
    while not stop.is_set():
        try:
            if step():
                continue
        except Unavailable as error:
            log.warning("will try again: %s", error)
        except Exception:
            # The event comes again; what is wrong with it should not end the worker.
            log.exception("will try again")
        stop.wait(pause)


def main() -> None:
    # Tests that need no settings import this module too, and pydantic takes its time.
    from ..settings import Settings

    logging.basicConfig(level=logging.INFO)
    settings = Settings.load()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with bootstrap(settings) as shop:
        run(shop, stop)


if __name__ == "__main__":
    main()
