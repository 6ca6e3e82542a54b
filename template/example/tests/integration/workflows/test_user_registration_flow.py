import threading
from collections.abc import Callable
from uuid import uuid4

import pytest

from {{ package_name }}.adapters.memory import InMemoryMailer
from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import (
    EmailTaken,
    Event,
    EventRefused,
    InvalidCredentials,
    Unavailable,
)
from {{ package_name }}.entrypoints import consumer
from {{ package_name }}.ports import Broker

from tests.clients import PASSWORD, ShopClient, access_token

EMAIL = "newuser@example.com"
SECONDS = 10.0
"""How long an event may take to come back from the broker."""


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

    def test_user_who_is_verified_by_then_is_sent_nothing(
        self, shop: Shop, mailer: InMemoryMailer
    ) -> None:
        access_token(shop, EMAIL)

        shop.events.relay()
        # The second event says that the user is welcome: it concerns nobody here.
        for _ in range(2):
            assert shop.events.process_next(SECONDS)

        assert mailer.sent == []

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

    def test_address_belongs_to_whoever_verifies_it(self, shop: Shop) -> None:
        impostor = shop.users.register(EMAIL, "AnotherPass456!", "Impostor")
        old_token = shop.users.verification_token(impostor.id) or ""

        access_token(shop, EMAIL)

        with pytest.raises(InvalidCredentials):
            shop.users.verify_email(impostor.id, old_token)
        with pytest.raises(EmailTaken):
            shop.users.register(EMAIL, "AnotherPass456!", "Impostor")
        assert shop.users.authenticate(EMAIL, PASSWORD).user_id == impostor.id

    @pytest.mark.parametrize(
        ("email", "password"), [(EMAIL, "wrong"), ("nobody@example.com", PASSWORD)]
    )
    def test_wrong_credentials_open_no_session(self, shop: Shop, email: str, password: str) -> None:
        access_token(shop, EMAIL)

        with pytest.raises(InvalidCredentials):
            shop.users.authenticate(email, password)

    def test_guessed_tokens_are_refused(self, shop: Shop) -> None:
        user = shop.users.register(EMAIL, PASSWORD, "New User")

        for user_id in (user.id, uuid4()):
            with pytest.raises(InvalidCredentials):
                shop.users.verify_email(user_id, "guess")
        with pytest.raises(InvalidCredentials):
            shop.users.current_user("guess")

    def test_deactivated_user_is_logged_out(self, shop: Shop) -> None:
        token = access_token(shop, EMAIL)
        user = shop.users.current_user(token)
        user.is_active = False
        with shop.database.begin() as work:
            work.users.save(user)

        with pytest.raises(InvalidCredentials):
            shop.users.current_user(token)

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

    def test_worker_sends_the_mail_when_the_broker_is_back(
        self,
        committed_shop: Shop,
        broker: Broker,
        mailer: InMemoryMailer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        publish, send = broker.publish, mailer.send
        failures = [Unavailable("simulated")]
        stop = threading.Event()

        def away_once(event: Event) -> None:
            if failures:
                raise failures.pop()
            publish(event)

        def send_and_stop(to: str, subject: str, text: str) -> None:
            send(to, subject, text)
            stop.set()

        monkeypatch.setattr(broker, "publish", away_once)
        monkeypatch.setattr(mailer, "send", send_and_stop)
        committed_shop.users.register(EMAIL, PASSWORD, "New User")

        patience = threading.Timer(SECONDS, stop.set)
        patience.start()
        consumer.run(committed_shop, stop, pause=0.05)
        patience.cancel()

        assert [address for address, _ in mailer.sent] == [EMAIL]
