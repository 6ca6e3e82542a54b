"""Reference data that many tests start from."""

from decimal import Decimal

from {{ package_name }}.domain import Item, Role, User
from {{ package_name }}.ports import Database

ADMIN_EMAIL = "admin@example.com"
CATALOGUE = {"SKU-MUG": Decimal("7.50"), "SKU-TEAPOT": Decimal("39.00")}


def seed(database: Database) -> None:
    """Add an administrator and a small catalogue to an empty database."""
    with database.begin() as work:
        work.users.add(
            User(ADMIN_EMAIL, "Admin", password_hash="!", role=Role.ADMIN, is_verified=True)
        )
        for sku, price in CATALOGUE.items():
            work.items.add(Item(sku, sku.title(), price, quantity=10))
