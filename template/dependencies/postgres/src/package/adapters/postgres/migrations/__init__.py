"""The history of the tables. `alembic revision --autogenerate` writes the next step."""

from pathlib import Path

from alembic import command
from alembic.config import Config


def configuration(url: str) -> Config:
    """Alembic's configuration for the database at an SQLAlchemy URL."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    command.upgrade(configuration(url), revision)


def downgrade(url: str, revision: str = "base") -> None:
    command.downgrade(configuration(url), revision)
