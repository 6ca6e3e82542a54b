"""What the fixtures of tests/fixtures/postgres.py promise."""

import asyncio
import os
import time
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool

from tests.fixtures.postgres import Databases
from tests.testbed.faults import Faults
from tests.testbed.run import Server
from tests.testbed.testbed import Testbed

ONE = text("SELECT 1")
CREATE = "CREATE TABLE contract_notes (id serial PRIMARY KEY, note text NOT NULL)"


class TestIntegrationPostgresContract:
    def test_server_is_ready(self, postgres_engine: Engine) -> None:
        with postgres_engine.connect() as connection:
            assert connection.scalar(text("SELECT 1")) == 1

    def test_server_is_for_tests(self, postgres_engine: Engine, postgres_server: Server) -> None:
        database = postgres_engine.url.database or ""
        assert "test" in database or not postgres_server.outlives_the_run

    def test_session_survives_commit_and_rollback(self, postgres_session: Session) -> None:
        postgres_session.execute(text(CREATE))
        postgres_session.execute(text("INSERT INTO contract_notes (note) VALUES ('kept')"))
        postgres_session.commit()
        postgres_session.execute(text("INSERT INTO contract_notes (note) VALUES ('dropped')"))
        postgres_session.rollback()

        notes = postgres_session.scalars(text("SELECT note FROM contract_notes")).all()
        assert notes == ["kept"]

    def test_session_of_another_test_left_nothing(
        self, postgres_engine: Engine, postgres_session: Session
    ) -> None:
        assert not inspect(postgres_session.connection()).has_table("contract_notes")
        assert not inspect(postgres_engine).has_table("contract_notes")

    def test_uncommitted_work_is_invisible_to_others(
        self, postgres_session: Session, postgres_engine: Engine
    ) -> None:
        postgres_session.execute(text(CREATE))
        postgres_session.commit()

        assert not inspect(postgres_engine).has_table("contract_notes")

    def test_committed_rows_are_visible_to_others(
        self, postgres_committed: sessionmaker[Session]
    ) -> None:
        with postgres_committed() as first, postgres_committed() as second:
            first.execute(text(CREATE))
            first.commit()
            try:
                first.execute(text("INSERT INTO contract_notes (note) VALUES ('seen')"))
                first.commit()
                assert second.scalars(text("SELECT note FROM contract_notes")).all() == ["seen"]
            finally:
                second.rollback()
                first.execute(text("DROP TABLE contract_notes"))
                first.commit()

    def test_serializable_transactions_conflict(
        self, postgres_committed: sessionmaker[Session]
    ) -> None:
        with postgres_committed() as first, postgres_committed() as second:
            first.execute(text(CREATE))
            first.commit()
            try:
                for session in (first, second):
                    session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
                for session in (first, second):
                    session.scalar(text("SELECT count(*) FROM contract_notes"))
                for session in (first, second):
                    session.execute(text("INSERT INTO contract_notes (note) VALUES ('x')"))
                first.commit()

                with pytest.raises(OperationalError, match="could not serialize access"):
                    second.commit()
            finally:
                second.rollback()
                first.execute(text("DROP TABLE contract_notes"))
                first.commit()

    def test_notification_of_a_commit_arrives(
        self, postgres_url: str, postgres_committed: sessionmaker[Session]
    ) -> None:
        url = postgres_url.replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as listener:
            listener.execute("LISTEN contract_news")

            with postgres_committed.begin() as session:
                session.execute(text("NOTIFY contract_news, 'told'"))

            notices = [each.payload for each in listener.notifies(timeout=10, stop_after=1)]
        assert notices == ["told"]

    def test_private_database_takes_ddl_and_others_do_not_see_it(
        self, postgres_database: str, postgres_engine: Engine
    ) -> None:
        engine = create_engine(postgres_database, poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text(CREATE))

        assert inspect(engine).has_table("contract_notes")
        assert not inspect(postgres_engine).has_table("contract_notes")

    def test_private_database_can_be_dropped(self, postgres_databases: Databases) -> None:
        url = postgres_databases.clone()
        create_engine(url, poolclass=NullPool).connect().close()

        postgres_databases.drop(url)

        with pytest.raises(OperationalError, match="does not exist"):
            create_engine(url, poolclass=NullPool).connect()

    @pytest.mark.asyncio(loop_scope="session")
    async def test_async_session_works_like_the_other(
        self, postgres_async_session: AsyncSession, postgres_engine: Engine
    ) -> None:
        await postgres_async_session.execute(text(CREATE))
        await postgres_async_session.commit()
        await postgres_async_session.rollback()

        count = await postgres_async_session.scalar(text("SELECT count(*) FROM contract_notes"))
        assert count == 0
        assert not inspect(postgres_engine).has_table("contract_notes")

    def test_without_a_fault_the_environment_names_the_server(
        self, postgres_url: str, testbed: Testbed
    ) -> None:
        variables = testbed.environment.variables("postgres", postgres_url)
        assert variables
        assert variables.items() <= os.environ.items()


@pytest.fixture
def service_engine(fault: Faults) -> Iterator[Engine]:
    """Engine as the code under test makes it, with a proxy before the server."""
    engine = create_engine(fault("postgres").url, pool_pre_ping=True)
    yield engine
    engine.dispose()


@pytest.mark.fault("postgres")
class TestIntegrationPostgresFaults:
    def test_cut_connection_is_an_error(self, service_engine: Engine, fault: Faults) -> None:
        with service_engine.connect() as connection:
            fault("postgres").cut()

            with pytest.raises(OperationalError):
                connection.execute(ONE)

    def test_pool_that_pings_first_replaces_a_cut_connection(
        self, service_engine: Engine, fault: Faults
    ) -> None:
        service_engine.connect().close()
        fault("postgres").cut()

        with service_engine.connect() as connection:
            assert connection.scalar(ONE) == 1

    def test_refused_connection_is_an_error_until_the_server_is_back(
        self, service_engine: Engine, fault: Faults
    ) -> None:
        fault("postgres", refuse=True)
        with pytest.raises(OperationalError):
            service_engine.connect()

        fault("postgres").restore()

        with service_engine.connect() as connection:
            assert connection.scalar(ONE) == 1

    def test_delayed_answer_comes_late(self, service_engine: Engine, fault: Faults) -> None:
        with service_engine.connect() as connection:
            fault("postgres", delay=0.05)
            begun = time.monotonic()
            connection.execute(ONE)

            assert time.monotonic() - begun >= 0.05

    @pytest.mark.fault("postgres", black_hole=True)
    @pytest.mark.asyncio(loop_scope="session")
    async def test_answer_that_never_comes_is_a_timeout(self, fault: Faults) -> None:
        engine = create_async_engine(fault("postgres").url)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await engine.connect()
