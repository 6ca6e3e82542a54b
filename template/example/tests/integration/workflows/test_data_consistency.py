from concurrent.futures import ThreadPoolExecutor

from {{ package_name }}.bootstrap import Shop
from {{ package_name }}.domain import OutOfStock
from {{ package_name }}.ports import Database

from tests.factories import ItemFactory, UserFactory
from tests.seed_data import BUYER_EMAIL, CATALOGUE


class TestIntegrationDataConsistency:
    def test_reference_data_can_be_ordered(self, seeded_db: Database, shop: Shop) -> None:
        with seeded_db.begin() as work:
            buyer = work.users.find_by_email(BUYER_EMAIL)
        assert buyer is not None

        orders = [shop.orders.place(buyer.id, sku, 2) for sku in CATALOGUE]

        assert [order.total_amount for order in orders] == [2 * p for p in CATALOGUE.values()]

    def test_concurrent_buyers_get_the_stock_and_no_more(
        self, committed_shop: Shop, committed_database: Database
    ) -> None:
        buyer = UserFactory.build(verified=True)
        with committed_database.begin() as work:
            work.users.add(buyer)
            work.items.add(ItemFactory.build(sku="SKU-001", quantity=100))

        def buy(_: int) -> bool:
            try:
                committed_shop.orders.place(buyer.id, "SKU-001", 10)
            except OutOfStock:
                return False
            return True

        with ThreadPoolExecutor(max_workers=15) as buyers:
            bought = list(buyers.map(buy, range(15)))

        assert bought.count(True) == 10
        assert committed_shop.inventory.get_item("SKU-001").quantity == 0
