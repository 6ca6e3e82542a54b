import threading
from collections.abc import Callable

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from {{ package_name }}.adapters.postgres import PostgresDatabase
from {{ package_name }}.adapters.postgres.repositories import Outbox
from {{ package_name }}.domain import Event

EVENTS = [Event("counted", "one-key", {"number": number}) for number in range(3)]


class TestIntegrationOutbox:
    def test_events_leave_in_the_order_in_which_they_came(self, postgres_session: Session) -> None:
        outbox = Outbox(postgres_session)
        for event in EVENTS:
            outbox.add(event)

        left = []
        for _ in EVENTS:
            oldest = outbox.oldest()
            assert oldest is not None
            left.append(oldest)
            outbox.remove(oldest)

        assert left == EVENTS
        assert outbox.oldest() is None

    def test_event_that_is_there_already_is_refused_at_once(
        self, postgres_session: Session
    ) -> None:
        outbox = Outbox(postgres_session)
        outbox.add(EVENTS[0])

        with pytest.raises(IntegrityError, match="uq_outbox_id"):
            outbox.add(EVENTS[0])

    def test_event_that_is_being_published_is_nobody_elses(
        self,
        postgres_committed: sessionmaker[Session],
        postgres_lock_awaited: Callable[[], None],
    ) -> None:
        database = PostgresDatabase(postgres_committed)
        with database.begin() as work:
            work.outbox.add(EVENTS[0])
        found: list[Event | None] = []

        def look() -> None:
            with database.begin() as work:
                found.append(work.outbox.oldest())

        with database.begin() as work:
            event = work.outbox.oldest()
            assert event is not None
            other = threading.Thread(target=look)
            other.start()
            postgres_lock_awaited()
            work.outbox.remove(event)
        other.join()

        assert found == [None]
