"""The shop's database on PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

from .repositories import ItemRepository, OrderRepository, UserRepository

__all__ = ["PostgresDatabase", "PostgresUnitOfWork"]


class PostgresUnitOfWork:
    """The repositories on one session, so on one transaction."""

    def __init__(self, session: Session) -> None:
        self.users = UserRepository(session)
        self.items = ItemRepository(session)
        self.orders = OrderRepository(session)


class PostgresDatabase:
    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    @classmethod
    @contextmanager
    def connect(cls, url: str) -> Iterator["PostgresDatabase"]:
        """The database at an SQLAlchemy URL; its connections are closed at the end of the block."""
        engine = create_engine(url, pool_pre_ping=True)
        try:
            yield cls(sessionmaker(engine, expire_on_commit=False))
        finally:
            engine.dispose()

    @contextmanager
    def begin(self) -> Iterator[PostgresUnitOfWork]:
        with self._sessions.begin() as session:
            yield PostgresUnitOfWork(session)
