"""Which user each person of an identity provider is: the table and its repository."""

from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, Session, mapped_column

from ...domain import EmailTaken
from ...identity import Identity
from .models import Base
from .repositories import unique


class IdentityRow(Base):
    __tablename__ = "identities"

    issuer: Mapped[str] = mapped_column(String(255), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)


class IdentityRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, identity: Identity, user_id: UUID) -> None:
        row = IdentityRow(issuer=identity.issuer, subject=identity.subject, user_id=user_id)
        with unique(self._session, EmailTaken(identity.email)):
            self._session.add(row)

    def find(self, identity: Identity) -> UUID | None:
        row = self._session.get(IdentityRow, (identity.issuer, identity.subject))
        return row.user_id if row else None
