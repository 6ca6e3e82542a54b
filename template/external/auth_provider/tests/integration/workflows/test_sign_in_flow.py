import pytest

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import EmailTaken, InvalidCredentials

from tests.clients import PASSWORD, ShopClient, access_token
from tests.fixtures.shop import Person

EMAIL = "newuser@example.com"


class TestIntegrationSignInFlow:
    def test_person_whom_the_identity_provider_knows_needs_no_registration(
        self, shop_client: ShopClient, person: Person
    ) -> None:
        known = person(EMAIL, "New User")

        for _ in range(2):
            shop_client.sign_in(known)
            assert shop_client.name() == "New User"

    def test_address_of_a_verified_user_is_nobody_elses(self, shop: Shop, person: Person) -> None:
        access_token(shop, EMAIL)
        begun = shop.sign_in.begin()
        code = person(EMAIL, "Eve")(begun.url)

        with pytest.raises(EmailTaken):
            shop.sign_in.finish(begun.state, code)

    def test_sign_in_that_nobody_began_is_refused(self, shop: Shop, person: Person) -> None:
        code = person(EMAIL, "New User")(shop.sign_in.begin().url)

        with pytest.raises(InvalidCredentials):
            shop.sign_in.finish("guess", code)

    def test_address_that_nobody_verified_is_taken_over_without_its_password(
        self, shop: Shop, person: Person
    ) -> None:
        impostor = shop.users.register(EMAIL, PASSWORD, "Impostor")
        begun = shop.sign_in.begin()

        session = shop.sign_in.finish(begun.state, person(EMAIL, "New User")(begun.url))

        assert session.user_id == impostor.id
        assert shop.users.current_user(session.access_token).name == "New User"
        with pytest.raises(InvalidCredentials):
            shop.users.authenticate(EMAIL, PASSWORD)

    def test_deactivated_user_cannot_sign_in(self, shop: Shop, person: Person) -> None:
        known = person(EMAIL, "New User")
        begun, again = shop.sign_in.begin(), shop.sign_in.begin()
        session = shop.sign_in.finish(begun.state, known(begun.url))
        user = shop.users.current_user(session.access_token)
        user.is_active = False
        with shop.database.begin() as work:
            work.users.save(user)

        with pytest.raises(InvalidCredentials):
            shop.sign_in.finish(again.state, known(again.url))
