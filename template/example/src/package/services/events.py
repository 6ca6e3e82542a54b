import logging
from uuid import UUID

from ..domain import Event, EventRefused, NotFound, Unavailable
from ..ports import Broker, Database
from .orders import OrderService
from .users import UserService

LEASE_SECONDS = 60.0
"""How long an event is one relay's: longer than any broker may take to accept it."""
MAX_ATTEMPTS = 10
"""After so many, an event is parked: README.md says how to go on."""

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
        """Publish all events that may be published now, the oldest first.

        Raises:
            Unavailable: the broker does not answer; what is not published yet stays.
        """
        while self.relay_next():
            pass

    def relay_next(self) -> bool:
        """Publish the next event; False if there is none.

        Raises:
            Unavailable: the broker does not answer; the event stays.
        """
        with self._database.begin() as work:
            claim = work.outbox.claim(LEASE_SECONDS, MAX_ATTEMPTS)
        if claim is None:
            return False
        # No transaction waits for the broker. After a crash from here on, the event is published
        # again when the lease is over: twice perhaps, never lost.
        try:
            self._broker.publish(claim.event)
        except Unavailable:
            with self._database.begin() as work:
                work.outbox.release(claim)
            raise
        except EventRefused as error:
            # The lease is the pause before the next attempt.
            state = "parked" if claim.attempt == MAX_ATTEMPTS else "refused"
            log.error("event %s %s (attempt %d): %s", claim.event.id, state, claim.attempt, error)
            return True
        with self._database.begin() as work:
            work.outbox.remove(claim.event)
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
