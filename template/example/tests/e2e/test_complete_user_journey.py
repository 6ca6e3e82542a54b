from {{ package_name }}.domain import OrderStatus

from tests.customers import Customer
from tests.e2e.conftest import Service, eventually
{% if wiring.served.identity %}
from tests.fixtures.shop import Person
{% endif %}

EMAIL = "ada@example.com"
PASSWORD = "SecurePass123!"


class TestEndToEndUserJourney:
{% if wiring.served.identity %}
    def test_people_register_order_pay_and_sign_in(
        self, service: Service, visitor: Customer, person: Person
    ) -> None:
{% else %}
    def test_person_registers_orders_and_pays(self, service: Service, visitor: Customer) -> None:
{% endif %}
        user_id = visitor.register(EMAIL, PASSWORD, "Ada")
        assert visitor.verify(user_id, service.mail_to(EMAIL))
        visitor.log_in(EMAIL, PASSWORD)
        assert visitor.name() == "Ada"

        order_id = visitor.order("SKU-MUG", 3)
        assert visitor.status(order_id) is OrderStatus.PENDING
        visitor.pay(order_id)
        eventually(
            lambda: visitor.status(order_id) is OrderStatus.FULFILLED, "the order is not fulfilled"
        )
{% if wiring.served.identity %}

        visitor.sign_in(person("eve@example.com", "Eve"))
        assert visitor.name() == "Eve"
{% endif %}
