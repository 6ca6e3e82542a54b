"""What PostgreSQL does the same from every source."""

import json
import os
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

WORDS = "unnest(array['b', 'a', 'B', 'Ä', 'ä', 'z', '_', '1', 'É', 'é', 'ß', '-a'])"


class TestIntegrationPostgresParity:
    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("lower('ÄÉ')", "äé"),
            ("upper('äéß')", "ÄÉß"),
            ("initcap('ÄÉ éa')", "Äé Éa"),
            ("'ÄÉ' ILIKE 'äé'", True),
            ("'Ä' ~* 'ä'", True),
            ("'ä' ~ '[[:alpha:]]'", True),
            ("'ä' ~ '\\w'", True),
            ("to_tsvector('simple', 'ÄÉ')::text", "'äé':1"),
            (f"(SELECT string_agg(w, ' ' ORDER BY w) FROM {WORDS} w)", "-a 1 B _ a b z Ä É ß ä é"),
            ("12345.67::numeric::money::text", "$12,345.67"),
            ("to_char(date '2026-03-01', 'TMMonth')", "March"),
            ("timestamptz '2026-03-01 12:00+00'::text", "2026-03-01 12:00:00+00"),
            ("date '2026-03-01'::text", "2026-03-01"),
            ("date '02/03/2026'::text", "2026-02-03"),
            ("interval '1 day 2 hours'::text", "1 day 02:00:00"),
            ("(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)", True),
        ],
    )
    def test_expression_gives_one_result(
        self, postgres_connection: Connection, expression: str, expected: object
    ) -> None:
        # As it is, without the parameters of text().
        found = postgres_connection.exec_driver_sql(f"SELECT {expression}").scalar()

        assert found == expected

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("TimeZone", "UTC"),
            ("DateStyle", "ISO, MDY"),
            ("IntervalStyle", "postgres"),
            ("max_connections", "200"),
            ("server_encoding", "UTF8"),
            ("default_transaction_isolation", "read committed"),
        ],
    )
    def test_setting_is_the_same(
        self, postgres_connection: Connection, name: str, expected: str
    ) -> None:
        assert postgres_connection.scalar(text(f"SHOW {name}")) == expected

    def test_settings_of_clients(self, postgres_connection: Connection) -> None:
        """Writes all settings that a client may change, to be compared with another source's."""
        query = "SELECT name, setting FROM pg_settings WHERE context = 'user'"
        settings = {name: value for name, value in postgres_connection.execute(text(query))}

        Path(os.environ["PARITY_SETTINGS"]).write_text(json.dumps(settings, indent=0))
