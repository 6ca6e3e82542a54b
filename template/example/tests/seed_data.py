"""Reference data that many tests start from."""

from decimal import Decimal

from {{ package_name }}.domain import Item, User
from {{ package_name }}.ports import Database

BUYER_EMAIL = "buyer@example.com"
CATALOGUE = {"SKU-MUG": Decimal("7.50"), "SKU-TEAPOT": Decimal("39.00")}


def seed(database: Database) -> None:
    """Add a verified user and a small catalogue to an empty database."""
    with database.begin() as work:
        work.users.add(User(BUYER_EMAIL, "Buyer", password_hash="!", is_verified=True))
        for sku, price in CATALOGUE.items():
            work.items.add(Item(sku, sku.title(), price, quantity=10))
