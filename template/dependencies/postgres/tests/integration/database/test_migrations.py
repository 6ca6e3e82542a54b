from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from {{ package_name }}.adapters.postgres.migrations import (
    configuration,
    downgrade,
    upgrade,
)
from {{ package_name }}.adapters.postgres.models import Base


def tables(url: str) -> set[str]:
    return set(inspect(create_engine(url, poolclass=NullPool)).get_table_names())


def constraints(url: str) -> set[tuple[str, str, str]]:
    """Table, name and definition of each constraint and index."""
    listing = text(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace UNION SELECT tablename, indexname, indexdef "
        "FROM pg_indexes WHERE schemaname = 'public'"
    )
    with create_engine(url, poolclass=NullPool).connect() as connection:
        found = connection.execute(listing).all()
    return {(table, name, what) for table, name, what in found if table != "alembic_version"}


class TestIntegrationMigrations:
    def test_history_has_one_head(self) -> None:
        assert len(ScriptDirectory.from_config(configuration("")).get_heads()) == 1

    def test_down_to_empty_and_up_again_restores_every_table(self, postgres_database: str) -> None:
        before = tables(postgres_database)
        assert before >= set(Base.metadata.tables)

        downgrade(postgres_database)
        assert tables(postgres_database) == {"alembic_version"}

        upgrade(postgres_database)
        assert tables(postgres_database) == before

    def test_each_step_can_be_undone(self, postgres_database: str) -> None:
        script = ScriptDirectory.from_config(configuration(postgres_database))
        downgrade(postgres_database)

        for step in reversed(list(script.walk_revisions())):
            upgrade(postgres_database, step.revision)
            downgrade(postgres_database, "-1")
            upgrade(postgres_database, step.revision)

        assert tables(postgres_database) >= set(Base.metadata.tables)

    def test_models_equal_migrations(self, postgres_database: str) -> None:
        with create_engine(postgres_database, poolclass=NullPool).connect() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "compare_server_default": True}
            )

            missing = compare_metadata(context, Base.metadata)
            assert missing == [], 'write the migration: python -m tests.migration "…"'

    def test_constraints_of_the_migrations_are_those_of_the_models(
        self, postgres_database: str
    ) -> None:
        """Names and conditions, which Alembic does not compare."""
        made = constraints(postgres_database)
        engine = create_engine(postgres_database, poolclass=NullPool)
        downgrade(postgres_database)

        Base.metadata.create_all(engine)

        assert constraints(postgres_database) == made
