from concurrent.futures import ThreadPoolExecutor

import pytest

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import EmailTaken, OutOfStock
from {{ package_name }}.ports import Database

from tests.seed_data import ADMIN_EMAIL, CATALOGUE


class TestIntegrationDataConsistency:
    def test_reference_data_can_be_ordered(self, seeded_db: Database, shop: Shop) -> None:
        with seeded_db.begin() as work:
            admin = work.users.find_by_email(ADMIN_EMAIL)
        assert admin is not None

        orders = [shop.orders.place(admin.id, sku, 2) for sku in CATALOGUE]

        assert [order.total_amount for order in orders] == [2 * p for p in CATALOGUE.values()]

    def test_concurrent_buyers_get_the_stock_and_no_more(self, shared_shop: Shop) -> None:
        shared_shop.inventory.create_item("SKU-001", quantity=100)

        def buy(_: int) -> bool:
            try:
                shared_shop.inventory.reduce_quantity("SKU-001", 10)
            except OutOfStock:
                return False
            return True

        with ThreadPoolExecutor(max_workers=15) as buyers:
            bought = list(buyers.map(buy, range(15)))

        assert bought.count(True) == 10
        assert shared_shop.inventory.get_item("SKU-001").quantity == 0

    def test_concurrent_registrations_of_one_email_succeed_once(self, shared_shop: Shop) -> None:
        def register(number: int) -> bool:
            try:
                shared_shop.users.register(
                    "popular@example.com", "SecurePass123!", f"User {number}"
                )
            except EmailTaken:
                return False
            return True

        with ThreadPoolExecutor(max_workers=5) as clients:
            registered = list(clients.map(register, range(5)))

        assert registered.count(True) == 1

    def test_order_that_fails_half_way_leaves_no_trace(
        self, shared_shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = shared_shop.users.register("buyer@example.com", "SecurePass123!", "Buyer")
        shared_shop.users.verify_email(user.id, shared_shop.users.verification_token(user.id) or "")
        shared_shop.inventory.create_item("SKU-001", quantity=1)

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("simulated")

        with monkeypatch.context() as patch, pytest.raises(RuntimeError):
            # The stock is taken already when the order is made.
            patch.setattr("{{ package_name }}.services.orders.Order", fail)
            shared_shop.orders.place(user.id, "SKU-001", 1)

        assert shared_shop.inventory.get_item("SKU-001").quantity == 1
        assert shared_shop.orders.place(user.id, "SKU-001", 1).quantity == 1
