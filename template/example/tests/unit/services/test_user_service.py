import pytest

from {{ package_name }}.adapters.memory import (
    MemoryCache,
    MemoryDatabase,
    MemoryIdentityProvider,
    MemoryMailer,
)
from {{ package_name }}.domain import EmailTaken, Identity, InvalidCredentials
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
def identity() -> MemoryIdentityProvider:
    return MemoryIdentityProvider()


@pytest.fixture
def mailer() -> MemoryMailer:
    return MemoryMailer()


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase()


@pytest.fixture
def users(
    database: MemoryDatabase,
    clock: Clock,
    identity: MemoryIdentityProvider,
    mailer: MemoryMailer,
    passwords: Passwords,
) -> UserService:
    return UserService(database, MemoryCache(clock), identity, mailer, passwords)


def verified(users: UserService, email: str) -> None:
    user = users.register(email, PASSWORD, "Ada")
    users.verify_email(user.id, users.verification_token(user.id) or "")


class TestUserService:
    def test_register_keeps_no_password(self, users: UserService) -> None:
        user = users.register("ada@example.com", PASSWORD, "Ada")

        assert PASSWORD not in user.password_hash
        assert not user.is_verified

    def test_register_with_taken_email_in_other_case_is_refused(self, users: UserService) -> None:
        users.register("ada@example.com", PASSWORD, "Ada")

        with pytest.raises(EmailTaken):
            users.register("Ada@Example.com", PASSWORD, "Another Ada")

    def test_verification_is_sent_as_long_as_it_is_of_use(
        self, users: UserService, mailer: MemoryMailer
    ) -> None:
        user = users.register("ada@example.com", PASSWORD, "Ada")
        token = users.verification_token(user.id) or ""

        users.send_verification(user.id)
        users.verify_email(user.id, token)
        users.send_verification(user.id)

        assert mailer.sent == [("ada@example.com", token)]

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

    def test_sign_in_registers_who_is_new_and_recognises_who_is_not(
        self, users: UserService, identity: MemoryIdentityProvider
    ) -> None:
        identity.codes = {code: Identity("Ada@example.com", "Ada") for code in ("1", "2")}

        first, second = users.sign_in("1"), users.sign_in("2")

        user = users.user_of(first.access_token)
        assert (user.email, user.name, user.is_verified) == ("ada@example.com", "Ada", True)
        assert second.user_id == first.user_id

    def test_sign_in_leaves_no_password_that_was_set_before_the_address_was_verified(
        self, users: UserService, identity: MemoryIdentityProvider
    ) -> None:
        impostor = users.register("ada@example.com", PASSWORD, "Impostor")
        identity.codes = {"1": Identity("ada@example.com", "Ada")}

        session = users.sign_in("1")

        assert session.user_id == impostor.id
        with pytest.raises(InvalidCredentials):
            users.authenticate("ada@example.com", PASSWORD)

    def test_sign_in_keeps_the_password_of_a_verified_user(
        self, users: UserService, identity: MemoryIdentityProvider
    ) -> None:
        verified(users, "ada@example.com")
        identity.codes = {"1": Identity("ada@example.com", "Ada")}

        session = users.sign_in("1")

        assert users.authenticate("ada@example.com", PASSWORD).user_id == session.user_id

    def test_sign_in_with_unknown_code_is_refused(self, users: UserService) -> None:
        with pytest.raises(InvalidCredentials):
            users.sign_in("guess")

    def test_session_of_a_deactivated_user_is_over(
        self, users: UserService, database: MemoryDatabase
    ) -> None:
        verified(users, "ada@example.com")
        session = users.authenticate("ada@example.com", PASSWORD)
        user = users.user_of(session.access_token)
        user.is_active = False
        with database.begin() as work:
            work.users.save(user)

        with pytest.raises(InvalidCredentials):
            users.user_of(session.access_token)
