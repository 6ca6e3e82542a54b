"""What the services do at the same time: both sides are inside before either goes on."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal

import pytest

from {{ package_name }}.adapters.postgres import PostgresDatabase
from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import (
    EmailTaken,
    InvalidCredentials,
    InvalidOrder,
    Order,
    OrderStatus,
    PaymentDeclined,
    User,
)

from tests.clients import PASSWORD
from tests.factories import ItemFactory, OrderFactory, UserFactory
from tests.fixtures.shop import in_memory_shop

SECONDS = 10.0
EMAIL = "popular@example.com"


class PaymentsThatWait:
    """Does what the test wants done in between, and then takes or declines the payment."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], None] = lambda: None
        self.declines = False

    def charge(self, amount: Decimal, reference: str) -> None:
        self.meanwhile()
        if self.declines:
            raise PaymentDeclined("card_declined")


@pytest.fixture
def payments() -> PaymentsThatWait:
    return PaymentsThatWait()


@pytest.fixture
def shop(postgres_committed_adapter: PostgresDatabase, payments: PaymentsThatWait) -> Shop:
    """The shop on PostgreSQL with real commits."""
    return in_memory_shop(database=postgres_committed_adapter, payments=payments)


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as thread:
        yield thread


def stored(shop: Shop, status: OrderStatus) -> Order:
    user, item = UserFactory.build(verified=True), ItemFactory.build()
    order: Order = OrderFactory.build(user=user, item=item, status=status)
    with shop.database.begin() as work:
        work.users.add(user)
        work.items.add(item)
        work.orders.add(order)
    return order


class TestIntegrationOrderLocks:
    @pytest.mark.parametrize(
        ("act", "before"),
        [
            ("pay", OrderStatus.PENDING),
            ("cancel", OrderStatus.PENDING),
            ("fulfil", OrderStatus.PAID),
        ],
    )
    def test_change_waits_for_the_one_that_has_the_order_and_sees_it(
        self,
        shop: Shop,
        thread: ThreadPoolExecutor,
        postgres_lock_awaited: Callable[[], None],
        act: str,
        before: OrderStatus,
    ) -> None:
        order = stored(shop, before)

        with shop.database.begin() as work:
            held = work.orders.get_for_update(order.id)
            second = thread.submit(getattr(shop.orders, act), order.id)
            postgres_lock_awaited()
            held.status = OrderStatus.CANCELLED
            work.orders.save(held)

        with pytest.raises(InvalidOrder):
            second.result(SECONDS)

    @pytest.mark.parametrize("declines", [False, True], ids=["taken", "declined"])
    def test_decided_payment_waits_for_the_one_that_has_the_order_and_sees_it(
        self,
        shop: Shop,
        payments: PaymentsThatWait,
        thread: ThreadPoolExecutor,
        postgres_lock_awaited: Callable[[], None],
        declines: bool,
    ) -> None:
        order = stored(shop, OrderStatus.PENDING)
        payments.declines = declines
        charged, go_on = Future[None](), Future[None]()

        def meanwhile() -> None:
            charged.set_result(None)
            go_on.result(SECONDS)

        payments.meanwhile = meanwhile
        payment = thread.submit(shop.orders.pay, order.id)
        charged.result(SECONDS)
        with shop.database.begin() as work:
            held = work.orders.get_for_update(order.id)
            go_on.set_result(None)
            postgres_lock_awaited()
            held.status = OrderStatus.PAID
            work.orders.save(held)

        with pytest.raises(InvalidOrder):
            payment.result(SECONDS)


class TestIntegrationUserLocks:
    def test_of_two_registrations_of_one_address_one_is_first(
        self, shop: Shop, thread: ThreadPoolExecutor, postgres_lock_awaited: Callable[[], None]
    ) -> None:
        with shop.database.begin() as work:
            work.users.add(UserFactory.build(email=EMAIL))
            second = thread.submit(shop.users.register, EMAIL, PASSWORD, "Second")
            postgres_lock_awaited()

        with pytest.raises(EmailTaken):
            second.result(SECONDS)

    def test_address_that_is_verified_meanwhile_is_taken(
        self, shop: Shop, thread: ThreadPoolExecutor, postgres_lock_awaited: Callable[[], None]
    ) -> None:
        user = shop.users.register(EMAIL, PASSWORD, "First")

        with shop.database.begin() as work:
            held = work.users.get_for_update(user.id)
            second = thread.submit(shop.users.register, EMAIL, PASSWORD, "Second")
            postgres_lock_awaited()
            held.is_verified = True
            work.users.save(held)

        with pytest.raises(EmailTaken):
            second.result(SECONDS)

    def test_token_of_a_registration_that_is_replaced_meanwhile_verifies_nobody(
        self, shop: Shop, thread: ThreadPoolExecutor, postgres_lock_awaited: Callable[[], None]
    ) -> None:
        """Otherwise the owner of the mailbox would verify somebody else's password."""
        user: User = shop.users.register(EMAIL, PASSWORD, "Owner")
        token = shop.users.verification_token(user.id) or ""

        with shop.database.begin() as work:
            held = work.users.get_for_update(user.id)
            verification = thread.submit(shop.users.verify_email, user.id, token)
            postgres_lock_awaited()
            # What `register` does with its lock.
            held.password_hash = "impostor"
            work.users.save(held)
            shop.users._cache.set(f"verification_token:{user.id}", "new token")

        with pytest.raises(InvalidCredentials):
            verification.result(SECONDS)
