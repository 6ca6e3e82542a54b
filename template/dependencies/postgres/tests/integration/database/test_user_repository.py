import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from {{ package_name }}.adapters.postgres.models import UserRow
from {{ package_name }}.adapters.postgres.repositories import UserRepository
from {{ package_name }}.domain import EmailTaken

from tests.factories import UserFactory


class TestIntegrationUserRepository:
    def test_add_persists_every_field(self, postgres_session: Session) -> None:
        user = UserFactory.build(verified=True)

        UserRepository(postgres_session).add(user)

        postgres_session.expire_all()
        assert UserRepository(postgres_session).get(user.id) == user

    def test_save_changes_the_stored_user(self, postgres_session: Session) -> None:
        repository = UserRepository(postgres_session)
        user = UserFactory.build()
        repository.add(user)

        user.is_verified = True
        user.name = "Renamed"
        repository.save(user)

        postgres_session.expire_all()
        assert repository.get(user.id) == user

    def test_duplicate_email_is_refused_by_the_table(self, postgres_session: Session) -> None:
        repository = UserRepository(postgres_session)
        repository.add(UserFactory.build(email="duplicate@example.com"))

        with pytest.raises(EmailTaken) as raised:
            repository.add(UserFactory.build(email="duplicate@example.com"))

        assert isinstance(raised.value.__cause__, IntegrityError)
        assert len(postgres_session.scalars(select(UserRow)).all()) == 1
