from decimal import Decimal

from ..domain import Item
from ..ports import Database


class InventoryService:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create_item(
        self, sku: str, quantity: int, *, name: str = "", price: Decimal = Decimal(0)
    ) -> Item:
        """Put an item on sale. Raises SkuTaken."""
        item = Item(sku, name or sku, price, quantity)
        with self._database.begin() as work:
            work.items.add(item)
        return item

    def get_item(self, sku: str) -> Item:
        """Raises NotFound."""
        with self._database.begin() as work:
            return work.items.get(sku)
