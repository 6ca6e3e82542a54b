from collections.abc import Callable

import pytest

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import EmailTaken, Event, InvalidCredentials


class TestIntegrationUserRegistrationFlow:
    def test_complete_registration_flow(
        self, shop: Shop, published: Callable[[int], list[Event]]
    ) -> None:
        user = shop.users.register("newuser@example.com", "SecurePass123!", "New User")
        assert not user.is_verified

        token = shop.users.verification_token(user.id)
        assert token is not None
        assert shop.users.verify_email(user.id, token).is_verified

        registered, welcomed = published(2)
        assert registered.type == "user_registered"
        assert welcomed.type == "user_welcomed"
        assert welcomed.data == {"email": "newuser@example.com", "name": "New User"}

        session = shop.users.authenticate("newuser@example.com", "SecurePass123!")
        assert shop.users.user_of(session.access_token).id == user.id

    def test_unverified_user_cannot_log_in(self, shop: Shop) -> None:
        shop.users.register("newuser@example.com", "SecurePass123!", "New User")

        with pytest.raises(InvalidCredentials):
            shop.users.authenticate("newuser@example.com", "SecurePass123!")

    def test_wrong_token_verifies_nobody(self, shop: Shop) -> None:
        user = shop.users.register("newuser@example.com", "SecurePass123!", "New User")

        with pytest.raises(InvalidCredentials):
            shop.users.verify_email(user.id, "wrong")

        assert shop.users.verification_token(user.id) is not None

    def test_wrong_password_logs_nobody_in(self, shop: Shop) -> None:
        user = shop.users.register("newuser@example.com", "SecurePass123!", "New User")
        shop.users.verify_email(user.id, shop.users.verification_token(user.id) or "")

        with pytest.raises(InvalidCredentials):
            shop.users.authenticate("newuser@example.com", "AnotherPass456!")

    def test_unknown_access_token_is_refused(self, shop: Shop) -> None:
        with pytest.raises(InvalidCredentials):
            shop.users.user_of("unknown")

    def test_second_registration_leaves_the_first_alone(
        self, shop: Shop, published: Callable[[int], list[Event]]
    ) -> None:
        first = shop.users.register("newuser@example.com", "SecurePass123!", "New User")

        with pytest.raises(EmailTaken):
            shop.users.register("newuser@example.com", "AnotherPass456!", "Impostor")

        token = shop.users.verification_token(first.id) or ""
        shop.users.verify_email(first.id, token)
        assert shop.users.authenticate("newuser@example.com", "SecurePass123!").user_id == first.id
        assert [event.type for event in published(2)] == ["user_registered", "user_welcomed"]
