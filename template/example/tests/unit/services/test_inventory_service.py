import pytest

from {{ package_name }}.adapters.memory import InMemoryDatabase
from {{ package_name }}.domain import NotFound, SkuTaken
from {{ package_name }}.services.inventory import InventoryService


@pytest.fixture
def inventory() -> InventoryService:
    return InventoryService(InMemoryDatabase())


class TestInventoryService:
    def test_item_is_called_by_its_number_unless_it_has_a_name(
        self, inventory: InventoryService
    ) -> None:
        inventory.create_item("SKU-001", 1)
        inventory.create_item("SKU-002", 1, name="Mug")

        assert inventory.get_item("SKU-001").name == "SKU-001"
        assert inventory.get_item("SKU-002").name == "Mug"

    def test_unknown_item_is_not_found(self, inventory: InventoryService) -> None:
        with pytest.raises(NotFound):
            inventory.get_item("SKU-001")

    def test_item_exists_once(self, inventory: InventoryService) -> None:
        inventory.create_item("SKU-001", 3)

        with pytest.raises(SkuTaken):
            inventory.create_item("SKU-001", 5)

        assert inventory.get_item("SKU-001").quantity == 3
