"""The shop's database on PostgreSQL."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError, TimeoutError
from sqlalchemy.orm import Session, sessionmaker

from ...domain import Unavailable
from .repositories import ItemRepository, OrderRepository, Outbox, UserRepository

__all__ = ["PostgresDatabase", "PostgresUnitOfWork"]

CONNECT_SECONDS = 5
SILENT_SECONDS = 10
"""How long the server's machine may say nothing at all until the connection counts as lost."""
POOL_SECONDS = 5.0
"""How long a unit of work waits for one of the connections."""
OPTIONS = "-c statement_timeout=10s -c lock_timeout=5s"
"""What one statement may take, and how much of it may be waiting for a lock."""


class PostgresUnitOfWork:
    """The repositories on one session, so on one transaction."""

    def __init__(self, session: Session) -> None:
        self.users = UserRepository(session)
        self.items = ItemRepository(session)
        self.orders = OrderRepository(session)
        self.outbox = Outbox(session)


class PostgresDatabase:
    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    @classmethod
    @contextmanager
    def connect(cls, environment: Mapping[str, str]) -> Iterator["PostgresDatabase"]:
        """The database at DATABASE_URL, an SQLAlchemy URL; its connections are closed at the end of the block."""
        engine = create_engine(
            environment["DATABASE_URL"],
            pool_pre_ping=True,
            pool_timeout=POOL_SECONDS,
            connect_args={
                "connect_timeout": CONNECT_SECONDS,
                "options": OPTIONS,
                "keepalives_idle": SILENT_SECONDS,
                "tcp_user_timeout": SILENT_SECONDS * 1000,
            },
        )
        try:
            yield cls(sessionmaker(engine, expire_on_commit=False))
        finally:
            engine.dispose()

    @contextmanager
    def begin(self) -> Iterator[PostgresUnitOfWork]:
        try:
            with self._sessions.begin() as session:
                yield PostgresUnitOfWork(session)
        except (OperationalError, TimeoutError) as error:
            # No connection, or something took too long: the same again may succeed.
            raise Unavailable(f"postgres: {error}") from error
