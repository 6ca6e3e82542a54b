import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from {{ package_name }}.adapters.postgres import PostgresDatabase
from {{ package_name }}.adapters.postgres.repositories import Outbox
from {{ package_name }}.domain import Event

from tests.contracts import DatabaseContract

EVENT = Event("counted", "one-key", {"number": 1})


class TestIntegrationPostgresDatabase(DatabaseContract):
    @pytest.fixture
    def database(self, postgres_adapter: PostgresDatabase) -> PostgresDatabase:
        return postgres_adapter


class TestIntegrationOutbox:
    def test_event_that_is_there_already_is_refused_at_once(
        self, postgres_session: Session
    ) -> None:
        outbox = Outbox(postgres_session)
        outbox.add(EVENT)

        with pytest.raises(IntegrityError, match="uq_outbox_id"):
            outbox.add(EVENT)

    def test_event_that_another_relay_is_claiming_is_passed_over(
        self, postgres_committed: sessionmaker[Session]
    ) -> None:
        database = PostgresDatabase(postgres_committed)
        other = Event("counted", "another-key", {"number": 2})
        with database.begin() as work:
            work.outbox.add(EVENT)
            work.outbox.add(other)

        # Both are inside: neither waits for the other, and each gets an event of its own.
        with database.begin() as first, database.begin() as second:
            claims = [work.outbox.claim(lease=60, attempts=1) for work in (first, second)]

        assert [claim.event for claim in claims if claim] == [EVENT, other]
