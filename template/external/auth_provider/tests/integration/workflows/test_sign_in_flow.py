import pytest

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import EmailTaken

from tests.clients import ShopClient, access_token
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
