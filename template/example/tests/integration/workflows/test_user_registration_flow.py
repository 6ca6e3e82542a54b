from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from {{ package_name }}.adapters.memory import MemoryMailer
from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import EmailTaken, Event, InvalidCredentials

from tests.customers import Customer

EMAIL = "newuser@example.com"
PASSWORD = "SecurePass123!"
SECONDS = 10.0
"""How long an event may take to come back from the broker."""


class TestIntegrationUserRegistrationFlow:
    def test_registered_user_is_sent_a_token_that_verifies(
        self, shop: Shop, mailer: MemoryMailer
    ) -> None:
        user = shop.users.register(EMAIL, PASSWORD, "New User")

        shop.events.relay()
        assert shop.events.process_next(SECONDS)

        ((address, token),) = mailer.sent
        assert address == EMAIL
        assert shop.users.verify_email(user.id, token).is_verified

    def test_event_that_is_about_nobody_does_not_keep_the_next_one(
        self, shop: Shop, mailer: MemoryMailer
    ) -> None:
        with shop.database.begin() as work:
            work.outbox.add(Event("user_registered", "nobody", {}))
        shop.users.register(EMAIL, PASSWORD, "New User")

        shop.events.relay()
        for _ in range(2):
            assert shop.events.process_next(SECONDS)

        assert [address for address, _ in mailer.sent] == [EMAIL]

    def test_complete_registration_flow_by_each_api(
        self, customer: Customer, shared_shop: Shop, published: Callable[[int], list[Event]]
    ) -> None:
        user_id = customer.register(EMAIL, PASSWORD, "New User")
        token = shared_shop.users.verification_token(user_id)
        assert token is not None

        assert customer.verify(user_id, token)
        customer.log_in(EMAIL, PASSWORD)
        assert customer.name() == "New User"

        shared_shop.events.relay()
        registered, welcomed = published(2)
        assert (registered.type, registered.key) == ("user_registered", str(user_id))
        assert (welcomed.type, welcomed.key) == ("user_welcomed", str(user_id))
        assert welcomed.data == {"email": EMAIL, "name": "New User"}

    def test_person_whom_the_identity_provider_knows_needs_no_registration(
        self, customer: Customer, code_for: Callable[[str, str], str]
    ) -> None:
        customer.sign_in(code_for(EMAIL, "New User"))

        assert customer.name() == "New User"

    def test_unknown_code_of_the_identity_provider_opens_no_session(self, shop: Shop) -> None:
        with pytest.raises(InvalidCredentials):
            shop.users.sign_in("guess")

    def test_deactivated_user_is_logged_out_and_cannot_sign_in(
        self, shop: Shop, code_for: Callable[[str, str], str]
    ) -> None:
        session = shop.users.sign_in(code_for(EMAIL, "User"))
        user = shop.users.user_of(session.access_token)
        user.is_active = False
        with shop.database.begin() as work:
            work.users.save(user)

        with pytest.raises(InvalidCredentials):
            shop.users.user_of(session.access_token)
        with pytest.raises(InvalidCredentials):
            shop.users.sign_in(code_for(EMAIL, "User"))

    def test_first_sign_ins_at_the_same_time_are_of_one_user(
        self, shared_shop: Shop, code_for: Callable[[str, str], str]
    ) -> None:
        codes = [code_for(EMAIL, "New User") for _ in range(4)]

        def sign_in(code: str) -> UUID | None:
            try:
                return shared_shop.users.sign_in(code).user_id
            except EmailTaken:
                return None

        with ThreadPoolExecutor(max_workers=4) as browsers:
            users = set(browsers.map(sign_in, codes)) - {None}

        assert len(users) == 1

    def test_sign_in_takes_an_unverified_account_over_without_its_password(
        self, shop: Shop, code_for: Callable[[str, str], str]
    ) -> None:
        impostor = shop.users.register(EMAIL, PASSWORD, "Impostor")

        session = shop.users.sign_in(code_for(EMAIL, "New User"))

        assert session.user_id == impostor.id
        with pytest.raises(InvalidCredentials):
            shop.users.authenticate(EMAIL, PASSWORD)

    def test_unverified_user_cannot_log_in(self, shop: Shop) -> None:
        shop.users.register(EMAIL, PASSWORD, "New User")

        with pytest.raises(InvalidCredentials):
            shop.users.authenticate(EMAIL, PASSWORD)

    def test_wrong_verification_token_verifies_nobody(self, shop: Shop) -> None:
        user = shop.users.register(EMAIL, PASSWORD, "New User")

        with pytest.raises(InvalidCredentials):
            shop.users.verify_email(user.id, "guess")

    def test_unknown_access_token_is_nobodys(self, shop: Shop) -> None:
        with pytest.raises(InvalidCredentials):
            shop.users.user_of("guess")

    def test_second_registration_leaves_the_first_alone(
        self, shop: Shop, published: Callable[[int], list[Event]]
    ) -> None:
        first = shop.users.register(EMAIL, PASSWORD, "New User")

        with pytest.raises(EmailTaken):
            shop.users.register(EMAIL, "AnotherPass456!", "Impostor")

        token = shop.users.verification_token(first.id) or ""
        shop.users.verify_email(first.id, token)
        assert shop.users.authenticate(EMAIL, PASSWORD).user_id == first.id
        shop.events.relay()
        assert [event.type for event in published(2)] == ["user_registered", "user_welcomed"]
