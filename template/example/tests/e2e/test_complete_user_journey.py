from {{ package_name }}.domain import OrderStatus

from tests.clients import ShopClient
from tests.e2e.conftest import Service, eventually
{% if wiring.served.identity %}
from tests.fixtures.shop import Person
{% endif %}

EMAIL = "ada@example.com"
PASSWORD = "SecurePass123!"


class TestEndToEndUserJourney:
{% if wiring.served.identity %}
    def test_people_register_order_pay_and_sign_in(
        self, service: Service, client: ShopClient, person: Person
    ) -> None:
{% else %}
    def test_person_registers_orders_and_pays(self, service: Service, client: ShopClient) -> None:
{% endif %}
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
{% if wiring.served.identity %}

        client.sign_in(person("eve@example.com", "Eve"))
        assert client.name() == "Eve"
{% endif %}
