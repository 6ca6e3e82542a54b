import pytest

from {{ package_name }}.adapters.memory import (
    MemoryBroker,
    MemoryCache,
    MemoryDatabase,
)
from {{ package_name }}.domain import EmailTaken, InvalidCredentials
from {{ package_name }}.passwords import Passwords
from {{ package_name }}.services.users import (
    VERIFICATION_SECONDS,
    UserService,
)

PASSWORD = "SecurePass123!"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def users(clock: Clock, broker: MemoryBroker, passwords: Passwords) -> UserService:
    return UserService(MemoryDatabase(), MemoryCache(clock), broker, passwords)


def verified(users: UserService, email: str) -> None:
    user = users.register(email, PASSWORD, "Ada")
    users.verify_email(user.id, users.verification_token(user.id) or "")


class TestUserService:
    def test_register_keeps_no_password(self, users: UserService) -> None:
        user = users.register("ada@example.com", PASSWORD, "Ada")

        assert PASSWORD not in user.password_hash
        assert not user.is_verified

    def test_register_with_taken_email_in_other_case_is_refused(
        self, users: UserService, broker: MemoryBroker
    ) -> None:
        users.register("ada@example.com", PASSWORD, "Ada")

        with pytest.raises(EmailTaken):
            users.register("Ada@Example.com", PASSWORD, "Another Ada")

        assert len(broker.published) == 1

    def test_verification_token_works_once(self, users: UserService) -> None:
        user = users.register("ada@example.com", PASSWORD, "Ada")
        token = users.verification_token(user.id) or ""
        users.verify_email(user.id, token)

        with pytest.raises(InvalidCredentials):
            users.verify_email(user.id, token)

    def test_verification_with_wrong_token_changes_nothing(self, users: UserService) -> None:
        user = users.register("ada@example.com", PASSWORD, "Ada")

        with pytest.raises(InvalidCredentials):
            users.verify_email(user.id, "guess")

        assert users.verification_token(user.id) is not None
        with pytest.raises(InvalidCredentials):
            users.authenticate("ada@example.com", PASSWORD)

    def test_verification_token_expires(self, users: UserService, clock: Clock) -> None:
        user = users.register("ada@example.com", PASSWORD, "Ada")

        clock.now = VERIFICATION_SECONDS

        assert users.verification_token(user.id) is None

    def test_authenticate_returns_token_of_that_user(self, users: UserService) -> None:
        verified(users, "ada@example.com")

        session = users.authenticate("ADA@example.com", PASSWORD)

        assert users.user_of(session.access_token).email == "ada@example.com"

    @pytest.mark.parametrize(
        ("email", "password"),
        [
            ("ada@example.com", "wrong"),
            ("nobody@example.com", PASSWORD),
            ("nobody@example.com", ""),
        ],
    )
    def test_authenticate_with_wrong_credentials_is_refused(
        self, users: UserService, email: str, password: str
    ) -> None:
        verified(users, "ada@example.com")

        with pytest.raises(InvalidCredentials):
            users.authenticate(email, password)

    def test_unknown_access_token_is_refused(self, users: UserService) -> None:
        with pytest.raises(InvalidCredentials):
            users.user_of("guess")
