from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool

from {{ package_name }}.adapters.postgres.migrations import (
    configuration,
    downgrade,
    upgrade,
)
from {{ package_name }}.adapters.postgres.models import Base


def tables(url: str) -> set[str]:
    return set(inspect(create_engine(url, poolclass=NullPool)).get_table_names())


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
            context = MigrationContext.configure(connection, opts={"compare_type": True})

            assert compare_metadata(context, Base.metadata) == []
