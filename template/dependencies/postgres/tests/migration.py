"""Write a migration from a change of the models: `python -m tests.migration "Add a note"`.

Alembic compares the models with a database that has all migrations so far. That database is made
on a server for tests, and removed afterwards.
"""

import argparse
import sys
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from tests.testbed.dependencies.postgres import prefix_of
from tests.testbed.dependency import known
from tests.testbed.plugin import ROOT
from tests.testbed.run import Run
from tests.testbed.sources import MODES, Unavailable
from tests.testbed.testbed import Testbed

NOTHING = """No migration was written: the migrations already make the tables of models.py.
For a change that Alembic does not see, such as data or a CHECK constraint, write one by hand:
  alembic revision -m "{message}\""""


def empty_database(testbed: Testbed) -> str:
    """The URL of a new database, which is removed with the run. Raises Unavailable."""
    server = testbed.server("postgres")
    address = known()["postgres"].address(server.url)
    prefix = prefix_of(address.database, testbed.run)
    if server.outlives_the_run:
        testbed.run.remember(server, prefix)
    engine = create_engine(address.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{prefix}migration"')
    url = make_url(address.url).set(database=f"{prefix}migration")
    return url.render_as_string(hide_password=False)


def write_migration(url: str, message: str) -> bool:
    """Migrate a database to head and write what it lacks; False if it lacks nothing."""

    def drop_empty(context: object, revision: object, directives: list[Any]) -> None:
        if directives[0].upgrade_ops.is_empty():
            directives.clear()

    config = Config(ROOT / "alembic.ini")
    config.attributes["url"] = url
    command.upgrade(config, "head")
    written = command.revision(
        config, message, autogenerate=True, process_revision_directives=drop_empty
    )
    return bool(written)


def main() -> str | None:
    """Write the migration. Returns what went wrong, for `sys.exit`."""
    parser = argparse.ArgumentParser(prog="python -m tests.migration", description=__doc__)
    parser.add_argument("message", help="what the migration does, as in a commit message")
    parser.add_argument("--servers", choices=MODES, default="auto", help="as for pytest")
    options = parser.parse_args()
    testbed = Testbed(Run.create(ROOT), ROOT, options.servers, timeout=60)
    try:
        if not write_migration(empty_database(testbed), options.message):
            print(NOTHING.format(message=options.message))
    except (Unavailable, CommandError) as error:
        return str(error)
    finally:
        for problem in testbed.close():
            print(problem, file=sys.stderr)
    return None


if __name__ == "__main__":
    sys.exit(main())
