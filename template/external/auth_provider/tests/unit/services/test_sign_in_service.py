from uuid import uuid4

import pytest

from {{ package_name }}.adapters.memory import InMemoryCache
from {{ package_name }}.adapters.memory_identity import (
    InMemoryIdentityProvider,
)
from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import EmailTaken, InvalidCredentials
from {{ package_name }}.identity import Identity
from {{ package_name }}.services.sign_in import SIGN_IN_SECONDS
from {{ package_name }}.services.users import Session

from tests.clients import PASSWORD, access_token
from tests.fixtures.shop import in_memory_shop, take_events

ADA = Identity("https://idp.example.com", "1", "Ada@example.com", "Ada")


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def provider() -> InMemoryIdentityProvider:
    return InMemoryIdentityProvider()


@pytest.fixture
def shop(provider: InMemoryIdentityProvider, clock: list[float]) -> Shop:
    return in_memory_shop(identity=provider, cache=InMemoryCache(lambda: clock[0]))


def sign_in(shop: Shop, provider: InMemoryIdentityProvider, person: Identity = ADA) -> Session:
    begun = shop.sign_in.begin()
    return shop.sign_in.finish(begun.state, provider.log_in(begun.url, person))


class TestSignInService:
    def test_sign_in_registers_who_is_new_and_recognises_who_is_not(
        self, shop: Shop, provider: InMemoryIdentityProvider
    ) -> None:
        first = sign_in(shop, provider)
        # A person is who they are, whatever their address is meanwhile.
        moved = Identity(ADA.issuer, ADA.subject, "new@example.com", "Ada")
        second = sign_in(shop, provider, moved)

        user = shop.users.current_user(first.access_token)
        assert (user.email, user.name, user.is_verified) == ("ada@example.com", "Ada", True)
        assert second.user_id == first.user_id
        assert [event.type for event in take_events(shop)] == ["user_welcomed"]

    @pytest.mark.parametrize(
        "other",
        [
            Identity(ADA.issuer, "2", ADA.email, "Eve"),
            Identity("https://other.example.com", ADA.subject, ADA.email, "Eve"),
        ],
        ids=["subject", "issuer"],
    )
    def test_sign_in_of_another_person_with_the_same_address_is_refused(
        self, shop: Shop, provider: InMemoryIdentityProvider, other: Identity
    ) -> None:
        sign_in(shop, provider)

        with pytest.raises(EmailTaken):
            sign_in(shop, provider, other)

    def test_sign_in_with_the_address_of_a_verified_user_is_refused(
        self, shop: Shop, provider: InMemoryIdentityProvider
    ) -> None:
        access_token(shop, ADA.email)

        with pytest.raises(EmailTaken):
            sign_in(shop, provider)

        assert shop.users.authenticate("ada@example.com", PASSWORD)

    def test_sign_in_takes_an_unverified_address_over_without_its_password(
        self, shop: Shop, provider: InMemoryIdentityProvider
    ) -> None:
        impostor = shop.users.register("ada@example.com", PASSWORD, "Impostor")

        session = sign_in(shop, provider)

        assert session.user_id == impostor.id
        assert shop.users.current_user(session.access_token).name == "Ada"
        assert sign_in(shop, provider).user_id == impostor.id
        with pytest.raises(InvalidCredentials):
            shop.users.authenticate("ada@example.com", PASSWORD)
        assert [event.type for event in take_events(shop)] == ["user_registered", "user_welcomed"]

    def test_sign_in_is_finished_once_by_who_began_it(
        self, shop: Shop, provider: InMemoryIdentityProvider
    ) -> None:
        begun, other = shop.sign_in.begin(), shop.sign_in.begin()
        code = provider.log_in(begun.url, ADA)

        with pytest.raises(InvalidCredentials):
            shop.sign_in.finish("guess", code)
        with pytest.raises(InvalidCredentials):
            shop.sign_in.finish(other.state, code)
        code = provider.log_in(begun.url, ADA)
        assert shop.sign_in.finish(begun.state, code)
        with pytest.raises(InvalidCredentials):
            shop.sign_in.finish(begun.state, provider.log_in(begun.url, ADA))

    def test_sign_in_that_takes_too_long_is_refused(
        self, shop: Shop, provider: InMemoryIdentityProvider, clock: list[float]
    ) -> None:
        begun, late = shop.sign_in.begin(), shop.sign_in.begin()
        clock[0] = SIGN_IN_SECONDS - 1
        assert shop.sign_in.finish(begun.state, provider.log_in(begun.url, ADA))

        clock[0] = SIGN_IN_SECONDS

        with pytest.raises(InvalidCredentials):
            shop.sign_in.finish(late.state, provider.log_in(late.url, ADA))

    def test_deactivated_user_cannot_sign_in(
        self, shop: Shop, provider: InMemoryIdentityProvider
    ) -> None:
        session = sign_in(shop, provider)
        user = shop.users.current_user(session.access_token)
        user.is_active = False
        with shop.database.begin() as work:
            work.users.save(user)

        with pytest.raises(InvalidCredentials):
            sign_in(shop, provider)

    def test_person_is_one_user(self, shop: Shop) -> None:
        with shop.database.begin() as work:
            work.identities.add(ADA, uuid4())
            with pytest.raises(EmailTaken):
                work.identities.add(ADA, uuid4())
