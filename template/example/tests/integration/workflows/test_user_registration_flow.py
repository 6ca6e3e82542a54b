from collections.abc import Callable
from uuid import uuid4

import pytest

from {{ package_name }}.adapters.memory import InMemoryMailer
from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import EmailTaken, Event, EventRefused, InvalidCredentials
from {{ package_name }}.ports import Broker
from {{ package_name }}.services.users import Session

from tests.clients import ShopClient
from tests.fixtures.shop import Person

EMAIL = "newuser@example.com"
PASSWORD = "SecurePass123!"
SECONDS = 10.0
"""How long an event may take to come back from the broker."""


def sign_in(shop: Shop, known: Callable[[str], str]) -> Session:
    begun = shop.users.begin_sign_in()
    return shop.users.sign_in(begun.state, known(begun.url))


class TestIntegrationUserRegistrationFlow:
    def test_registered_user_is_sent_a_token_that_verifies(
        self, shop: Shop, mailer: InMemoryMailer
    ) -> None:
        user = shop.users.register(EMAIL, PASSWORD, "New User")

        shop.events.relay()
        assert shop.events.process_next(SECONDS)

        ((address, token),) = mailer.sent
        assert address == EMAIL
        assert shop.users.verify_email(user.id, token).is_verified

    def test_event_that_is_about_nobody_does_not_keep_the_next_one(
        self, shop: Shop, mailer: InMemoryMailer
    ) -> None:
        with shop.database.begin() as work:
            work.outbox.add(Event("user_registered", "nobody", {}))
        shop.users.register(EMAIL, PASSWORD, "New User")

        shop.events.relay()
        for _ in range(2):
            assert shop.events.process_next(SECONDS)

        assert [address for address, _ in mailer.sent] == [EMAIL]

    def test_complete_registration_flow_by_each_api(
        self, shop_client: ShopClient, committed_shop: Shop, published: Callable[[int], list[Event]]
    ) -> None:
        user_id = shop_client.register(EMAIL, PASSWORD, "New User")
        token = committed_shop.users.verification_token(user_id)
        assert token is not None

        assert shop_client.verify(user_id, token)
        shop_client.log_in(EMAIL, PASSWORD)
        assert shop_client.name() == "New User"

        committed_shop.events.relay()
        registered, welcomed = published(2)
        assert (registered.type, registered.key) == ("user_registered", str(user_id))
        assert (welcomed.type, welcomed.key) == ("user_welcomed", str(user_id))
        assert welcomed.data == {"email": EMAIL, "name": "New User"}

    def test_person_whom_the_identity_provider_knows_needs_no_registration(
        self, shop_client: ShopClient, person: Person
    ) -> None:
        shop_client.sign_in(person(EMAIL, "New User"))

        assert shop_client.name() == "New User"

    def test_address_is_lost_to_who_registers_with_it_again_until_it_is_verified(
        self, shop: Shop, mailer: InMemoryMailer
    ) -> None:
        shop.users.register(EMAIL, "ImpostorsPass456!", "Impostor")
        user = shop.users.register(EMAIL, PASSWORD, "New User")

        shop.events.relay()
        for _ in range(2):
            assert shop.events.process_next(SECONDS)

        _, (address, token) = mailer.sent
        assert address == EMAIL
        assert shop.users.verify_email(user.id, token).name == "New User"
        assert shop.users.authenticate(EMAIL, PASSWORD).user_id == user.id
        with pytest.raises(EmailTaken):
            shop.users.register(EMAIL, "ImpostorsPass456!", "Impostor")

    def test_deactivated_user_is_logged_out_and_cannot_come_back(
        self, shop: Shop, person: Person
    ) -> None:
        known = person(EMAIL, "User")
        session = sign_in(shop, known)
        user = shop.users.current_user(session.access_token)
        user.is_active = False
        with shop.database.begin() as work:
            work.users.save(user)

        with pytest.raises(InvalidCredentials):
            shop.users.current_user(session.access_token)
        with pytest.raises(InvalidCredentials):
            sign_in(shop, known)

    def test_nobody_gets_in_without_what_the_shop_gave_them(self, shop: Shop) -> None:
        with pytest.raises(InvalidCredentials):
            shop.users.verify_email(uuid4(), "guess")
        with pytest.raises(InvalidCredentials):
            shop.users.current_user("guess")
        with pytest.raises(InvalidCredentials):
            shop.users.sign_in("guess", "guess")

    def test_event_that_the_broker_refuses_does_not_keep_the_next_one(
        self,
        shop: Shop,
        broker: Broker,
        published: Callable[[int], list[Event]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        shop.users.register("first@example.com", PASSWORD, "First")

        def refuse(event: Event) -> None:
            raise EventRefused("simulated")

        with monkeypatch.context() as patch:
            patch.setattr(broker, "publish", refuse)
            shop.events.relay()
        second = shop.users.register(EMAIL, PASSWORD, "Second")
        shop.events.relay()

        assert [event.key for event in published(1)] == [str(second.id)]
