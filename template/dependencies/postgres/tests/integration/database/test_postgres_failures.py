import os
from contextlib import ExitStack

import pytest
from sqlalchemy.orm import Session, sessionmaker

from {{ package_name }}.adapters import postgres
from {{ package_name }}.adapters.postgres import PostgresDatabase
from {{ package_name }}.domain import Unavailable

from tests.factories import ItemFactory, UserFactory
from tests.testbed.faults import Faults

EMAIL = "ada@example.com"


@pytest.mark.usefixtures("postgres_committed")
class TestIntegrationPostgresFailures:
    def test_pool_recovers_after_a_cut(self, fault: Faults) -> None:
        proxy = fault("postgres")

        with PostgresDatabase.connect(os.environ) as database:
            with database.begin() as work:
                work.users.add(UserFactory.build(email=EMAIL))
            proxy.cut()

            with database.begin() as work:
                assert work.users.find_by_email(EMAIL) is not None

    def test_connection_that_is_cut_in_a_transaction_keeps_nothing_of_it(
        self, fault: Faults, postgres_committed: sessionmaker[Session]
    ) -> None:
        proxy = fault("postgres")

        with (
            PostgresDatabase.connect(os.environ) as database,
            pytest.raises(Unavailable),
            database.begin() as work,
        ):
            work.users.add(UserFactory.build(email=EMAIL))
            proxy.cut()
            work.items.add(ItemFactory.build())

        with PostgresDatabase(postgres_committed).begin() as work:
            assert work.users.find_by_email(EMAIL) is None

    @pytest.mark.fault("postgres", refuse=True)
    def test_server_that_is_away_is_unavailable(self) -> None:
        with (
            PostgresDatabase.connect(os.environ) as database,
            pytest.raises(Unavailable, match="refused"),
            database.begin() as work,
        ):
            work.users.find_by_email(EMAIL)

    def test_server_that_comes_back_is_used_again(self, fault: Faults) -> None:
        proxy = fault("postgres", refuse=True)

        with PostgresDatabase.connect(os.environ) as database:
            with pytest.raises(Unavailable), database.begin() as work:
                work.users.find_by_email(EMAIL)
            proxy.restore()

            with database.begin() as work:
                assert work.users.find_by_email(EMAIL) is None

    def test_server_that_accepts_and_says_nothing_is_unavailable(
        self, fault: Faults, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The least that PostgreSQL's client knows is two seconds.
        monkeypatch.setattr(postgres, "CONNECT_SECONDS", 2)
        fault("postgres", black_hole=True)

        with (
            PostgresDatabase.connect(os.environ) as database,
            pytest.raises(Unavailable, match="timeout"),
            database.begin() as work,
        ):
            work.users.find_by_email(EMAIL)

    def test_pool_that_is_exhausted_is_unavailable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(postgres, "POOL_SECONDS", 0.05)

        with (
            PostgresDatabase.connect(os.environ) as database,
            pytest.raises(Unavailable, match="QueuePool limit"),
            ExitStack() as busy,
        ):
            for _ in range(100):
                busy.enter_context(database.begin()).users.find_by_email(EMAIL)

    def test_wait_for_a_lock_ends(
        self, postgres_committed: sessionmaker[Session], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(postgres, "OPTIONS", "-c lock_timeout=50ms")
        item = ItemFactory.build()
        holder = PostgresDatabase(postgres_committed)
        with holder.begin() as work:
            work.items.add(item)

        with PostgresDatabase.connect(os.environ) as database, holder.begin() as work:
            work.items.take(item.sku, 1)
            with pytest.raises(Unavailable, match="lock timeout"), database.begin() as other:
                other.items.take(item.sku, 1)
