import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from {{ package_name }}.adapters.postgres import PostgresDatabase
from {{ package_name }}.adapters.postgres.models import UserRow
from {{ package_name }}.adapters.postgres.repositories import UserRepository
from {{ package_name }}.domain import EmailTaken, NotFound

from tests.factories import UserFactory
from tests.factories.postgres import UserRowFactory


class TestIntegrationUserRepository:
    def test_add_persists_every_field(self, postgres_session: Session) -> None:
        user = UserFactory.build(admin=True)

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

    def test_duplicate_email_raises_integrity_error(self, postgres_session: Session) -> None:
        repository = UserRepository(postgres_session)
        repository.add(UserFactory.build(email="duplicate@example.com"))

        with pytest.raises(EmailTaken) as raised:
            repository.add(UserFactory.build(email="duplicate@example.com"))

        assert isinstance(raised.value.__cause__, IntegrityError)
        assert len(postgres_session.scalars(select(UserRow)).all()) == 1

    def test_constraint_of_the_table_stops_what_bypasses_the_repository(
        self, postgres_session: Session, postgres_factories: None
    ) -> None:
        UserRowFactory.create(email="duplicate@example.com")

        with pytest.raises(IntegrityError, match="uq_users_email"):
            UserRowFactory.create(email="duplicate@example.com")

    def test_rollback_on_error_keeps_nothing(
        self, postgres_committed: sessionmaker[Session]
    ) -> None:
        database = PostgresDatabase(postgres_committed)

        with pytest.raises(RuntimeError), database.begin() as work:
            work.users.add(UserFactory.build(email="rollback@example.com"))
            raise RuntimeError("simulated")

        with database.begin() as work:
            assert work.users.find_by_email("rollback@example.com") is None

    def test_unknown_user_is_not_found(self, postgres_session: Session) -> None:
        repository = UserRepository(postgres_session)

        assert repository.find_by_email("nobody@example.com") is None
        with pytest.raises(NotFound):
            repository.get(UserFactory.build().id)
