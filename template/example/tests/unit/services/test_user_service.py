import pytest

from {{ package_name }}.adapters.memory import (
    InMemoryCache,
    InMemoryDatabase,
    InMemoryMailer,
)
from {{ package_name }}.domain import EmailTaken, Event, InvalidCredentials
from {{ package_name }}.passwords import Passwords
from {{ package_name }}.services.users import (
    SESSION_SECONDS,
    VERIFICATION_SECONDS,
    UserService,
)

from tests.factories import PASSWORD as FACTORY_PASSWORD
from tests.factories import UserFactory

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
def mailer() -> InMemoryMailer:
    return InMemoryMailer()


@pytest.fixture
def database() -> InMemoryDatabase:
    return InMemoryDatabase()


@pytest.fixture
def users(
    database: InMemoryDatabase,
    clock: Clock,
    mailer: InMemoryMailer,
    passwords: Passwords,
) -> UserService:
    return UserService(database, InMemoryCache(clock), mailer, passwords)


def verified(users: UserService, email: str) -> None:
    user = users.register(email, PASSWORD, "Ada")
    users.verify_email(user.id, users.verification_token(user.id) or "")


def events(database: InMemoryDatabase) -> list[Event]:
    """The events that wait to be published."""
    found = []
    with database.begin() as work:
        while claim := work.outbox.claim(lease=0, attempts=1):
            found.append(claim.event)
            work.outbox.remove(claim.event)
    return found


class TestUserService:
    def test_register_keeps_no_password(self, users: UserService) -> None:
        user = users.register("ada@example.com", PASSWORD, "Ada")

        assert PASSWORD not in user.password_hash
        assert not user.is_verified

    def test_register_with_address_of_a_verified_user_in_other_case_is_refused(
        self, users: UserService, database: InMemoryDatabase
    ) -> None:
        verified(users, "Ada@example.com")

        with pytest.raises(EmailTaken):
            users.register("ada@Example.com", "AnotherPass456!", "Another Ada")

        assert users.authenticate("ada@example.com", PASSWORD)
        told = [(event.type, event.data["email"]) for event in events(database)]
        assert told == [
            ("user_registered", "ada@example.com"),
            ("user_welcomed", "ada@example.com"),
        ]

    def test_register_again_replaces_name_password_and_token(
        self, users: UserService, database: InMemoryDatabase
    ) -> None:
        first = users.register("ada@example.com", PASSWORD, "Impostor")
        old = users.verification_token(first.id) or ""

        again = users.register("Ada@example.com", "AnotherPass456!", "Ada")

        with pytest.raises(InvalidCredentials):
            users.verify_email(first.id, old)
        new = users.verification_token(again.id) or ""
        assert users.verify_email(again.id, new).name == "Ada"
        with pytest.raises(InvalidCredentials):
            users.authenticate("ada@example.com", PASSWORD)
        assert users.authenticate("ada@example.com", "AnotherPass456!").user_id == first.id
        kinds = [event.type for event in events(database)]
        assert kinds == ["user_registered", "user_registered", "user_welcomed"]

    def test_register_again_is_possible_when_the_token_has_expired(
        self, users: UserService, clock: Clock
    ) -> None:
        users.register("ada@example.com", PASSWORD, "Ada")
        clock.now = VERIFICATION_SECONDS

        verified(users, "ada@example.com")

        assert users.authenticate("ada@example.com", PASSWORD)

    def test_verification_is_sent_as_long_as_it_is_of_use(
        self, users: UserService, mailer: InMemoryMailer
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
        assert users.verification_token(user.id) is None

    def test_verified_user_is_not_verified_again(
        self, users: UserService, database: InMemoryDatabase
    ) -> None:
        user = users.register("ada@example.com", PASSWORD, "Ada")
        user.is_verified = True
        with database.begin() as work:
            work.users.save(user)

        with pytest.raises(InvalidCredentials):
            users.verify_email(user.id, users.verification_token(user.id) or "")

        assert [event.type for event in events(database)] == ["user_registered"]

    def test_verification_of_an_unknown_user_is_refused(self, users: UserService) -> None:
        with pytest.raises(InvalidCredentials):
            users.verify_email(UserFactory.build().id, "guess")

    @pytest.mark.parametrize("token", ["guess", "", "gänsefüßchen", "\udcff"])
    def test_verification_with_wrong_token_changes_nothing(
        self, users: UserService, token: str
    ) -> None:
        user = users.register("ada@example.com", PASSWORD, "Ada")

        with pytest.raises(InvalidCredentials):
            users.verify_email(user.id, token)

        assert users.verification_token(user.id) is not None
        with pytest.raises(InvalidCredentials):
            users.authenticate("ada@example.com", PASSWORD)

    def test_verification_token_expires(self, users: UserService, clock: Clock) -> None:
        user = users.register("ada@example.com", PASSWORD, "Ada")

        clock.now = VERIFICATION_SECONDS - 1
        assert users.verification_token(user.id) is not None

        clock.now = VERIFICATION_SECONDS
        assert users.verification_token(user.id) is None
        with pytest.raises(InvalidCredentials):
            users.verify_email(user.id, "guess")

    def test_authenticate_returns_token_of_that_user(self, users: UserService) -> None:
        emails = ["ada@example.com", "eve@example.com"]
        for email in emails:
            verified(users, email)

        sessions = [users.authenticate(email.upper(), PASSWORD) for email in emails]

        assert [users.current_user(session.access_token).email for session in sessions] == emails

    def test_session_expires(self, users: UserService, clock: Clock) -> None:
        verified(users, "ada@example.com")
        session = users.authenticate("ada@example.com", PASSWORD)
        clock.now = SESSION_SECONDS - 1
        assert users.current_user(session.access_token)

        clock.now = SESSION_SECONDS

        with pytest.raises(InvalidCredentials):
            users.current_user(session.access_token)

    def test_user_of_the_factory_can_log_in(
        self, users: UserService, database: InMemoryDatabase
    ) -> None:
        user = UserFactory.build(verified=True)
        with database.begin() as work:
            work.users.add(user)

        assert users.authenticate(user.email, FACTORY_PASSWORD).user_id == user.id

    @pytest.mark.parametrize("kind", ["unverified", "deactivated"])
    def test_user_who_may_not_log_in_is_refused(
        self, users: UserService, database: InMemoryDatabase, kind: str
    ) -> None:
        user = UserFactory.build(is_verified=kind != "unverified", is_active=kind != "deactivated")
        with database.begin() as work:
            work.users.add(user)

        with pytest.raises(InvalidCredentials):
            users.authenticate(user.email, FACTORY_PASSWORD)

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

    def test_deactivated_user_is_logged_out(
        self, users: UserService, database: InMemoryDatabase
    ) -> None:
        verified(users, "ada@example.com")
        token = users.authenticate("ada@example.com", PASSWORD).access_token
        user = users.current_user(token)
        user.is_active = False
        with database.begin() as work:
            work.users.save(user)

        with pytest.raises(InvalidCredentials):
            users.current_user(token)

    def test_unknown_access_token_is_refused(self, users: UserService) -> None:
        verified(users, "ada@example.com")
        users.authenticate("ada@example.com", PASSWORD)

        with pytest.raises(InvalidCredentials):
            users.current_user("guess")
