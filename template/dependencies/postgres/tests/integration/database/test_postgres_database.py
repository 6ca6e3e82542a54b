import pytest

from {{ package_name }}.adapters.postgres import PostgresDatabase

from tests.contracts import DatabaseContract


class TestIntegrationPostgresDatabase(DatabaseContract):
    @pytest.fixture
    def database(self, postgres_adapter: PostgresDatabase) -> PostgresDatabase:
        return postgres_adapter
