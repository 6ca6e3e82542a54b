from contextlib import ExitStack

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from {{ package_name }}.adapters.postgres import PostgresDatabase
from {{ package_name }}.domain import Unavailable
from {{ package_name }}.settings import PostgresSettings, Settings

from tests.factories import ItemFactory, UserFactory
from tests.testbed.faults import Faults

EMAIL = "ada@example.com"


@pytest.mark.usefixtures("postgres_committed")
class TestIntegrationPostgresFailures:
    def test_pool_recovers_after_a_cut(self, fault: Faults) -> None:
        proxy = fault("postgres")

        with PostgresDatabase.connect(PostgresSettings.load()) as database:
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
            PostgresDatabase.connect(PostgresSettings.load()) as database,
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
            PostgresDatabase.connect(PostgresSettings.load()) as database,
            pytest.raises(Unavailable, match="refused"),
            database.begin() as work,
        ):
            work.users.find_by_email(EMAIL)

    def test_server_that_comes_back_is_used_again(self, fault: Faults) -> None:
        proxy = fault("postgres", refuse=True)

        with PostgresDatabase.connect(PostgresSettings.load()) as database:
            with pytest.raises(Unavailable), database.begin() as work:
                work.users.find_by_email(EMAIL)
            proxy.restore()

            with database.begin() as work:
                assert work.users.find_by_email(EMAIL) is None

    @pytest.mark.fault("postgres", black_hole=True)
    def test_server_that_accepts_and_says_nothing_is_unavailable(self) -> None:
        # The least that PostgreSQL's client knows is two seconds.
        settings = PostgresSettings.load(connect_seconds=2)

        with (
            PostgresDatabase.connect(settings) as database,
            pytest.raises(Unavailable, match="timeout"),
            database.begin() as work,
        ):
            work.users.find_by_email(EMAIL)

    def test_pool_that_is_exhausted_is_unavailable(self) -> None:
        settings = PostgresSettings.load(pool_seconds=0.05)

        with (
            PostgresDatabase.connect(settings) as database,
            pytest.raises(Unavailable, match="timed out, timeout 0.05"),
            ExitStack() as busy,
        ):
            for _ in range(100):
                busy.enter_context(database.begin()).users.find_by_email(EMAIL)

    @pytest.mark.parametrize(
        ("limit", "match"),
        [("lock_seconds", "lock timeout"), ("statement_seconds", "statement timeout")],
    )
    def test_wait_for_a_lock_ends(
        self, postgres_committed: sessionmaker[Session], limit: str, match: str
    ) -> None:
        settings = PostgresSettings.load(**{limit: 0.05})
        item = ItemFactory.build()
        holder = PostgresDatabase(postgres_committed)
        with holder.begin() as work:
            work.items.add(item)

        with PostgresDatabase.connect(settings) as database, holder.begin() as work:
            work.items.reserve(item.sku, 1)
            with pytest.raises(Unavailable, match=match), database.begin() as other:
                other.items.reserve(item.sku, 1)

    def test_service_without_an_address_says_so_in_one_line(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("DATABASE_URL")

        with pytest.raises(SystemExit, match="cannot start: DATABASE_URL is not set"):
            Settings.load()

    def test_connection_has_the_limits_that_the_service_ships_with(self) -> None:
        with PostgresDatabase.connect(PostgresSettings.load()) as database:
            session = database._sessions()
            with session:
                limits = [
                    session.scalar(text(f"SHOW {name}"))
                    for name in ("statement_timeout", "lock_timeout")
                ]
                driver = session.connection().connection.driver_connection
                assert isinstance(driver, psycopg.Connection)
                client = driver.info.get_parameters()

        assert limits == ["10s", "5s"]
        assert (client["connect_timeout"], client["tcp_user_timeout"]) == ("5", "10000")
        assert client["keepalives_idle"] == "10"
