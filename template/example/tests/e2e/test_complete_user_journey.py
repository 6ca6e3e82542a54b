from {{ package_name }}.domain import OrderStatus

from tests.clients import ShopClient
from tests.e2e.conftest import Service, eventually

EMAIL = "ada@example.com"
PASSWORD = "SecurePass123!"


class TestEndToEndUserJourney:
    def test_person_registers_orders_and_pays(self, service: Service, client: ShopClient) -> None:
        user_id = client.register(EMAIL, PASSWORD, "Ada")
        assert client.verify(user_id, service.mail_to(EMAIL))
        client.log_in(EMAIL, PASSWORD)
        assert client.name() == "Ada"

        order_id = client.order("SKU-MUG", 3)
        assert client.status(order_id) is OrderStatus.PENDING
        client.pay(order_id)
        eventually(
            lambda: client.status(order_id) is OrderStatus.FULFILLED, "the order is not fulfilled"
        )
