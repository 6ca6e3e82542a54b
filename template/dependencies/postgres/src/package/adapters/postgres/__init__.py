"""The shop's database on PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError, TimeoutError
from sqlalchemy.orm import Session, sessionmaker

from ...domain import Unavailable
{% if wiring.sign_in %}
from .identities import IdentityRepository
{% endif %}
from .repositories import ItemRepository, OrderRepository, Outbox, UserRepository

if TYPE_CHECKING:
    from ...settings import PostgresSettings

__all__ = ["PostgresDatabase", "PostgresUnitOfWork"]


class PostgresUnitOfWork:
    """The repositories on one session, so on one transaction."""

    def __init__(self, session: Session) -> None:
        self.users = UserRepository(session)
        self.items = ItemRepository(session)
        self.orders = OrderRepository(session)
        self.outbox = Outbox(session)
{% if wiring.sign_in %}
        self.identities = IdentityRepository(session)
{% endif %}


class PostgresDatabase:
    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    @classmethod
    @contextmanager
    def connect(cls, settings: "PostgresSettings") -> Iterator["PostgresDatabase"]:
        """The database that the settings name; its connections are closed at the end of the block."""
        statement = f"-c statement_timeout={settings.statement_seconds * 1000:.0f}ms"
        lock = f"-c lock_timeout={settings.lock_seconds * 1000:.0f}ms"
        engine = create_engine(
            settings.url,
            pool_pre_ping=True,
            pool_timeout=settings.pool_seconds,
            connect_args={
                "connect_timeout": settings.connect_seconds,
                "options": f"{statement} {lock}",
                "keepalives_idle": settings.silent_seconds,
                "tcp_user_timeout": settings.silent_seconds * 1000,
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
