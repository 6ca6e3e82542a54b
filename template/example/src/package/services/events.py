import logging
from uuid import UUID

from ..domain import Event, NotFound
from ..ports import Broker, Database
from .orders import OrderService
from .users import UserService

log = logging.getLogger(__name__)


class EventService:
    """Passes on what happened: from the outbox to the broker, and from the broker to who acts on it."""

    def __init__(
        self, database: Database, broker: Broker, users: UserService, orders: OrderService
    ) -> None:
        self._database = database
        self._broker = broker
        self._users = users
        self._orders = orders

    def relay(self) -> None:
        """Publish all that waits in the outbox, the oldest first.

        Raises:
            Unavailable: the broker does not take it; what is not published yet stays.
        """
        while self._relay_oldest():
            pass

    def _relay_oldest(self) -> bool:
        with self._database.begin() as work:
            event = work.outbox.oldest()
            if event is None:
                return False
            # First to the broker: after a crash in between the event is published twice, never lost.
            self._broker.publish(event)
            work.outbox.remove(event)
        return True

    def process_next(self, timeout: float) -> bool:
        """Act on the next event of the broker; False if none came within `timeout` seconds."""
        return self._broker.process_next(self._handle, timeout)

    def _handle(self, event: Event) -> None:
        log.info("%s %s", event.type, event.key)
        if event.type == "user_registered":
            self._users.send_verification(_id(event))
        elif event.type == "order_paid":
            self._orders.fulfil(_id(event))


def _id(event: Event) -> UUID:
    try:
        return UUID(event.key)
    except ValueError as error:
        raise NotFound(f"{event.type}: {event.key} is nobody's id") from error
