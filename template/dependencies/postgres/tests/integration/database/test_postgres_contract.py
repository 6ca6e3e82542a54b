"""How to test with PostgreSQL: copy the test that is closest to yours."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.testbed.faults import Faults

CREATE = text("CREATE TABLE contract_notes (note text)")
INSERT = text("INSERT INTO contract_notes VALUES ('kept')")
SELECT = text("SELECT note FROM contract_notes")


class TestIntegrationPostgresContract:
    def test_session_reads_what_was_committed(self, postgres_session: Session) -> None:
        for statement in (CREATE, INSERT):
            postgres_session.execute(statement)
        # After the test this is rolled back all the same.
        postgres_session.commit()

        assert postgres_session.scalars(SELECT).all() == ["kept"]

    @pytest.mark.fault("postgres", refuse=True)
    def test_server_that_is_gone_is_an_error(self, fault: Faults) -> None:
        with pytest.raises(OperationalError):
            create_engine(fault("postgres").url).connect()
