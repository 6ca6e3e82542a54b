import pytest

from {{ package_name }}.adapters.memory import InMemoryCache, InMemoryMailer
from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import EmailTaken, InvalidCredentials
from {{ package_name }}.services.users import (
    SESSION_SECONDS,
    VERIFICATION_SECONDS,
    UserService,
)

from tests.clients import PASSWORD, access_token
from tests.factories import PASSWORD as FACTORY_PASSWORD
from tests.factories import UserFactory
from tests.fixtures.shop import in_memory_shop, take_events

EMAIL = "ada@example.com"


@pytest.fixture
def clock() -> list[float]:
    """The time that the cache goes by."""
    return [0.0]


@pytest.fixture
def mailer() -> InMemoryMailer:
    return InMemoryMailer()


@pytest.fixture
def shop(clock: list[float], mailer: InMemoryMailer) -> Shop:
    return in_memory_shop(cache=InMemoryCache(lambda: clock[0]), mailer=mailer)


@pytest.fixture
def users(shop: Shop) -> UserService:
    return shop.users


class TestUserService:
    def test_register_keeps_no_password(self, users: UserService) -> None:
        user = users.register(EMAIL, PASSWORD, "Ada")

        assert PASSWORD not in user.password_hash
        assert not user.is_verified

    def test_register_with_address_of_a_verified_user_in_other_case_is_refused(
        self, shop: Shop
    ) -> None:
        access_token(shop, "Ada@example.com")

        with pytest.raises(EmailTaken):
            shop.users.register("ada@Example.com", "AnotherPass456!", "Another Ada")

        assert shop.users.authenticate(EMAIL, PASSWORD)
        told = [(event.type, event.data["email"]) for event in take_events(shop)]
        assert told == [("user_registered", EMAIL), ("user_welcomed", EMAIL)]

    def test_register_again_replaces_name_password_and_token(self, shop: Shop) -> None:
        users = shop.users
        first = users.register(EMAIL, PASSWORD, "Impostor")
        old = users.verification_token(first.id) or ""

        again = users.register("Ada@example.com", "AnotherPass456!", "Ada")

        with pytest.raises(InvalidCredentials):
            users.verify_email(first.id, old)
        new = users.verification_token(again.id) or ""
        assert users.verify_email(again.id, new).name == "Ada"
        with pytest.raises(InvalidCredentials):
            users.authenticate(EMAIL, PASSWORD)
        assert users.authenticate(EMAIL, "AnotherPass456!").user_id == first.id
        told = [event.type for event in take_events(shop)]
        assert told == ["user_registered", "user_registered", "user_welcomed"]

    def test_verification_is_sent_as_long_as_it_is_of_use(
        self, users: UserService, mailer: InMemoryMailer
    ) -> None:
        user = users.register(EMAIL, PASSWORD, "Ada")
        token = users.verification_token(user.id) or ""

        users.send_verification(user.id)
        users.verify_email(user.id, token)
        users.send_verification(user.id)

        assert mailer.sent == [(EMAIL, token)]

    def test_verification_token_works_once(self, users: UserService) -> None:
        user = users.register(EMAIL, PASSWORD, "Ada")
        token = users.verification_token(user.id) or ""
        users.verify_email(user.id, token)

        with pytest.raises(InvalidCredentials):
            users.verify_email(user.id, token)
        assert users.verification_token(user.id) is None

    def test_verified_user_is_not_verified_again(self, shop: Shop) -> None:
        user = shop.users.register(EMAIL, PASSWORD, "Ada")
        user.is_verified = True
        with shop.database.begin() as work:
            work.users.save(user)

        with pytest.raises(InvalidCredentials):
            shop.users.verify_email(user.id, shop.users.verification_token(user.id) or "")

        assert [event.type for event in take_events(shop)] == ["user_registered"]

    @pytest.mark.parametrize("token", ["guess", "", "gänsefüßchen", "\udcff"])
    def test_verification_with_wrong_token_changes_nothing(
        self, users: UserService, token: str
    ) -> None:
        user = users.register(EMAIL, PASSWORD, "Ada")

        for user_id in (user.id, UserFactory.build().id):
            with pytest.raises(InvalidCredentials):
                users.verify_email(user_id, token)

        assert users.verification_token(user.id) is not None
        with pytest.raises(InvalidCredentials):
            users.authenticate(EMAIL, PASSWORD)

    def test_verification_token_expires_and_registration_is_possible_again(
        self, shop: Shop, clock: list[float]
    ) -> None:
        user = shop.users.register(EMAIL, PASSWORD, "Ada")
        clock[0] = VERIFICATION_SECONDS - 1
        assert shop.users.verification_token(user.id) is not None

        clock[0] = VERIFICATION_SECONDS

        with pytest.raises(InvalidCredentials):
            shop.users.verify_email(user.id, "guess")
        assert access_token(shop, EMAIL)

    def test_authenticate_returns_token_of_that_user(self, shop: Shop) -> None:
        emails = [EMAIL, "eve@example.com"]
        for email in emails:
            access_token(shop, email)

        sessions = [shop.users.authenticate(email.upper(), PASSWORD) for email in emails]

        users = [shop.users.current_user(session.access_token) for session in sessions]
        assert [user.email for user in users] == emails

    def test_session_expires(self, shop: Shop, clock: list[float]) -> None:
        token = access_token(shop)
        clock[0] = SESSION_SECONDS - 1
        assert shop.users.current_user(token)

        clock[0] = SESSION_SECONDS

        with pytest.raises(InvalidCredentials):
            shop.users.current_user(token)

    @pytest.mark.parametrize(
        ("is_verified", "is_active"), [(True, True), (False, True), (True, False)]
    )
    def test_only_verified_and_active_users_log_in(
        self, shop: Shop, is_verified: bool, is_active: bool
    ) -> None:
        user = UserFactory.build(is_verified=is_verified, is_active=is_active)
        with shop.database.begin() as work:
            work.users.add(user)

        if is_verified and is_active:
            assert shop.users.authenticate(user.email, FACTORY_PASSWORD).user_id == user.id
        else:
            with pytest.raises(InvalidCredentials):
                shop.users.authenticate(user.email, FACTORY_PASSWORD)

    @pytest.mark.parametrize(
        ("email", "password"),
        [(EMAIL, "wrong"), ("nobody@example.com", PASSWORD), ("nobody@example.com", "")],
    )
    def test_authenticate_with_wrong_credentials_is_refused(
        self, shop: Shop, email: str, password: str
    ) -> None:
        access_token(shop, EMAIL)

        with pytest.raises(InvalidCredentials):
            shop.users.authenticate(email, password)

    def test_deactivated_user_is_logged_out(self, shop: Shop) -> None:
        token = access_token(shop)
        user = shop.users.current_user(token)
        user.is_active = False
        with shop.database.begin() as work:
            work.users.save(user)

        with pytest.raises(InvalidCredentials):
            shop.users.current_user(token)

    def test_unknown_access_token_is_refused(self, shop: Shop) -> None:
        access_token(shop)

        with pytest.raises(InvalidCredentials):
            shop.users.current_user("guess")
